import assert from "node:assert/strict";
import { test } from "node:test";
import type { Process } from "../src/protocol";
import type { Facts } from "../src/filter";
import { tree as treeOf, type Node } from "../src/tree";
import { aFinding, aProcess, aRun } from "./samples";

function tree(
  processes: Facts["processes"],
  findings: Facts["findings"] = [],
  runs: Facts["runs"] = [],
): Node[] {
  return treeOf({ processes, findings, runs });
}

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
  const [run] = tree([make, ...compilers]);
  assert.ok(run);
  assert.equal(run.label, "make -j48");
  assert.deepEqual(run.children.map((node) => node.label), ["48 × cc1plus"]);
  assert.equal(run.children[0]?.children.length, 48);
  assert.equal(run.children[0].description, "2400 % CPU");
});

test("a few equal siblings stay single", () => {
  const nodes = tree([make, below(make, 2), below(make, 3)]);
  assert.deepEqual(outline(nodes), ["make -j48", "  cc1plus 2.cpp", "  cc1plus 3.cpp"]);
});

test("siblings with the same below them are equal too", () => {
  const shells = Array.from({ length: 5 }, (_, index) => below(make, 10 + index, { comm: "sh" }));
  const inner = shells.map((shell, index) => below(shell, 50 + index));
  const [run] = tree([make, ...shells, ...inner]);
  assert.deepEqual(run?.children.map((node) => node.label), ["5 × sh"]);
});

test("what runs away is never folded", () => {
  const compilers = Array.from({ length: 9 }, (_, index) => below(make, 100 + index));
  compilers.push(below(make, 200, { finding_ids: ["f1"] }));
  const [run] = tree([make, ...compilers]);
  assert.deepEqual(run?.children.map((node) => node.label), ["9 × cc1plus", "cc1plus 200.cpp"]);
});

test("a process with a finding offers what the finding does", () => {
  const accused = below(make, 7, { finding_ids: ["f1"] });
  const [, run] = tree([make, accused], [aFinding()]);
  assert.equal(run?.children[0]?.finding?.id, "f1");
  assert.equal(run.finding, undefined);
});

test("findings are on top, the open ones first", () => {
  const nodes = tree(
    [make],
    [aFinding({ id: "f1", state: "ended" }), aFinding({ id: "f2" })],
  );
  assert.deepEqual(nodes.map((node) => node.id), ["finding f2", "finding f1", "run 1:10"]);
  assert.equal(nodes[0]?.description, "pump.py:41 · pid 7");
});

test("a run is called what it was called to the server, and says what started it", () => {
  const [named] = tree([make], [], [aRun(1, { label: "task: all", source: "task" })]);
  assert.deepEqual([named?.label, named?.icon], ["task: all", "checklist"]);
  assert.equal(named?.description, "1 process · 0 % CPU · 50 MB · 12 s");
  const [unnamed] = tree([make], [], [aRun(1, { source: "debug" })]);
  assert.deepEqual([unnamed?.label, unnamed?.icon], ["make -j48", "debug-alt"]);
  assert.match(unnamed?.description ?? "", /^debug · 1 process/);
});

test("a process says what it uses, for how long, and how it is", () => {
  const child = below(make, 9, { n_forks: 3, state: "uninterruptible", rss_bytes: 3 * 2 ** 30 });
  const [run] = tree([make, child, below(make, 10, { rss_bytes: null, state: "unknown" })]);
  assert.equal(
    run?.children[0]?.description,
    "50 % CPU · 3.0 GB · 3 forks · 3 s · waiting for a device · pid 9",
  );
  assert.equal(run.children[1]?.description, "50 % CPU · 3 s · pid 10");
});

test("a run whose first process has gone is still one", () => {
  const orphan = aProcess(9, { parent: { pid: 1, start_ticks: 10 } });
  const [run] = tree([orphan]);
  assert.equal(run?.label, "run of pid 1");
  assert.deepEqual(run.children.map((node) => node.label), ["cc1plus 9.cpp"]);
});

test("what is above any run is not shown", () => {
  assert.deepEqual(tree([aProcess(3, { run: null })]), []);
});

test("what has ended beside what goes on is one line, with all of it below", () => {
  const over = Array.from({ length: 5 }, (_, index) =>
    below(make, 10 + index, { has_ended: true, comm: `c${index}` }),
  );
  const [run] = tree([make, below(make, 9), ...over]);
  assert.deepEqual(run?.children.map((node) => node.label), ["cc1plus 9.cpp", "5 ended"]);
  assert.equal(run.children[1]?.children.length, 5);
});

test("past runs are one line below the others, and each says how it was", () => {
  const over = aProcess(2, { run: { pid: 2, start_ticks: 20 }, has_ended: true });
  const findings = [{ id: "f1", kind: "cpu_spin", state: "cleared" as const, summary: "It spins." }];
  const nodes = tree(
    [over, make],
    [],
    [
      aRun(1),
      aRun(2, { has_ended: true, n_alive: 0, exit_code: 1, findings }),
      aRun(3, { has_ended: true, n_alive: 0, exit_code: 0 }),
    ],
  );
  assert.deepEqual(nodes.map((node) => node.label), ["make -j48", "Past runs"]);
  const [accused, well] = nodes[1]?.children ?? [];
  assert.equal(
    accused?.description,
    "terminal · 12 s · ended with 1 · peak 200 % CPU, 17 processes · 1 finding",
  );
  assert.deepEqual([accused.icon, well?.icon], ["warning", "pass"]);
  assert.match(accused.tooltip, /49 processes in all.*3\.0 GB\nIt spins\.$/s);
});

test("a run that is over for the server is not shown as going on", () => {
  const accused = aProcess(2, { run: { pid: 2, start_ticks: 20 }, has_ended: true, finding_ids: ["f1"] });
  assert.deepEqual(tree([accused, make]).map((node) => node.id), ["run 2:20", "run 1:10"]);
  const past = aRun(2, { has_ended: true, n_alive: 0 });
  const nodes = tree([accused, make], [], [past]);
  assert.deepEqual(nodes.map((node) => node.id), ["run 1:10", "past"]);
  const leftBehind = tree([accused, make], [], [{ ...past, n_alive: 1 }]);
  assert.deepEqual(leftBehind.map((node) => node.id), ["run 2:20", "run 1:10"]);
});

test("what extensions run for themselves is one line, unless it runs away", () => {
  const helper = (pid: number, changes: Partial<Process> = {}) =>
    aProcess(pid, { run: { pid, start_ticks: pid * 10 }, ...changes });
  const nodes = tree(
    [helper(2), helper(3), helper(4, { finding_ids: ["f1"] }), make],
    [],
    [2, 3, 4].map((pid) => aRun(pid, { source: "extension" })),
  );
  assert.deepEqual(nodes.map((node) => node.id), ["run 4:40", "run 1:10", "helpers"]);
  assert.equal(nodes[2]?.description, "2 runs");
  assert.equal(nodes[2].isOpen, false);
});

test("names are made visible", () => {
  const [run] = tree([{ ...make, argv: ["x\u001b[31m\n"] }]);
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
  const all = ids(tree(processes));
  assert.equal(new Set(all).size, all.length);
});

test("two thousand processes take little time", () => {
  const shells = Array.from({ length: 100 }, (_, index) => below(make, 100 + index, { comm: "sh" }));
  const inner = shells.flatMap((shell, index) =>
    Array.from({ length: 19 }, (_, each) => below(shell, 1000 + index * 20 + each, { comm: `p${each}` })),
  );
  const before = performance.now();
  const nodes = tree([make, ...shells, ...inner]);
  assert.ok(performance.now() - before < 500);
  assert.ok(ids(nodes).length < 3000);
});
