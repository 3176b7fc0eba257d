import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { newestRun, requested, stopArgument, stopMessage } from "../src/details/words";
import { pageOf } from "../src/page";
import type { Update } from "../webview/data";
import { hostile, key, manySleeps, spinningTest, type Sample } from "../webview/dev/sample";
import { parseFromView, parseToView } from "../webview/messages";
import { DetailsState } from "../webview/state";
import { around, endOfAxis, lastUntil, panned, ticks, toPx, toSeconds, zoomed } from "../webview/time";
import { bytes, endOf, evidenceValue, findingState, moment, seconds } from "../webview/words";

function known(sample: Sample, at_s: number, since_s?: number, focus: object | null = null): Update {
  const answer = sample.answer(at_s, since_s);
  return { state: "known", is_whole: since_s === undefined, answer, focus: focus as null };
}

function aState(...updates: Update[]): DetailsState {
  const state = new DetailsState(() => undefined, undefined);
  updates.forEach((update) => {
    state.update(update);
  });
  return state;
}

const GUILTY = "4412:995412";

test("the guilty process is selected by itself", () => {
  const state = aState(known(spinningTest(), 9));
  assert.equal(state.selected, GUILTY);
  assert.equal(state.finding?.id, "f1");
});

test("what has changed is added to what is known", () => {
  const sample = spinningTest();
  const whole = aState(known(sample, 9));
  const pieced = aState(known(sample, 1), known(sample, 3, 1), known(sample, 6, 3), known(sample, 9, 6));
  assert.deepEqual([...pieced.model.spans.keys()].sort(), [...whole.model.spans.keys()].sort());
  assert.deepEqual(pieced.model.spans.get(GUILTY), whole.model.spans.get(GUILTY));
});

test("a new finding is told once, and what the user looks at stays", () => {
  const sample = spinningTest();
  const state = aState(known(sample, 3));
  state.select("4410:995410");
  state.update(known(sample, 6, 3));
  assert.match(state.announcement, /^New finding: python3 asks an empty queue/);
  assert.equal(state.selected, "4410:995410");
  state.announce("");
  state.update(known(sample, 7, 6));
  assert.equal(state.announcement, "");
});

test("until the user has selected something, what runs away last is selected", () => {
  const sample = spinningTest();
  const state = aState(known(sample, 3));
  assert.equal(state.finding, null);
  state.update(known(sample, 6, 3));
  assert.equal(state.selected, GUILTY);
});

test("what something is done to stays selected when another runs away", () => {
  const sample = spinningTest();
  const state = aState(known(sample, 3));
  const before = state.selected;
  state.stay();
  state.update(known(sample, 6, 3));
  assert.equal(state.selected, before);
});

test("another run begins anew, and what is asked for is selected", () => {
  const state = aState(known(spinningTest(), 9));
  state.search("python");
  state.setRange({ from_s: 1, to_s: 2 });
  state.update(known(manySleeps(20), 9, undefined, { process: key(1003), finding_id: null }));
  assert.deepEqual([state.query, state.range, state.selected], ["", null, "1003:992003"]);
});

test("the steps through what was found go round, and bring it into view", () => {
  const state = aState(known(spinningTest(), 9));
  state.setRange({ from_s: 8, to_s: 9 });
  state.search("4403");
  state.step(1);
  assert.equal(state.selected, "4403:995403");
  assert.ok(state.range && state.range.from_s <= 0.62);
  state.search("python3");
  const seen = Array.from({ length: 5 }, () => {
    state.step(1);
    return state.selected;
  });
  assert.equal(new Set(seen).size, 4);
  assert.equal(seen[0], seen[4]);
});

test("a fold is opened and closed, and what is selected goes with it", () => {
  const state = aState(known(manySleeps(50), 20));
  const fold = state.layout.lanes[2]?.[0]?.id ?? "";
  state.setOpen(fold, true);
  const membersOfSelected = () => state.bar?.members.length;
  assert.equal(membersOfSelected(), 1);
  state.setOpen(fold, false);
  assert.equal(membersOfSelected(), 48);
});

test("what is kept is what it was when the page is made anew, and nonsense is not kept", () => {
  const state = aState(known(spinningTest(), 9));
  state.search("node");
  state.setRange({ from_s: 1, to_s: 4 });
  state.select("4420:995420");
  const again = new DetailsState(() => undefined, JSON.parse(JSON.stringify(state.kept())));
  again.update(known(spinningTest(), 10));
  assert.deepEqual([again.query, again.range, again.selected], ["node", { from_s: 1, to_s: 4 }, "4420:995420"]);
  for (const kept of [null, 7, [], { range: { from_s: 3, to_s: 1 }, open: "x", query: {} }]) {
    assert.equal(new DetailsState(() => undefined, kept).range, null);
  }
});

test("whatever is answered, the view survives it", () => {
  const answers = [null, 7, [], {}, { run: {} }, { run: key(1), processes: [null, {}, key(2), { ...key(3), argv: 3, parent: "x", began_s: NaN, ended_s: -1 }], curves: { at_s: [1], cores: "x" }, findings: [{}, { id: "f", process: key(2), onset_at: "never", evidence: [{}, 3] }] }, hostile().answer(4)];
  for (const answer of answers) {
    const state = aState({ state: "known", is_whole: true, answer, focus: null });
    assert.ok(["loading", "known"].includes(state.phase));
  }
});

test("only actions that are known, on files and processes, pass", () => {
  const act = (action: unknown) => parseFromView({ type: "act", id: 1, action });
  assert.ok(act({ kind: "open", uri: null, path: "/src/a.py", line: 3 }));
  assert.ok(act({ kind: "stop", process: key(1), finding_id: null, tree: true }));
  for (const wrong of [
    { kind: "open", uri: "command:workbench.action.quit", path: "/x", line: 1 },
    { kind: "open", uri: "https://example.org", path: "/x", line: 1 },
    { kind: "open", uri: null, path: "../x", line: 1 },
    { kind: "open", uri: null, path: "/x", line: 1.5 },
    { kind: "stop", process: { pid: -1, start_ticks: 1 }, tree: false },
    { kind: "stop", process: key(1), tree: "yes" },
    { kind: "copy", text: "x".repeat(300_000) },
    { kind: "dismiss" },
    { kind: "run", command: "x" },
    null,
  ]) {
    assert.equal(act(wrong), null);
  }
  for (const wrong of [null, "ready", { type: "act", id: "1", action: { kind: "newest" } }, { type: "eval" }]) {
    assert.equal(parseFromView(wrong), null);
  }
});

test("only messages that are known reach the view", () => {
  assert.deepEqual(parseToView({ type: "update", update: { state: "gone", more: 1 } }), { type: "update", update: { state: "gone" } });
  for (const wrong of [null, {}, { type: "update" }, { type: "update", update: { state: "html" } }, { type: "outcome", id: "x", outcome: {} }]) {
    assert.equal(parseToView(wrong), null);
  }
});

test("the page runs one script, and loads from nowhere else", () => {
  const page = pageOf({ title: "Run", script: "S", style: "C", cspSource: "https://here", nonce: "n0" });
  assert.match(page, /default-src 'none'; script-src 'nonce-n0'; style-src https:\/\/here;/);
  assert.doesNotMatch(page, /unsafe|\son\w+=|style=/);
});

test("no data is ever made into HTML", () => {
  for (const name of readdirSync("webview").filter((each) => /\.tsx?$/.test(each))) {
    assert.doesNotMatch(readFileSync(`webview/${name}`, "utf8"), /innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(/i);
  }
});

test("without a run named, the one with something running away is shown", () => {
  const run = (pid: number, ...states: string[]) => ({ ...key(pid), findings: states.map((state) => ({ state })) });
  assert.deepEqual(newestRun({ runs: [run(1), run(2, "ended"), run(3, "raised"), run(4, "raised")] }), key(3));
  assert.deepEqual(newestRun({ runs: [run(1), run(2, "cleared")] }), key(2));
  assert.deepEqual(newestRun({ runs: [run(1), run(2)] }), key(1));
  assert.equal(newestRun(undefined), null);
  assert.deepEqual(requested({ run: key(1), process: "x", finding_id: "f1" }), { run: key(1), process: null, finding_id: "f1" });
  assert.deepEqual(requested(undefined), { run: null, process: null, finding_id: null });
});

test("a finding's process is stopped as such, any other by its identity", () => {
  assert.deepEqual(stopArgument({ kind: "stop", process: key(1), finding_id: "f1", tree: false }), { finding_id: "f1" });
  assert.deepEqual(stopArgument({ kind: "stop", process: key(1), finding_id: null, tree: true }), { process: key(1), tree: true });
  assert.equal(stopMessage({ outcome: "stopped" }), "Stopped");
  assert.equal(stopMessage(null), "The server has not answered");
});

test("the axis stays as it is while a run grows, and ends with it", () => {
  assert.equal(endOfAxis(12, false), endOfAxis(13, false));
  assert.ok(endOfAxis(12, true) < 12.2);
  for (const duration of [0, 0.5, 3, 47, 1000, 12345]) {
    assert.ok(endOfAxis(duration, false) >= duration * 1.05);
  }
});

test("zoom keeps the moment under the pointer, and shows all when it cannot be less", () => {
  const view = { from_s: 0, to_s: 100, width_px: 1000 };
  const closer = zoomed(view, 100, 4, 30);
  assert.ok(closer);
  assert.equal(toPx(closer, 30), 300);
  assert.equal(toSeconds(closer, 300), 30);
  assert.equal(zoomed(closer, 100, 0.1, 30), null);
  assert.equal(panned(closer, 100, 1000).to_s, 100);
  assert.equal(panned(closer, 100, -1000).from_s, 0);
  assert.deepEqual(around(view, 100, 50, 60), { from_s: 49, to_s: 61, width_px: 1000 });
});

test("ticks are round and not too many", () => {
  assert.deepEqual(ticks(0, 10, 5), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticks(5, 5, 5), []);
  assert.ok(ticks(0.123, 0.125, 6).length <= 7);
});

test("the value at a moment is the last one until then", () => {
  assert.deepEqual([-1, 0, 1.5, 9].map((at) => lastUntil([0, 1, 2], at)), [-1, 0, 1, 2]);
});

test("numbers have their units", () => {
  assert.deepEqual([0.012, 0.5, 3.14159, 12.34, 125, 3700].map(seconds), ["12 ms", "0.50 s", "3.1 s", "12.3 s", "2 min 5 s", "1 h 1 min"]);
  assert.deepEqual([moment(0.25, 0.001), moment(7.5, 0.5), moment(130, 10)], ["250 ms", "7.5 s", "2 min 10 s"]);
  assert.deepEqual([1.5e6, 41e6, 2.5e9].map(bytes), ["1.5 MB", "41 MB", "2.5 GB"]);
  assert.equal(endOf({ exit_code: null, term_signal: 9 }), "ended by SIGKILL");
  assert.equal(evidenceValue({ id: "e", name: "n", value: 812345.2, unit: "calls/s", window_s: null, source: "" }), "812,300 calls/s");
});

test("a finding says how long it has gone on", () => {
  const finding = aState(known(spinningTest(), 9)).finding;
  assert.ok(finding);
  assert.equal(findingState(finding, 9), "for 5.8 s");
  assert.equal(findingState({ ...finding, state: "ended", ended_s: 5.2 }, 9), "over, after 2.0 s");
  assert.equal(findingState({ ...finding, state: "cleared" }, 9), "dismissed");
});
