import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { probesTree } from "../src/playground/probesTree";
import { chosenProbe, firstSlot, lessonsOf, outcomeOf } from "../src/playground/words";
import { cell, columnsOf, leaves } from "../webview/probes/columns";
import type { Probe, ProbeMap, Update } from "../webview/probes/data";
import { histogram, hostile, own, type Sample } from "../webview/probes/dev/sample";
import { histograms, rangeOf } from "../webview/probes/histogram";
import { parseFromView, parseToView } from "../webview/probes/messages";
import { parseProbes, parseReading } from "../webview/probes/parse";
import { generations, MAX_MOMENTS, ProbeState } from "../webview/probes/state";
import { count, curveText, figures, perRun, share, timeOf } from "../webview/probes/words";

const MAY = { may_load: true, why: null, fix: null };

function known(sample: Sample, at_s: number, since?: number): Update {
  return {
    state: "known",
    is_whole: since === undefined,
    answer: sample.answer(at_s, since),
    at_s: 1_790_000_000 + at_s,
    first_slot: 1,
    permission: MAY,
  };
}

/** Told each second, as the extension does. */
function watched(sample: Sample, from_s: number, to_s: number): ProbeState {
  const state = new ProbeState(() => undefined, undefined);
  for (let second = from_s; second <= to_s; second += 1) {
    state.update(known(sample, second, second === from_s ? undefined : state.lastSequence));
  }
  return state;
}

function probeOf(sample: Sample): Probe {
  const reading = parseReading(sample.answer(10));
  assert.ok(reading);
  return reading.probe;
}

function aMap(more: Partial<ProbeMap>): ProbeMap {
  return { name: "m", type: "hash", line: null, n_entries: 1, is_histogram: false, entries: [], per_cpu: [], ...more };
}

test("however many events come, a bounded number is kept, newest last and none twice", () => {
  const state = watched(own(5000), 1, 30);
  assert.equal(state.shown.length, 1000);
  assert.equal(state.n_events, 150_000);
  const sequences = state.shown.map(({ event }) => event.sequence);
  assert.equal(sequences.at(-1), 150_000);
  assert.equal(new Set(sequences).size, 1000);
});

test("while it is paused what is shown stays, and what comes is counted", () => {
  const state = watched(own(10), 1, 5);
  state.pause();
  const before = state.shown.map(({ event }) => event.sequence);
  state.update(known(own(10), 8, state.lastSequence));
  assert.deepEqual(state.shown.map(({ event }) => event.sequence), before);
  assert.equal(state.nWaiting, 30);
  state.follow();
  assert.equal(state.shown.length, 80);
});

test("whoever selects an event keeps it in sight", () => {
  const state = watched(own(3000), 1, 3);
  state.select(8500);
  state.update(known(own(3000), 4, state.lastSequence));
  assert.equal(state.chosen?.event.sequence, 8500);
});

test("a filter takes words of fields and values, in any order", () => {
  const state = watched(own(10), 1, 9);
  state.search("kind=2 comm=git");
  assert.ok(state.shown.length > 0);
  assert.ok(state.shown.every(({ event }) => event.fields.comm === "git" && "filename" in event.fields));
  assert.equal((JSON.parse(state.json()) as unknown[]).length, state.shown.length);
  state.search("nowhere");
  assert.equal(state.shown.length, 0);
});

test("columns are the fields, names first, without padding and times", () => {
  const state = watched(own(10), 1, 9);
  assert.deepEqual(state.columns.map(({ name }) => name), ["comm", "filename", "argv", "tgid", "tid", "uid", "kind", "parent_tgid", "wait_status"]);
  const two = columnsOf(new Map([["a.id", 3], ["b.id", 3], ["x", 1]]), 2);
  assert.deepEqual(two.map(({ name }) => name), ["a.id", "b.id"]);
  const rare = columnsOf(new Map([["hash", 300], ["depth", 300], ["comm", 2]]), 2, new Set(["comm"]));
  assert.deepEqual(rare.map(({ name }) => name), ["comm", "hash"]);
});

test("another probe begins with nothing of the one before", () => {
  const state = watched(own(10), 1, 9);
  state.update(known(histogram(), 3));
  assert.equal(state.probe?.id, "p1");
  assert.equal(state.shown.length, 12);
  assert.equal(state.moments.length, 1);
});

test("the curves go back some minutes, also over a pause in looking, and mark generations", () => {
  const state = watched(own(10), 1, 400);
  assert.ok(state.moments.length <= MAX_MOMENTS);
  assert.deepEqual(generations(state.moments).map(({ generation }) => generation), [3]);
  const again = new ProbeState(() => undefined, JSON.parse(JSON.stringify(state.kept())));
  again.update(known(own(10), 401));
  assert.equal(again.moments.length, MAX_MOMENTS);
});

test("another generation, a problem and a note are told to those who listen, figures are not", () => {
  const state = watched(own(10), 50, 58);
  assert.equal(state.announcement, "");
  state.update(known(own(10), 61, state.lastSequence));
  assert.equal(state.announcement, "linnix-ls's own probes: running, generation 2");
});

test("slots of powers of two have their ranges, gaps included", () => {
  assert.deepEqual([0, 1, 2, 5, 10, 20, 63].map(rangeOf), ["0–1", "2–3", "4–7", "32–63", "1 Ki–2 Ki", "1 Mi–2 Mi", "8 Ei–16 Ei"]);
  const map = aMap({ is_histogram: true, entries: [[3, 10], [5, 5], [1, 1], [9, 0]] });
  const [bars] = histograms(map, 1);
  assert.deepEqual(bars?.bars.map(({ label, n }) => [label, n]), [["0–1", 1], ["2–3", 0], ["4–7", 10], ["8–15", 0], ["16–31", 5]]);
  assert.equal(bars.bars[2]?.share, 1);
  assert.deepEqual(histograms(map, null)[0]?.bars.map(({ label }) => label), ["1", "2", "3", "4", "5"]);
});

test("a histogram of several things is as many histograms, the largest first", () => {
  const of = (comm: string, slot: number, n: number): [{ comm: string; slot: number }, number] => [{ comm, slot }, n];
  const made = histograms(aMap({ is_histogram: true, entries: [of("sh", 1, 2), of("cc1", 3, 9), of("sh", 2, 1)] }), 1);
  assert.deepEqual(made.map(({ of: name, total }) => [name, total]), [["cc1", 9], ["sh", 3]]);
});

test("which slot has 0 and 1 is told by the function that counts them", () => {
  assert.equal(firstSlot("lived.increment(bpf_log2l(ms));"), 1);
  assert.equal(firstSlot("slot = log2l(delta);"), 0);
  assert.equal(firstSlot("lived.increment(ms / 10);"), null);
});

test("numbers are as exact as somebody reads", () => {
  assert.deepEqual([0, 0.00001, 0.0003, 0.0012, 0.034, 1.5].map(share), ["0 %", "under 0.01 %", "0.03 %", "0.12 %", "3.4 %", "150 %"]);
  assert.deepEqual([88.4, 900, 3100].map(perRun), ["88 ns", "900 ns", "3.1 µs"]);
  assert.deepEqual([0, 1.24, 12.4, 1204].map(count), ["0", "1.2", "12", "1,204"]);
  assert.equal(timeOf("1234567890123456789"), "1234567890.123456");
  assert.equal(timeOf("5"), "0.000000");
});

test("what is not known yet is left out, and what is lost is always told", () => {
  const probe = { ...probeOf(own()), cpu_share: null, events_per_s: null, programs: [], n_lost: 7 };
  assert.deepEqual(figures(probe), [{ name: "lost", value: "7", isBad: true }]);
});

test("a curve is also said in words", () => {
  const { moments } = watched(histogram(), 1, 90);
  assert.equal(curveText(moments, (each) => each.events_per_s, count), "4 now, at most 4 in 1 min");
  assert.equal(curveText([], () => 0, count), "nothing measured yet");
});

test("hostile answers leave a view that works", () => {
  const state = watched(hostile(), 1, 3);
  assert.equal(state.phase, "known");
  assert.equal(state.shown.length, 1);
  assert.equal(state.probe?.programs.length, 1);
  assert.doesNotMatch(cell(state.shown[0]?.cells.values().next().value), /\p{Cc}|\p{Cf}/u);
  const deep = JSON.parse(`{"summary":{"id":"x"},"events":[{"sequence":1,"fields":${'{"a":'.repeat(500)}1${"}".repeat(500)}}]}`) as unknown;
  assert.ok(leaves(parseReading(deep)?.events[0]?.fields ?? null).length > 0);
  for (const answer of [null, 7, [], { summary: 7 }, { summary: { id: "x" }, maps: 1, events: {} }]) {
    state.update({ ...known(own(), 1), answer } as Update);
    assert.equal(state.phase, "known");
  }
});

test("messages ask for nothing but what the view can do", () => {
  assert.deepEqual(parseFromView({ type: "act", id: 1, action: { kind: "run" } }), { type: "act", id: 1, action: { kind: "run" } });
  assert.deepEqual(parseFromView({ type: "act", id: 1, action: { kind: "open", line: 3, uri: "http://x" } }), { type: "act", id: 1, action: { kind: "open", line: 3 } });
  for (const action of [{ kind: "stop" }, { kind: "open", line: -1 }, { kind: "copy", text: 7 }, { kind: "copy", text: "x".repeat(4_000_001) }, null]) {
    assert.equal(parseFromView({ type: "act", id: 1, action }), null);
  }
  const update = known(own(), 3);
  assert.deepEqual(parseToView({ type: "update", update }), { type: "update", update });
  assert.equal(parseToView({ type: "update", update: { state: "elsewhere" } }), null);
});

test("no data is ever made into HTML", () => {
  for (const name of readdirSync("webview/probes").filter((each) => /\.tsx?$/.test(each))) {
    assert.doesNotMatch(readFileSync(`webview/probes/${name}`, "utf8"), /innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(/i);
  }
});

test("the tree has probes with their programs, and maps of those that are open", () => {
  const reading = parseReading(own().answer(30));
  assert.ok(reading);
  const [node] = probesTree([reading.probe], MAY, new Map([["own", reading.maps]]));
  assert.equal(node?.label, "linnix-ls's own probes");
  assert.match(node.description, /^running, generation 1 · 0\.0\d+ % of a CPU · .* runs\/s · .* · 0 lost$/);
  assert.equal(node.context, "probe source reloadable revertible edited");
  assert.deepEqual(node.children.map(({ kind }) => kind), [...Array<string>(5).fill("program"), ...Array<string>(4).fill("map")]);
  assert.equal(node.children.find(({ label }) => label === "watched_uids")?.description, "1000: 1");
  const [withheld] = probesTree([reading.probe], { ...MAY, may_load: false }, new Map());
  assert.doesNotMatch(withheld?.context ?? "", /runnable|reloadable/);
});

test("a document has its own probe, or the one that it is a part of", () => {
  const { probes } = parseProbes({ probes: [own().answer(1).summary, histogram().answer(1).summary] });
  const same = (one: string, other: string) => one === other;
  const id = (uri: string | null, wanted: string | null = null) => chosenProbe(probes, { uri, id: wanted }, same)?.id;
  assert.equal(id("file:///home/me/playground/04-how-long/probe.bpf.c"), "p1");
  assert.equal(id("file:///home/me/.config/linnix-ls/bpf/lifecycle.bpf.c"), "own");
  assert.equal(id("file:///elsewhere.bpf.c"), undefined);
  assert.equal(id(null, "own"), "own");
  assert.equal(id(null), "p1");
});

test("what came of a deed is told, and as a problem where it is one", () => {
  assert.deepEqual(outcomeOf({ outcome: "running", generation: 3, message: "generation 3 runs", fix: null }), { message: "generation 3 runs", fix: null, isProblem: false });
  assert.deepEqual(outcomeOf({ outcome: "refused", message: "not you", fix: "sudo x" }), { message: "not you", fix: "sudo x", isProblem: true });
  assert.ok(outcomeOf(undefined).isProblem);
});

test("lessons say how far one is, and which cannot be checked here", () => {
  const lesson = (number: number, state: string, why_not_recorded: string | null = null) => ({ number, title: "t", summary: "s", state, n_passed: 3, n_checks: 4, why_not_recorded });
  const answer = { problem: "only root may", lessons: [lesson(1, "passed"), lesson(4, "begun"), lesson(8, "new", "it loads"), { number: "x" }] };
  assert.deepEqual(lessonsOf(answer).map(({ number, progress }) => [number, progress]), [
    [1, "done"],
    [4, "3 of 4 checks"],
    [8, "cannot be checked without the right to load probes"],
  ]);
});
