import assert from "node:assert/strict";
import { test } from "node:test";
import type { Process } from "../src/protocol";
import { menuOf, tree, type Node } from "../src/tree";
import { MAX_TOLD, TreeState } from "../src/treeState";
import { aProcess } from "./samples";

const make = aProcess(1, { comm: "make", argv: ["make"] });
const parent = { pid: 1, start_ticks: 10 };

/** Different programs, so that nothing is folded. */
function children(count: number, changes: (index: number) => Partial<Process> = () => ({})): Process[] {
  return Array.from({ length: count }, (_, index) =>
    aProcess(100 + index, { parent, comm: `p${index}`, ...changes(index) }),
  );
}

function treeOf(processes: readonly Process[]): Node[] {
  return tree({ processes, runs: [], findings: [] });
}

/** Asks for all that is open, as the view does. */
function draw(state: TreeState<Node>, node?: Node): number {
  const below = state.children(node);
  return below.reduce((sum, each) => sum + (each.isOpen ? draw(state, each) : 0), below.length);
}

test("the first processes are a new tree", () => {
  assert.equal(new TreeState<Node>(menuOf).update(treeOf([make])), "all");
});

test("where nothing has changed, nothing is told", () => {
  const state = new TreeState<Node>(menuOf);
  state.update(treeOf([make, ...children(5)]));
  draw(state);
  assert.deepEqual(state.update(treeOf([make, ...children(5)])), []);
});

test("a process that uses more is told alone, and stays the same node", () => {
  const state = new TreeState<Node>(menuOf);
  state.update(treeOf([make, ...children(5)]));
  draw(state);
  const [first] = state.roots[0]?.children ?? [];
  const told = state.update(
    treeOf([make, ...children(5, (index) => ({ on_cpu_cores: index ? 0.5 : 0.7 }))]),
  );
  assert.deepEqual(told, [state.roots[0], first]);
  assert.match(first?.description ?? "", /^70 %/);
});

test("what is closed is told of once it is open", () => {
  const state = new TreeState<Node>(menuOf);
  const equal = children(6, () => ({ comm: "cc1plus" }));
  state.update(treeOf([make, ...equal]));
  draw(state);
  const [fold] = state.roots[0]?.children ?? [];
  assert.ok(fold);
  state.children(fold);
  const busier = equal.map((each) => ({ ...each, age_s: 9 }));
  assert.deepEqual(state.update(treeOf([make, ...busier])), [state.roots[0]]);
  state.toggled(fold, true);
  assert.equal(state.update(treeOf([make, ...busier])).length, 6);
});

test("a process that comes or goes is told by what is above it", () => {
  const state = new TreeState<Node>(menuOf);
  state.update(treeOf([make, ...children(5)]));
  draw(state);
  assert.deepEqual(state.update(treeOf([make, ...children(6)])), [state.roots[0]]);
  assert.deepEqual(state.update(treeOf([make, ...children(4)])), [state.roots[0]]);
});

/** Under ten shells, all open. */
function busy(count: number, cores: number): Node[] {
  const shells = Array.from({ length: 10 }, (_, index) =>
    aProcess(50 + index, { parent, comm: `sh${index}`, on_cpu_cores: cores }),
  );
  const workers = Array.from({ length: count }, (_, index) => {
    const { pid, start_ticks } = shells[index % 10] ?? make;
    return aProcess(1000 + index, { parent: { pid, start_ticks }, comm: `p${index}`, on_cpu_cores: cores });
  });
  return treeOf([make, ...shells, ...workers]);
}

function drawn(count: number): TreeState<Node> {
  const state = new TreeState<Node>(menuOf);
  state.update(busy(count, 0.1));
  const [run] = state.roots;
  assert.ok(run);
  state.toggled(run, true);
  assert.equal(state.children(run).reduce((sum, each) => sum + draw(state, each), 0), count);
  return state;
}

test("of two thousand processes that all change, a bounded number is told at once", () => {
  const state = drawn(2000);
  assert.equal(state.update(busy(2000, 0.2)).length, MAX_TOLD);
});

test("where more changes than is told at once, each has its turn", () => {
  const state = drawn(400);
  const seen = new Set<Node | string>();
  for (let round = 0; round < 5; round++) {
    for (const node of state.update(busy(400, 0.2 + round / 10))) {
      seen.add(node);
    }
  }
  assert.equal(seen.size, 411);
});

test("where a node hangs is known, and whatever is looked for is found", () => {
  const state = new TreeState<Node>(menuOf);
  state.update(treeOf([make, ...children(3)]));
  const node = state.find("process 101:1010");
  assert.ok(node);
  assert.equal(state.parent(node), state.roots[0]);
  assert.equal(state.find("process 9:9"), undefined);
});
