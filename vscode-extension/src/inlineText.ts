// What is said at the end of the line of a process that is running away. Knows nothing of VS Code.

import type { Finding } from "./protocol";
import { duration, visible } from "./text";

const VERBS: Record<string, string> = {
  cpu_spin: "spins",
  fork_storm: "starts processes without end",
  stuck: "is stuck",
  leaked_child: "was left behind",
  memory_runaway: "takes memory without end",
};

// The measurements that say most in few words, the best first.
const TELLING: [string, string][] = [
  ["starts_per_s", "starts/s"],
  ["rss_growth", "MB/s"],
  ["on_cpu_cores", "cores"],
];

/** For all findings of one line together. */
export function inlineText(findings: readonly Finding[], nowMs: number): string {
  return findings.map((finding) => `${visible(finding.process.comm, 30)} ${said(finding, nowMs)}`).join("; ");
}

function said(finding: Finding, nowMs: number): string {
  const parts = [VERBS[finding.kind] ?? finding.kind.replaceAll("_", " ")];
  for (const [name, unit] of TELLING) {
    const measured = finding.evidence.find((each) => each.name === name);
    if (typeof measured?.value === "number" && !(finding.kind === "stuck" && unit === "cores")) {
      parts.push(`${Number(measured.value.toPrecision(3))} ${unit}`);
      break;
    }
  }
  const since = finding.onset_at ? Date.parse(finding.onset_at) : NaN;
  if (!Number.isNaN(since)) {
    parts.push(`for ${duration((nowMs - since) / 1000)}`);
  }
  return parts.join(" · ");
}
