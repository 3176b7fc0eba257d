// Where each process of a run is drawn: below its parent, in a lane that is free while it lives.
// Equal siblings that live at the same time are one bar ("48 × cc1plus"), and so are their
// children. What has a finding, or has one below, always stands for itself, and on top.
// Knows no DOM.

import type { Span } from "./data";

export interface Bar {
  /** Stays the same while it is the same thing. */
  id: string;
  /** One, or the equal siblings that are drawn as one. */
  members: Span[];
  parent: Bar | null;
  children: Bar[];
  /** Of the fold that it would be a member of, were that not open. */
  foldId: string | null;
  lane: number;
  began_s: number;
  /** Infinity while one of them lives. */
  ended_s: number;
  hasFinding: boolean;
}

export interface Layout {
  /** Bars of a lane do not overlap, and are in the order of time. */
  lanes: Bar[][];
  roots: Bar[];
  /** By the `id` of a process, or of the bar. */
  barOf: Map<string, Bar>;
}

/** Siblings of the same name, of which more than that live at once, are one bar. */
const MAX_LANES = 8;

/** @param open ids of folds whose members are drawn each for itself */
export function layout(spans: Iterable<Span>, open: ReadonlySet<string>): Layout {
  const { roots, below } = family(spans);
  const loud = withFindings(roots, below);
  const barOf = new Map<string, Bar>();
  const inOrder: Bar[] = [];
  const rootBars = bars(roots, null, loud, open);
  const waiting = [...rootBars];
  // Each bar comes after its parent, however deep the tree is.
  for (let bar = waiting.pop(); bar; bar = waiting.pop()) {
    inOrder.push(bar);
    barOf.set(bar.id, bar);
    for (const member of bar.members) {
      barOf.set(member.id, bar);
    }
    const inside = bar.members.flatMap((member) => below.get(member.id) ?? []);
    bar.children = bars(inside, bar, loud, open);
    waiting.push(...bar.children);
  }
  return { lanes: inLanes(rootBars, inOrder, loud), roots: rootBars, barOf };
}

function family(spans: Iterable<Span>): { roots: Span[]; below: Map<string, Span[]> } {
  const all = [...spans].sort((a, b) => a.began_s - b.began_s || a.pid - b.pid);
  const known = new Map(all.map((span) => [span.id, span]));
  const below = new Map<string, Span[]>();
  const roots: Span[] = [];
  for (const span of all) {
    if (span.parent !== null && known.has(span.parent)) {
      const siblings = below.get(span.parent);
      if (siblings) {
        siblings.push(span);
      } else {
        below.set(span.parent, [span]);
      }
    } else {
      roots.push(span);
    }
  }
  // Who is its own ancestor hangs nowhere: such a circle is cut at its oldest process.
  const reached = new Set<string>();
  const reach = (from: Span) => {
    const waiting = [from];
    for (let span = waiting.pop(); span; span = waiting.pop()) {
      if (!reached.has(span.id)) {
        reached.add(span.id);
        waiting.push(...(below.get(span.id) ?? []));
      }
    }
  };
  roots.forEach(reach);
  for (const span of all) {
    if (!reached.has(span.id)) {
      const siblings = below.get(span.parent ?? "") ?? [];
      siblings.splice(siblings.indexOf(span), 1);
      roots.push(span);
      reach(span);
    }
  }
  return { roots, below };
}

/** The ids of processes that have a finding, or one below them. */
function withFindings(roots: readonly Span[], below: ReadonlyMap<string, readonly Span[]>): Set<string> {
  const parents = new Map<string, Span>();
  const guilty: Span[] = [];
  const waiting = [...roots];
  for (let span = waiting.pop(); span; span = waiting.pop()) {
    if (span.finding_ids.length > 0) {
      guilty.push(span);
    }
    for (const child of below.get(span.id) ?? []) {
      parents.set(child.id, span);
      waiting.push(child);
    }
  }
  const loud = new Set<string>();
  for (const each of guilty) {
    for (let span: Span | undefined = each; span && !loud.has(span.id); span = parents.get(span.id)) {
      loud.add(span.id);
    }
  }
  return loud;
}

function bars(
  siblings: readonly Span[],
  parent: Bar | null,
  loud: ReadonlySet<string>,
  open: ReadonlySet<string>,
): Bar[] {
  const groups = new Map<string, Span[]>();
  const made: Bar[] = [];
  for (const span of siblings) {
    if (loud.has(span.id)) {
      made.push(barFor([span], span.id, parent, null));
      continue;
    }
    const group = groups.get(span.comm);
    if (group) {
      group.push(span);
    } else {
      groups.set(span.comm, [span]);
    }
  }
  const isInFold = (parent?.members.length ?? 0) > 1;
  for (const [comm, group] of groups) {
    const foldId = `${parent?.id ?? ""} ${comm}`;
    const isFold = group.length > 1 && (isInFold || atOnce(group) > MAX_LANES);
    if (isFold && !open.has(foldId)) {
      made.push(barFor(group, foldId, parent, null));
    } else {
      const owner = isFold ? foldId : null;
      made.push(...group.map((span) => barFor([span], span.id, parent, owner)));
    }
  }
  return made;
}

function barFor(members: Span[], id: string, parent: Bar | null, foldId: string | null): Bar {
  let began_s = Infinity;
  let ended_s = 0;
  let hasFinding = false;
  for (const member of members) {
    began_s = Math.min(began_s, member.began_s);
    ended_s = Math.max(ended_s, member.ended_s ?? Infinity);
    hasFinding ||= member.finding_ids.length > 0;
  }
  return { id, members, parent, children: [], foldId, lane: 0, began_s, ended_s, hasFinding };
}

/** How many live at the same time at most. @param spans in the order of their beginning */
function atOnce(spans: readonly Span[]): number {
  const ends = spans.map((span) => span.ended_s ?? Infinity).sort((a, b) => a - b);
  let nEnded = 0;
  let most = 0;
  spans.forEach((span, index) => {
    while ((ends[nEnded] ?? Infinity) <= span.began_s) {
      nEnded += 1;
    }
    most = Math.max(most, index + 1 - nEnded);
  });
  return most;
}

/** A bar with all that is below it: a rectangle that nothing else is drawn in. */
interface Block {
  bar: Bar;
  began_s: number;
  ended_s: number;
  height: number;
  /** Lanes below its parent's. */
  offset: number;
}

function inLanes(roots: readonly Bar[], inOrder: readonly Bar[], loud: ReadonlySet<string>): Bar[][] {
  const blocks = new Map<Bar, Block>();
  const blockOf = (bar: Bar): Block => {
    const children = bar.children.flatMap((child) => blocks.get(child) ?? []);
    const block = { bar, began_s: bar.began_s, ended_s: bar.ended_s, height: 1, offset: 0 };
    block.height += packed(children, loud);
    for (const child of children) {
      block.began_s = Math.min(block.began_s, child.began_s);
      block.ended_s = Math.max(block.ended_s, child.ended_s);
    }
    return block;
  };
  for (let index = inOrder.length - 1; index >= 0; index -= 1) {
    const bar = inOrder[index];
    if (bar) {
      blocks.set(bar, blockOf(bar));
    }
  }
  packed(roots.flatMap((bar) => blocks.get(bar) ?? []), loud);
  const lanes: Bar[][] = [];
  for (const bar of inOrder) {
    const parentLane = bar.parent?.lane ?? -1;
    bar.lane = parentLane + 1 + (blocks.get(bar)?.offset ?? 0);
    (lanes[bar.lane] ??= []).push(bar);
  }
  for (const lane of lanes) {
    lane.sort((a, b) => a.began_s - b.began_s);
  }
  return lanes;
}

/** Gives blocks their offsets, and returns how many lanes that takes. What has a finding comes
 * on top; the rest goes, one after the other, to the first place that is free. */
function packed(blocks: Block[], loud: ReadonlySet<string>): number {
  const isLoud = (block: Block) => loud.has(block.bar.members[0]?.id ?? "");
  const ofLoud = pack(blocks.filter(isLoud), 0);
  return pack(
    blocks.filter((block) => !isLoud(block)),
    ofLoud,
  );
}

function pack(blocks: Block[], firstLane: number): number {
  blocks.sort((a, b) => a.began_s - b.began_s || a.bar.members.length - b.bar.members.length);
  const freeAt: number[] = [];
  for (const block of blocks) {
    let offset = 0;
    for (let lane = 0; lane < offset + block.height && lane < freeAt.length; lane += 1) {
      if ((freeAt[lane] ?? 0) > block.began_s) {
        offset = lane + 1;
      }
    }
    for (let lane = offset; lane < offset + block.height; lane += 1) {
      freeAt[lane] = block.ended_s;
    }
    block.offset = firstLane + offset;
  }
  return firstLane + freeAt.length;
}
