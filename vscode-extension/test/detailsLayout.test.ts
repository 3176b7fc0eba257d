import assert from "node:assert/strict";
import { test } from "node:test";
import type { Span } from "../webview/data";
import { layout, type Bar, type Layout } from "../webview/layout";
import { pieces } from "../webview/pieces";
import { rows } from "../webview/rows";
import { found } from "../webview/search";
import { manySleeps, mixed } from "../webview/dev/sample";
import { parseAnswer } from "../webview/parse";
import { barName } from "../webview/words";

const NONE: ReadonlySet<string> = new Set();

/** One process a line, indented below its parent: "name began-ended", without an end it lives. */
function spans(text: string): Span[] {
  const above: Span[] = [];
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line, index) => {
      const [, indent = "", name = "", began = "0", ended = ""] =
        /^( *)(\S+) ([\d.]+)-([\d.]*)/.exec(line) ?? [];
      const depth = indent.length / 2;
      const span = aSpan(index + 1, {
        comm: name.replace("!", ""),
        parent: above[depth - 1]?.id ?? null,
        began_s: Number(began),
        ended_s: ended === "" ? null : Number(ended),
        finding_ids: name.endsWith("!") ? ["f1"] : [],
      });
      above.splice(depth, Infinity, span);
      return span;
    });
}

function aSpan(pid: number, changes: Partial<Span> = {}): Span {
  return {
    pid,
    start_ticks: 1,
    id: `${pid}:1`,
    parent: null,
    comm: "sh",
    argv: ["/bin/sh", `${pid}.sh`],
    began_s: 0,
    ended_s: null,
    exit_code: null,
    term_signal: null,
    cpu_s: 0,
    n_forks: 0,
    finding_ids: [],
    ...changes,
  };
}

function lanes(shown: Layout): string[] {
  return shown.lanes.map((lane) => lane.map((bar) => barName([bar])).join(" "));
}

function siblings(count: number, changes: (index: number) => Partial<Span> = () => ({})): Span[] {
  const parent = aSpan(1, { comm: "make" });
  return [
    parent,
    ...Array.from({ length: count }, (_, index) =>
      aSpan(index + 2, { parent: parent.id, comm: "cc1plus", ...changes(index) }),
    ),
  ];
}

test("a process is below its parent, and beside another only where it does not live at its time", () => {
  const shown = layout(
    spans(`
pytest 0-9
  git 1-2
    ssh 1.2-1.8
  node 3-5
  sed 4-4.5`),
    NONE,
  );
  assert.deepEqual(lanes(shown), ["pytest", "git node", "ssh sed"]);
});

test("bars of a lane never overlap", () => {
  const all = parseAnswer(mixed(1500).answer(20))?.spans ?? [];
  const shown = layout(all, NONE);
  assert.ok(all.every((span) => shown.barOf.has(span.id)));
  for (const lane of shown.lanes) {
    lane.slice(1).forEach((bar, index) => {
      assert.ok((lane[index]?.ended_s ?? Infinity) <= bar.began_s);
    });
  }
});

test("equal siblings that live at once are one bar, with their children", () => {
  const makes = siblings(48, () => ({ comm: "sh", began_s: 1 }));
  const compilers = makes.slice(1).map((sh, index) =>
    aSpan(100 + index, { parent: sh.id, comm: "cc1plus", began_s: 2 }),
  );
  assert.deepEqual(lanes(layout([...makes, ...compilers], NONE)), ["make", "48 × sh", "48 × cc1plus"]);
});

test("siblings that come one after the other are bars of one lane", () => {
  const shown = layout(siblings(48, (index) => ({ began_s: index, ended_s: index + 0.9 })), NONE);
  assert.deepEqual(shown.lanes.map((lane) => lane.length), [1, 48]);
});

test("what has a finding, or has one below, stands for itself and on top", () => {
  const all = siblings(48, (index) => (index === 30 ? { finding_ids: ["f1"], began_s: 5 } : {}));
  assert.deepEqual(lanes(layout(all, NONE)), ["make", "cc1plus", "47 × cc1plus"]);
  const below = aSpan(200, { parent: all[20]?.id ?? null, comm: "as", finding_ids: ["f2"] });
  const shown = layout([...all, below], NONE);
  assert.deepEqual(lanes(shown).slice(1).sort(), ["46 × cc1plus", "as", "cc1plus", "cc1plus"]);
});

test("an open fold shows each, and its bars say which fold they are of", () => {
  const all = siblings(20);
  const fold = layout(all, NONE).lanes[1]?.[0];
  const shown = layout(all, new Set([fold?.id ?? ""]));
  assert.equal(shown.lanes.length, 21);
  assert.equal(shown.lanes[5]?.[0]?.foldId, fold?.id);
});

test("processes that are their own ancestors, or have none that is known, are shown all the same", () => {
  const all = [
    aSpan(1, { parent: "2:1" }),
    aSpan(2, { parent: "1:1", began_s: 1 }),
    aSpan(3, { parent: "3:1" }),
    aSpan(4, { parent: "99:1" }),
  ];
  const shown = layout(all, NONE);
  assert.deepEqual([...shown.barOf.keys()].sort(), ["1:1", "2:1", "3:1", "4:1"]);
});

test("a recursion of thousands is a tree of thousands", () => {
  const chain = Array.from({ length: 5000 }, (_, index) =>
    aSpan(index + 1, { parent: index > 0 ? `${index}:1` : null, began_s: index / 100 }),
  );
  const shown = layout(chain, NONE);
  assert.equal(shown.lanes.length, 5000);
  assert.equal(rows(shown, NONE).at(-1)?.level, 5000);
});

test("five thousand processes all have their place", () => {
  for (const sample of [mixed(5000), manySleeps(5000)]) {
    const all = parseAnswer(sample.answer(20))?.spans ?? [];
    const { barOf } = layout(all, NONE);
    assert.ok(all.length > 4000 && all.every(({ id }) => barOf.has(id)));
  }
});

const VIEW = { from_s: 0, to_s: 100, width_px: 1000 };

function lane(...times: [number, number][]): Bar[] {
  const text = times.map(([began, ended]) => `sh ${began}-${ended}`).join("\n");
  return layout(spans(text), NONE).lanes.flat();
}

test("neighbours too narrow to be told apart are one piece, wide ones are not", () => {
  const narrow = Array.from({ length: 20 }, (_, index): [number, number] => [1 + index / 10, 1.05 + index / 10]);
  const shown = pieces(lane(...narrow, [10, 20], [20, 30]), VIEW, 100);
  assert.deepEqual(shown.map((piece) => piece.bars.length), [20, 1, 1]);
  assert.equal(barName(shown[0]?.bars ?? []), "20 × sh");
});

test("zoomed in, the same are told apart", () => {
  const narrow = lane([1, 1.04], [1.1, 1.14], [1.2, 1.24]);
  assert.equal(pieces(narrow, { ...VIEW, from_s: 1, to_s: 2 }, 100).length, 3);
});

test("only what is in view is drawn", () => {
  const all = lane([0, 10], [20, 30], [50, 60], [90, 99]);
  const shown = pieces(all, { from_s: 25, to_s: 55, width_px: 1000 }, 100);
  assert.deepEqual(shown.map((piece) => piece.bars[0]?.began_s), [20, 50]);
});

test("what has a finding is seen however short it is, and never merged", () => {
  const guilty = layout(spans("a 1-1.01\nb! 1.02-1.03\nc 1.04-1.05"), NONE).lanes.flat();
  const sorted = guilty.sort((a, b) => a.began_s - b.began_s);
  const shown = pieces(sorted, VIEW, 100);
  const [own] = shown.filter((piece) => piece.bars[0]?.hasFinding);
  assert.ok(own);
  assert.equal(own.bars.length, 1);
  assert.ok(own.to_px - own.from_px >= 6);
});

test("rows tell the tree, with the numbers a screen reader says", () => {
  const shown = layout(
    spans(`
pytest 0-9
  git 1-2
  node! 3-5
    sed 3-4`),
    NONE,
  );
  const told = rows(shown, NONE).map((row) => [barName(row.bars), row.level, row.position, row.nSiblings, row.isOpen]);
  assert.deepEqual(told, [
    ["pytest", 1, 1, 1, true],
    ["node", 2, 1, 2, true],
    ["sed", 3, 1, 1, null],
    ["git", 2, 2, 2, null],
  ]);
  assert.equal(rows(shown, new Set(["1:1"])).length, 1);
});

test("an open fold has a row of its own, above its members", () => {
  const all = siblings(20);
  const closed = rows(layout(all, NONE), NONE);
  const fold = closed[1];
  assert.deepEqual([closed.length, fold?.kind, fold?.isOpen], [2, "fold", false]);
  const open = rows(layout(all, new Set([fold?.id ?? ""])), NONE);
  assert.deepEqual([open.length, open[1]?.id, open[1]?.kind, open[1]?.isOpen], [22, fold?.id, "openFold", true]);
  assert.deepEqual([open[2]?.level, open[2]?.nSiblings], [3, 20]);
});

test("a search is for all its words, in command lines and pids", () => {
  const all = siblings(3);
  const pids = (query: string) => found(all, query)?.map((span) => span.pid);
  assert.equal(pids("  "), undefined);
  assert.deepEqual(pids("CC1PLUS"), [2, 3, 4]);
  assert.deepEqual(pids("sh 3.sh"), [3]);
  assert.deepEqual(pids("(.*"), []);
});
