import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { explanationText } from "../src/explanationText";
import { foregroundJob } from "../src/foreground";
import { inlineText } from "../src/inlineText";
import { findServer, type Places } from "../src/lookup";
import { replaced } from "../src/replaced";
import { Restarts } from "../src/restarts";
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
