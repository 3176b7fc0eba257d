// The same bars as the rows of a table, for those who do not see the chart. Knows no DOM.

import type { Bar, Layout } from "./layout";

export interface Row {
  /** Of the bar, or of the fold whose members are listed below it. */
  id: string;
  /** What it stands for: one process, or the members of a fold. */
  bars: Bar[];
  kind: "process" | "fold" | "openFold";
  /** From 1, as is the position among its siblings. */
  level: number;
  position: number;
  nSiblings: number;
  /** Null where nothing is below it. */
  isOpen: boolean | null;
}

/** @param closed ids of processes whose children are not listed */
export function rows(shown: Layout, closed: ReadonlySet<string>): Row[] {
  const listed: Row[] = [];
  // A stack of our own: a process recursion may be thousands deep.
  const waiting = siblings(shown.roots, 1, closed).reverse();
  for (let row = waiting.pop(); row; row = waiting.pop()) {
    listed.push(row);
    if (row.isOpen === true) {
      const inside =
        row.kind === "openFold"
          ? numbered(row.bars.map((bar) => rowOf(bar, closed)), row.level + 1)
          : siblings(row.bars.flatMap((bar) => bar.children), row.level + 1, closed);
      waiting.push(...inside.reverse());
    }
  }
  return listed;
}

/** What has a finding comes first, then by time. */
function siblings(bars: readonly Bar[], level: number, closed: ReadonlySet<string>): Row[] {
  const sorted = [...bars].sort((a, b) => a.lane - b.lane || a.began_s - b.began_s);
  const heads = new Map<string, Row>();
  const made: Row[] = [];
  for (const bar of sorted) {
    if (bar.foldId === null) {
      made.push(rowOf(bar, closed));
      continue;
    }
    const head = heads.get(bar.foldId);
    if (head) {
      head.bars.push(bar);
    } else {
      const row: Row = { ...rowOf(bar, closed), id: bar.foldId, kind: "openFold", isOpen: true };
      heads.set(bar.foldId, row);
      made.push(row);
    }
  }
  return numbered(made, level);
}

function rowOf(bar: Bar, closed: ReadonlySet<string>): Row {
  const isFold = bar.members.length > 1;
  return {
    id: bar.id,
    bars: [bar],
    kind: isFold ? "fold" : "process",
    level: 0,
    position: 0,
    nSiblings: 0,
    isOpen: isFold ? false : bar.children.length > 0 ? !closed.has(bar.id) : null,
  };
}

function numbered(made: Row[], level: number): Row[] {
  made.forEach((row, index) => {
    row.level = level;
    row.position = index + 1;
    row.nSiblings = made.length;
  });
  return made;
}
