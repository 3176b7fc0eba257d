import assert from "node:assert/strict";
import { test } from "node:test";
import type { Status } from "../src/protocol";
import { statusReport, statusShown } from "../src/statusText";
import { aFinding } from "./samples";

const WATCHING: Status = {
  version: "0.1.0",
  state: "watching",
  tracer: "bcc",
  degraded: null,
  fix: null,
  events: { received: 10, lost: 0, processes: 3 },
};
const DEGRADED: Status = {
  ...WATCHING,
  tracer: "psutil",
  degraded: "no eBPF: short processes are not seen",
  fix: "sudo linnix-ls agent",
};
const RUNNING = { kind: "running" } as const;

test("watching says by what", () => {
  const shown = statusShown(RUNNING, WATCHING, []);
  assert.deepEqual([shown.health, shown.text, shown.isProblem], ["watching", "$(eye) linnix", false]);
  assert.match(shown.tooltip, /watching, by bcc/);
});

test("only open findings are counted", () => {
  const findings = [aFinding(), aFinding({ id: "f2", state: "ended" })];
  assert.equal(statusShown(RUNNING, WATCHING, findings).text, "$(eye) linnix $(warning) 1");
});

test("degraded says why and what helps, and is no alarm", () => {
  const shown = statusShown(RUNNING, DEGRADED, []);
  assert.deepEqual([shown.health, shown.isProblem], ["degraded", false]);
  assert.match(shown.tooltip, /no eBPF.*What helps: sudo linnix\\-ls agent/s);
});

test("off says why", () => {
  const off: Status = { ...WATCHING, state: "off", degraded: "switched off: linnix.enable" };
  assert.equal(statusShown(RUNNING, off, []).text, "$(eye-closed) linnix off");
  assert.match(statusShown(RUNNING, off, []).tooltip, /switched off/);
  assert.equal(statusShown({ kind: "missing" }, null, []).health, "missing");
  assert.match(statusShown({ kind: "failed", reason: "no module" }, null, []).tooltip, /no module/);
  assert.equal(statusShown({ kind: "restarting", reason: "x" }, null, []).health, "loading");
});

test("lost events are told", () => {
  const lossy: Status = { ...WATCHING, events: { received: 90, lost: 2, processes: 1 } };
  assert.match(statusShown(RUNNING, lossy, []).tooltip, /2 events lost of 90/);
});

test("the report is lines, whatever is in it", () => {
  const report = statusReport({
    extensionVersion: "0.1.0",
    editor: "VS Code 1.93.0",
    system: "Linux",
    command: { command: "/opt/a b/linnix-ls", args: [], origin: "linnix.path" },
    server: { kind: "failed", reason: "bad\nthing" },
    status: DEGRADED,
    findings: [aFinding()],
    isTrusted: false,
    serverMemoryMb: 42,
  });
  assert.match(report, /^server command: '\/opt\/a b\/linnix-ls' \(linnix\.path\)$/m);
  assert.match(report, /^findings: cpu_spin\/busy_poll raised$/m);
  assert.ok(report.trimEnd().split("\n").every((line) => /^[a-z ]+: ./.test(line)));
});
