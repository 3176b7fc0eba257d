// Numbers and words for people. Knows no DOM.

import { commandLine, plural, visible } from "../src/text";
import type { Evidence, Finding, Place, Run, Span } from "./data";
import type { Bar } from "./layout";

const SIGNALS: Record<number, string> = {
  1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
  9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU",
};

/** With as many digits as somebody reads: "0.42 s", "12.3 s", "2 min 5 s". */
export function seconds(value: number): string {
  if (value < 0.0995) {
    return `${Math.max(0, Math.round(value * 1000))} ms`;
  }
  if (value < 9.95) {
    return `${value.toFixed(value < 0.995 ? 2 : 1)} s`;
  }
  if (value < 99.5) {
    return `${value.toFixed(value % 1 === 0 ? 0 : 1)} s`;
  }
  const whole = Math.round(value);
  return whole < 3600
    ? `${Math.floor(whole / 60)} min ${whole % 60} s`
    : `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** A moment on the axis, as exactly as the ticks stand apart. */
export function moment(at_s: number, step_s: number): string {
  if (step_s < 0.01 && at_s < 1) {
    return `${Number((at_s * 1000).toFixed(step_s < 0.001 ? 1 : 0))} ms`;
  }
  if (at_s < 100) {
    return `${Number(at_s.toFixed(step_s < 0.01 ? 3 : step_s < 0.1 ? 2 : step_s < 1 ? 1 : 0))} s`;
  }
  const minutes = Math.floor(at_s / 60);
  const rest = Number((at_s % 60).toFixed(step_s < 1 ? 1 : 0));
  return `${minutes} min${rest > 0 ? ` ${rest} s` : ""}`;
}

export function bytes(value: number): string {
  const megabytes = value / 1e6;
  if (megabytes >= 1000) {
    return `${(megabytes / 1000).toFixed(1)} GB`;
  }
  return megabytes >= 10 ? `${Math.round(megabytes)} MB` : `${Number(megabytes.toFixed(1))} MB`;
}

export function cores(value: number): string {
  const rounded = Number(value.toFixed(value < 10 ? 2 : 1));
  return `${rounded} ${rounded === 1 ? "core" : "cores"}`;
}

export function endOf(each: { exit_code: number | null; term_signal: number | null }): string {
  if (each.term_signal) {
    return `ended by ${SIGNALS[each.term_signal] ?? `signal ${each.term_signal}`}`;
  }
  return each.exit_code === null ? "ended" : `ended with exit code ${each.exit_code}`;
}

export function hasFailed(each: { exit_code: number | null; term_signal: number | null }): boolean {
  return (each.term_signal ?? 0) !== 0 || (each.exit_code ?? 0) !== 0;
}

export function lifeOf(span: Span, now_s: number): string {
  const end_s = span.ended_s ?? now_s;
  const length = seconds(end_s - span.began_s);
  return span.ended_s === null ? `running for ${length}` : `${endOf(span)} after ${length}`;
}

/** Of the time it lived, on average. */
export function coresOf(span: Span, now_s: number): number {
  const length_s = (span.ended_s ?? now_s) - span.began_s;
  return span.cpu_s / Math.max(length_s, 0.05);
}

/** The program without its folder, and its arguments. */
export function shortCommand(span: { argv: readonly string[]; comm: string }): string {
  const [program, ...rest] = span.argv;
  return visible(program ? commandLine([baseName(program) || program, ...rest]) : span.comm, 300);
}

export function wholeCommand(span: { argv: readonly string[]; comm: string }): string {
  return visible(span.argv.length > 0 ? commandLine(span.argv) : span.comm, 4000);
}

/** Of what is drawn as one: "48 × cc1plus", or the process' name. */
export function barName(bars: readonly Bar[]): string {
  const members = bars.flatMap((bar) => bar.members);
  const [first] = members;
  if (!first || members.length === 1) {
    return visible(first?.comm ?? "", 60);
  }
  return members.every((member) => member.comm === first.comm)
    ? `${members.length} × ${visible(first.comm, 60)}`
    : plural(members.length, "process", "processes");
}

export function runName(run: Run): string {
  return run.label === null || run.label === "" ? shortCommand(run) : visible(run.label, 200);
}

export function runState(run: Run): string {
  const length = seconds(run.duration_s);
  if (!run.has_ended) {
    return `running for ${length}`;
  }
  const left = run.n_alive > 0 ? `, ${run.n_alive} still alive` : "";
  return `${endOf(run)} after ${length}${left}`;
}

const KINDS: Record<string, string> = {
  cpu_spin: "uses a CPU and gets nowhere",
  fork_storm: "starts processes without end",
  stuck: "is stuck",
  leaked_child: "was left behind",
  memory_runaway: "takes memory without end",
};

export function findingTitle(finding: Finding): string {
  const does = KINDS[finding.kind] ?? finding.kind.replaceAll("_", " ");
  return visible(finding.explanation?.summary ?? `${finding.comm} ${does}`, 400);
}

/** How it stands: "for 4.2 s now", "ended", "dismissed". */
export function findingState(finding: Finding, now_s: number): string {
  const since = finding.onset_s;
  if (finding.state === "cleared") {
    return "dismissed";
  }
  if (since === null) {
    return finding.state === "raised" ? "going on" : "ended";
  }
  return finding.state === "raised"
    ? `for ${seconds(now_s - since)}`
    : `over, after ${seconds(Math.max(0, (finding.ended_s ?? now_s) - since))}`;
}

export function placeName(place: Place): string {
  return visible(`${baseName(place.path)}:${place.line}`, 200);
}

export function evidenceName(each: Evidence): string {
  return visible(each.name.replaceAll("_", " "), 200);
}

/** A word has no unit that a reader needs. */
export function evidenceValue(each: Evidence): string {
  if (typeof each.value === "string") {
    return visible(each.value, 500);
  }
  const value = each.value.toLocaleString("en-US", { maximumSignificantDigits: 4 });
  return visible(`${value} ${each.unit}`.trim(), 500);
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
