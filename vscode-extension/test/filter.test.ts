import assert from "node:assert/strict";
import { test } from "node:test";
import { filtered, filterWords, NO_FILTER, type Facts } from "../src/filter";
import { aFinding, aProcess, aRun } from "./samples";

const top = { pid: 1, start_ticks: 10 };
const FACTS: Facts = {
  processes: [
    aProcess(1, { comm: "make", argv: ["make"] }),
    aProcess(2, { parent: top }),
    aProcess(3, { parent: top, argv: ["ld", "Übung.o"], has_ended: true }),
    aProcess(4, { run: { pid: 4, start_ticks: 40 }, argv: ["pytest"], finding_ids: ["f1"] }),
  ],
  runs: [
    aRun(1),
    aRun(4, { label: "task: test", argv: ["pytest"] }),
    aRun(5, { has_ended: true, n_alive: 0, argv: ["cargo", "test"] }),
  ],
  findings: [aFinding(), aFinding({ id: "f2", state: "ended" })],
};

function pids(text: string, changes = {}): { processes: number[]; runs: number[] } {
  const { processes, runs } = filtered(FACTS, { ...NO_FILTER, text, ...changes });
  return { processes: processes.map(({ pid }) => pid), runs: runs.map(({ pid }) => pid) };
}

test("without a filter all is shown", () => {
  assert.equal(filtered(FACTS, { ...NO_FILTER, text: "  " }), FACTS);
  assert.equal(filterWords(NO_FILTER, FACTS, FACTS), undefined);
});

test("what is above a process that is meant stays", () => {
  assert.deepEqual(pids("übung LD"), { processes: [1, 3], runs: [1] });
});

test("the name of a run stands for all of it", () => {
  assert.deepEqual(pids("task test"), { processes: [4], runs: [4] });
  assert.deepEqual(pids("terminal -j48"), { processes: [1, 2, 3], runs: [1] });
});

test("past runs are found too", () => {
  assert.deepEqual(pids("cargo"), { processes: [], runs: [5] });
});

test("findings are found by their test and their file", () => {
  assert.equal(filtered(FACTS, { ...NO_FILTER, text: "test_drain pump.py" }).findings.length, 2);
  assert.equal(filtered(FACTS, { ...NO_FILTER, text: "nothing such" }).findings.length, 0);
});

test("only what has findings, only what is live", () => {
  assert.deepEqual(pids("", { onlyFindings: true }), { processes: [4], runs: [4] });
  assert.deepEqual(pids("", { onlyLive: true }), { processes: [1, 2, 4], runs: [1, 4] });
  assert.equal(filtered(FACTS, { ...NO_FILTER, onlyLive: true }).findings.length, 1);
});

test("what is filtered by is said in one line", () => {
  const filter = { text: "a\nb", onlyFindings: true, onlyLive: true };
  assert.equal(
    filterWords(filter, filtered(FACTS, filter), FACTS),
    "Only “a\uFFFDb”, with findings, live: 0 of 4 processes",
  );
});
