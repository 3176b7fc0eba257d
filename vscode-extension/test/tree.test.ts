import assert from "node:assert/strict";
import { test } from "node:test";
import type { Process } from "../src/protocol";
import { tree, type Node } from "../src/tree";
import { aFinding, aProcess } from "./samples";

const make = aProcess(1, { comm: "make", argv: ["make", "-j48"], on_cpu_cores: 0 });
const below = (parent: Process, pid: number, changes: Partial<Process> = {}) =>
  aProcess(pid, { parent: { pid: parent.pid, start_ticks: parent.start_ticks }, ...changes });

function outline(nodes: readonly Node[], depth = 0): string[] {
  return nodes.flatMap((node) => [
    "  ".repeat(depth) + node.label,
    ...outline(node.children, depth + 1),
  ]);
}

function ids(nodes: readonly Node[]): string[] {
  return nodes.flatMap((node) => [node.id, ...ids(node.children)]);
}

test("as many equal siblings are one line, and all of them below it", () => {
  const compilers = Array.from({ length: 48 }, (_, index) => below(make, 100 + index));
  const [run] = tree([make, ...compilers], [], new Map());
  assert.ok(run);
  assert.equal(run.label, "make -j48");
  assert.deepEqual(run.children.map((node) => node.label), ["48 × cc1plus"]);
  assert.equal(run.children[0]?.children.length, 48);
  assert.equal(run.children[0].description, "2400 % CPU");
});

test("a few equal siblings stay single", () => {
  const nodes = tree([make, below(make, 2), below(make, 3)], [], new Map());
  assert.deepEqual(outline(nodes), ["make -j48", "  cc1plus 2.cpp", "  cc1plus 3.cpp"]);
});

test("siblings with the same below them are equal too", () => {
  const shells = Array.from({ length: 5 }, (_, index) => below(make, 10 + index, { comm: "sh" }));
  const inner = shells.map((shell, index) => below(shell, 50 + index));
  const [run] = tree([make, ...shells, ...inner], [], new Map());
  assert.deepEqual(run?.children.map((node) => node.label), ["5 × sh"]);
});

test("what runs away is never folded", () => {
  const compilers = Array.from({ length: 9 }, (_, index) => below(make, 100 + index));
  compilers.push(below(make, 200, { finding_ids: ["f1"] }));
  const [run] = tree([make, ...compilers], [], new Map());
  assert.deepEqual(run?.children.map((node) => node.label), ["9 × cc1plus", "cc1plus 200.cpp"]);
});

test("a process with a finding offers what the finding does", () => {
  const accused = below(make, 7, { finding_ids: ["f1"] });
  const [, run] = tree([make, accused], [aFinding()], new Map());
  assert.equal(run?.children[0]?.finding?.id, "f1");
  assert.equal(run.finding, undefined);
});

test("findings are on top, the open ones first", () => {
  const nodes = tree(
    [make],
    [aFinding({ id: "f1", state: "ended" }), aFinding({ id: "f2" })],
    new Map(),
  );
  assert.deepEqual(nodes.map((node) => node.id), ["finding f2", "finding f1", "run 1:10"]);
  assert.equal(nodes[0]?.description, "pump.py:41 · pid 7");
});

test("a run is called what it was called to the server, also by its parent", () => {
  const shell = { pid: 5, start_ticks: 50 };
  const labels = new Map([["5:50", "task: build"]]);
  assert.equal(tree([{ ...make, parent: shell }], [], labels)[0]?.label, "task: build");
  assert.equal(tree([make], [], new Map([["1:10", "task: all"]]))[0]?.label, "task: all");
});

test("a run whose first process has gone is still one", () => {
  const orphan = aProcess(9, { parent: { pid: 1, start_ticks: 10 } });
  const [run] = tree([orphan], [], new Map());
  assert.equal(run?.label, "run of pid 1");
  assert.deepEqual(run.children.map((node) => node.label), ["cc1plus 9.cpp"]);
});

test("what is above any run is not shown", () => {
  assert.deepEqual(tree([aProcess(3, { run: null })], [], new Map()), []);
});

test("what has ended beside what goes on is one line, with all of it below", () => {
  const over = Array.from({ length: 5 }, (_, index) =>
    below(make, 10 + index, { has_ended: true, comm: `c${index}` }),
  );
  const [run] = tree([make, below(make, 9), ...over], [], new Map());
  assert.deepEqual(run?.children.map((node) => node.label), ["cc1plus 9.cpp", "5 ended"]);
  assert.equal(run.children[1]?.children.length, 5);
});

test("runs that have ended are one line below the others", () => {
  const other = { pid: 2, start_ticks: 20 };
  const over = aProcess(2, { run: other, has_ended: true, age_s: 1 });
  const nodes = tree([over, make], [], new Map());
  assert.deepEqual(nodes.map((node) => node.label), ["make -j48", "Just ended"]);
  assert.equal(nodes[1]?.children.length, 1);
  const accused = tree([{ ...over, finding_ids: ["f1"] }, make], [], new Map());
  assert.deepEqual(accused.map((node) => node.id), ["run 2:20", "run 1:10"]);
});

test("names are made visible", () => {
  const [run] = tree([{ ...make, argv: ["x\u001b[31m\n"] }], [], new Map());
  const [tooltip, ...rest] = run?.tooltip.split("\n") ?? [];
  assert.deepEqual(rest, ["in /src"]);
  assert.doesNotMatch(`${run?.label ?? ""}${tooltip ?? ""}`, /\p{Cc}/u);
});

test("no two nodes have the same id, however processes are related", () => {
  const processes = [
    make,
    ...Array.from({ length: 500 }, (_, index) => below(make, 1000 + index, { comm: `c${index}` })),
    ...Array.from({ length: 500 }, (_, index) => below(make, 2000 + index)),
    ...Array.from({ length: 5 }, (_, index) => below(make, 3000 + index)),
    ...Array.from({ length: 5 }, (_, index) => aProcess(4000 + index, { run: { pid: 2, start_ticks: 2 } })),
    aProcess(5, { parent: { pid: 5, start_ticks: 50 } }),
  ];
  for (let index = 0; index < 300; index++) {
    processes.push(
      aProcess(6000 + index, { parent: { pid: 5999 + index, start_ticks: (5999 + index) * 10 } }),
    );
  }
  // Of a loop of parents nothing is above; it must only not hang.
  processes.push(
    aProcess(8001, { parent: { pid: 8002, start_ticks: 80020 } }),
    aProcess(8002, { parent: { pid: 8001, start_ticks: 80010 } }),
  );
  const all = ids(tree(processes, [], new Map()));
  assert.equal(new Set(all).size, all.length);
});

test("two thousand processes take little time", () => {
  const shells = Array.from({ length: 100 }, (_, index) => below(make, 100 + index, { comm: "sh" }));
  const inner = shells.flatMap((shell, index) =>
    Array.from({ length: 19 }, (_, each) => below(shell, 1000 + index * 20 + each, { comm: `p${each}` })),
  );
  const before = performance.now();
  tree([make, ...shells, ...inner], [], new Map());
  assert.ok(performance.now() - before < 500);
});
