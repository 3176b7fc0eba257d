import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { debuggedPid } from "../src/debugged";
import { explanationText } from "../src/explanationText";
import { foregroundJob } from "../src/foreground";
import { inlineText } from "../src/inlineText";
import { findServer, type Places } from "../src/lookup";
import { agentPids, memoryMb, memoryReport } from "../src/memory";
import { replaced } from "../src/replaced";
import { Restarts } from "../src/restarts";
import { stackText } from "../src/stackText";
import { shellLine, underLinnix } from "../src/underLinnix";
import { verdict } from "../src/verdict";
import { aFinding } from "./samples";

const PLACES: Places = {
  path: [],
  interpreter: [],
  extensionFolder: "/ext",
  workspaceFolders: ["/work"],
  environment: { VIRTUAL_ENV: "/venv", PATH: "/usr/bin:bin::/opt/bin", HOME: "/home/me" },
};

test("settings are looked at first, then what is bundled, then the environment", () => {
  const everywhere = () => true;
  const asked: string[] = [];
  const nowhere = (path: string) => {
    asked.push(path);
    return false;
  };
  assert.equal(
    findServer({ ...PLACES, path: ["/x/linnix-ls", "-v"], interpreter: ["py"] }, everywhere)?.command,
    "/x/linnix-ls",
  );
  assert.deepEqual(findServer({ ...PLACES, interpreter: ["/x/python"] }, everywhere)?.args, [
    "-m",
    "linnix_ls.cli.main",
  ]);
  assert.equal(findServer(PLACES, everywhere)?.origin, "bundled");
  assert.equal(findServer(PLACES, nowhere), null);
  assert.deepEqual(asked, [
    "/ext/bundled/bin/linnix-ls",
    "/work/.venv/bin/linnix-ls",
    "/venv/bin/linnix-ls",
    "/usr/bin/linnix-ls",
    "/opt/bin/linnix-ls",
    "/home/me/.local/bin/linnix-ls",
  ]);
});

test("what a setting names is not replaced by something else", () => {
  const found = findServer({ ...PLACES, path: ["/not/there"] }, (path) => path !== "/not/there");
  assert.equal(found?.command, "/not/there");
});

test("after each crash it waits longer, and after five it gives up", () => {
  const restarts = new Restarts();
  const pauses = [0, 1000, 3000, 6000, 12_000].map((now) => restarts.crashed(now));
  assert.deepEqual(pauses, [500, 1000, 2000, 4000, null]);
  restarts.forget();
  assert.equal(restarts.crashed(13_000), 500);
});

test("a crash now and then is no reason to give up", () => {
  const restarts = new Restarts();
  for (let hour = 0; hour < 20; hour++) {
    assert.equal(restarts.crashed(hour * 3_600_000), 500);
  }
});

test("settings are replaced wherever they are, and what stands beside them is kept", () => {
  const written = { enable: true, explain: { source: "openai", endpoint: { url: "http://x" } } };
  const values = new Map([
    ["explain.endpoint.url", null],
    ["explain.source", "auto"],
    ["path", undefined],
  ]);
  assert.deepEqual(replaced(written, values), {
    enable: true,
    explain: { source: "auto", endpoint: { url: null } },
    path: null,
  });
  assert.equal(written.explain.source, "openai");
  assert.deepEqual(replaced({ explain: "x" }, new Map([["explain.source", "a"]])), {
    explain: { source: "a" },
  });
});

test("the foreground job is read of a shell with any name", () => {
  assert.equal(foregroundJob("100 (ba) sh) S 1 100 100 34816 250 0"), 250);
  assert.equal(foregroundJob("100 (bash) S 1 100 100 34816 100 0"), null);
  assert.equal(foregroundJob("100 (bash) S 1 100 100 0 -1 0"), null);
  assert.equal(foregroundJob(""), null);
  foregroundJob(readFileSync("/proc/self/stat", "utf8"));
});

test("inline text says what it does, how much and since when", () => {
  const now = Date.parse("2026-01-31T12:00:12.500Z");
  assert.equal(inlineText([aFinding()], now), "python3 spins · 0.99 cores · for 12 s");
  const storm = aFinding({
    kind: "fork_storm",
    onset_at: null,
    evidence: [
      { id: "e1", name: "starts_per_s", value: 61.238, unit: "starts/s", window_s: 1, source: "" },
    ],
  });
  assert.equal(inlineText([storm], now), "python3 starts processes without end · 61.2 starts/s");
});

test("an explanation has the rules' words, the note under its name, and evidence", () => {
  const explanation = {
    by: "rules",
    summary: "drain spins",
    why: "It asks again and again.",
    fix: ["Wait with `select`."],
    otherwise: "",
    note: { model: "Small", text: "Use <b>select</b>." },
  };
  const text = explanationText(aFinding(), { explanation, note_problem: null });
  assert.match(text, /^# drain spins\n/);
  assert.match(text, /## What to change\n\n- Wait with \\`select\\`\\\./);
  assert.match(text, /## Note by Small\n\nUse \\<b\\>/);
  assert.match(text, /\| on cpu cores \| 0\\\.99 cores \| samples \|/);
  assert.match(explanationText(aFinding(), { explanation: null, note_problem: "none" }), /\*none\*/);
});

test("the debugged process is the one that the adapter names, or the session", () => {
  const event = (body: object) => ({ type: "event", event: "process", body });
  const python = { name: "x [7]", type: "debugpy" };
  assert.equal(debuggedPid(event({ systemProcessId: 42 }), python), 42);
  assert.equal(debuggedPid(event({ systemProcessId: 42, isLocalProcess: false }), python), null);
  assert.equal(debuggedPid(event({ systemProcessId: "42" }), python), null);
  const initialized = { type: "event", event: "initialized" };
  const named = (name: string) => debuggedPid(initialized, { name, type: "pwa-node" });
  assert.deepEqual(["app.js [4711] « x", "app.js [4711]", "app.js [1]", "« [4711]", "x"].map(named), [
    4711,
    4711,
    null,
    null,
    null,
  ]);
  assert.equal(debuggedPid(initialized, python), null);
  assert.equal(debuggedPid(null, python), null);
});

test("a stack is plain text, with links to where its lines are", () => {
  const frame = { function: "drain", path: "/src/pump.py", uri: null, line: 41, is_user_code: true };
  const nasty = { ...frame, function: "[x](command:y)\n<b>", path: "built in\u202e", line: null, is_user_code: false };
  const { text, links } = stackText(
    { pid: 7, name: "python3" },
    { threads: [{ tid: 7, is_running: true, frames: [frame, nasty] }], problem: null, took_s: 0.1 },
    "12:00",
  );
  const lines = text.split("\n");
  assert.deepEqual(links.map(({ textLine, start, end }) => lines[textLine]?.slice(start, end)), ["/src/pump.py:41"]);
  assert.equal(lines[3], "Thread 7, on a CPU");
  assert.equal(lines[4], "  > drain  /src/pump.py:41");
  assert.equal(lines.length, 7);
  assert.doesNotMatch(text.replaceAll("\n", ""), /[\p{Cc}\p{Cf}]/u);
});

test("a stack that could not be read says why", () => {
  const { text } = stackText({ pid: 7, name: "x" }, { threads: [], problem: "it has ended", took_s: 0 }, "");
  assert.match(text, /^it has ended$/m);
});

test("a command under linnix-ls keeps its words, and a line goes to a shell", () => {
  const server = { command: "/opt/linnix-ls", args: ["-v"], origin: "" };
  assert.deepEqual(underLinnix(server, ["make", "a b"]), ["/opt/linnix-ls", "-v", "run", "--", "make", "a b"]);
  assert.deepEqual(underLinnix(server, "make && x", ["--json", "-"], "/bin/zsh").slice(2), [
    "run", "--json", "-", "--", "/bin/zsh", "-c", "make && x",
  ]);
  assert.equal(shellLine("make && x", []), "make && x");
  assert.equal(shellLine({ value: "a b" }, ["c", { value: "$d" }]), "'a b' c '$d'");
});

test("memory is read of what is there", async () => {
  assert.ok(((await memoryMb(process.pid)) ?? 0) > 10);
  assert.equal(await memoryMb(undefined), null);
  assert.ok(Array.isArray(await agentPids()));
  assert.match(await memoryReport(undefined), /^server not running; agent.*; extension host.* \d+ MB/);
});

test("a test that is run again passes when nothing runs away, and it says so", () => {
  assert.deepEqual(verdict('{"findings": []}', 0), { result: "passed", problems: [] });
  assert.match(verdict('{"findings": []}', 1).problems[0]?.text ?? "", /ended with 1/);
  assert.equal(verdict(null, 127).result, "errored");
  assert.throws(() => verdict("{", 0));
  const findings = [
    { kind: "cpu_spin", location: { path: "/src/pump.py", line: 41 }, explanation: null },
  ];
  assert.deepEqual(verdict(JSON.stringify({ findings }), 3), {
    result: "failed",
    problems: [{ text: "cpu_spin", path: "/src/pump.py", line: 41 }],
  });
});
