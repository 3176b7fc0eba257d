// Takes of an answer what is as promised, and leaves out the rest. Names, arguments and texts of
// processes are foreign, and a view must survive whatever a server, or somebody in its place, says.

import type { Curves, Evidence, Finding, Key, Place, Run, Span, Stack } from "./data";
import { keyText } from "./data";

type Fields = Record<string, unknown>;

const MAX_TEXT = 20_000;
const MAX_WORD = 2000;
const MAX_WORDS = 200;
const MAX_LISTED = 1000;

export interface Parsed {
  run: Run;
  spans: Span[];
  n_left_out: number;
  curves: Curves;
  findings: Finding[];
}

/** Null where there is no run in it at all. */
export function parseAnswer(answer: unknown): Parsed | null {
  const fields = asFields(answer);
  const run = fields ? parseRun(fields.run) : null;
  if (!fields || !run) {
    return null;
  }
  const beganMs = run.began_at === null ? NaN : Date.parse(run.began_at);
  return {
    run,
    spans: list(fields.processes, Infinity).flatMap((each) => parseSpan(each) ?? []),
    n_left_out: count(fields.n_left_out),
    curves: parseCurves(fields.curves),
    findings: list(fields.findings).flatMap((each) => parseFinding(each, beganMs) ?? []),
  };
}

export function asFields(value: unknown): Fields | null {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : null;
}

export function parseKey(value: unknown): Key | null {
  const fields = asFields(value);
  const { pid, start_ticks } = fields ?? {};
  return isWhole(pid) && isWhole(start_ticks) ? { pid, start_ticks } : null;
}

function parseRun(value: unknown): Run | null {
  const key = parseKey(value);
  const fields = asFields(value);
  if (!key || !fields) {
    return null;
  }
  return {
    ...key,
    label: textOrNull(fields.label),
    comm: text(fields.comm),
    argv: words(fields.argv),
    cwd: textOrNull(fields.cwd),
    began_at: textOrNull(fields.began_at),
    duration_s: positive(fields.duration_s),
    has_ended: fields.has_ended === true,
    exit_code: wholeOrNull(fields.exit_code),
    term_signal: wholeOrNull(fields.term_signal),
    n_processes: count(fields.n_processes),
    n_alive: count(fields.n_alive),
    on_cpu_cores: positive(fields.on_cpu_cores),
    cpu_s: positive(fields.cpu_s),
    rss_bytes: numberOrNull(fields.rss_bytes),
    peak_cores: positive(fields.peak_cores),
    peak_processes: count(fields.peak_processes),
    peak_rss_bytes: numberOrNull(fields.peak_rss_bytes),
  };
}

function parseSpan(value: unknown): Span | null {
  const key = parseKey(value);
  const fields = asFields(value);
  if (!key || !fields) {
    return null;
  }
  const parent = parseKey(fields.parent);
  const began_s = positive(fields.began_s);
  const ended_s = numberOrNull(fields.ended_s);
  return {
    ...key,
    id: keyText(key),
    parent: parent ? keyText(parent) : null,
    comm: text(fields.comm, MAX_WORD),
    argv: words(fields.argv),
    began_s,
    ended_s: ended_s === null ? null : Math.max(began_s, ended_s),
    exit_code: wholeOrNull(fields.exit_code),
    term_signal: wholeOrNull(fields.term_signal),
    cpu_s: positive(fields.cpu_s),
    n_forks: count(fields.n_forks),
    finding_ids: list(fields.finding_ids).map((each) => text(each)),
  };
}

function parseCurves(value: unknown): Curves {
  const fields = asFields(value) ?? {};
  const numbers = (each: unknown) => list(each, 10_000).map((one) => positive(one));
  const curves = {
    at_s: numbers(fields.at_s),
    cores: numbers(fields.cores),
    n_processes: numbers(fields.n_processes),
    rss_bytes: list(fields.rss_bytes, 10_000).map((one) => numberOrNull(one)),
  };
  const length = Math.min(...Object.values(curves).map((each) => each.length));
  return {
    at_s: curves.at_s.slice(0, length),
    cores: curves.cores.slice(0, length),
    n_processes: curves.n_processes.slice(0, length),
    rss_bytes: curves.rss_bytes.slice(0, length),
  };
}

const SEVERITIES = ["error", "warning", "information", "hint"] as const;
const STATES = ["raised", "ended", "cleared"] as const;

function parseFinding(value: unknown, beganMs: number): Finding | null {
  const fields = asFields(value);
  const process = fields ? parseKey(fields.process) : null;
  if (!fields || !process || typeof fields.id !== "string") {
    return null;
  }
  const since = (time: unknown) => {
    const seconds = (Date.parse(text(time)) - beganMs) / 1000;
    return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
  };
  return {
    id: fields.id,
    kind: text(fields.kind, MAX_WORD),
    severity: SEVERITIES.find((each) => each === fields.severity) ?? "warning",
    state: STATES.find((each) => each === fields.state) ?? "raised",
    process: keyText(process),
    comm: text(asFields(fields.process)?.comm, MAX_WORD),
    location: parsePlace(fields.location),
    other_locations: list(fields.other_locations, 50).flatMap((each) => parsePlace(each) ?? []),
    test: textOrNull(fields.test),
    onset_s: since(fields.onset_at),
    ended_s: since(fields.ended_at),
    evidence: list(fields.evidence).flatMap((each) => parseEvidence(each) ?? []),
    explanation: parseExplanation(fields.explanation),
  };
}

function parseEvidence(value: unknown): Evidence | null {
  const fields = asFields(value);
  const { value: measured } = fields ?? {};
  return fields && (typeof measured === "number" || typeof measured === "string")
    ? {
        id: text(fields.id),
        name: text(fields.name, MAX_WORD),
        value: measured,
        unit: text(fields.unit, MAX_WORD),
        window_s: numberOrNull(fields.window_s),
        source: text(fields.source, MAX_WORD),
      }
    : null;
}

function parseExplanation(value: unknown): Finding["explanation"] {
  const fields = asFields(value);
  if (!fields) {
    return null;
  }
  const note = asFields(fields.note);
  return {
    summary: text(fields.summary),
    why: text(fields.why),
    fix: list(fields.fix).map((each) => text(each)),
    otherwise: text(fields.otherwise),
    cites: list(fields.cites).map((each) => text(each)),
    note: note ? { model: text(note.model), text: text(note.text) } : null,
  };
}

function parsePlace(value: unknown): Place | null {
  const fields = asFields(value);
  if (!fields || typeof fields.path !== "string" || !isWhole(fields.line)) {
    return null;
  }
  return {
    uri: textOrNull(fields.uri),
    path: text(fields.path),
    line: fields.line,
    function: textOrNull(fields.function),
    role: textOrNull(fields.role),
  };
}

export function parseStack(value: unknown): Stack | null {
  const fields = asFields(value);
  return fields
    ? {
        threads: list(fields.threads).flatMap((each) => {
          const thread = asFields(each);
          return thread
            ? {
                tid: count(thread.tid),
                is_running: typeof thread.is_running === "boolean" ? thread.is_running : null,
                frames: list(thread.frames).flatMap((frame) => {
                  const known = asFields(frame);
                  return known
                    ? {
                        uri: textOrNull(known.uri),
                        path: text(known.path),
                        line: count(known.line),
                        function: textOrNull(known.function),
                        role: null,
                        is_user_code: known.is_user_code === true,
                      }
                    : [];
                }),
              }
            : [];
        }),
        problem: textOrNull(fields.problem),
        took_s: numberOrNull(fields.took_s),
      }
    : null;
}

export function list(value: unknown, limit = MAX_LISTED): unknown[] {
  return Array.isArray(value) ? (value as unknown[]).slice(0, limit) : [];
}

function words(value: unknown): string[] {
  return list(value, MAX_WORDS).map((each) => text(each, MAX_WORD));
}

export function text(value: unknown, limit = MAX_TEXT): string {
  return typeof value === "string" ? value.slice(0, limit) : "";
}

export function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? text(value) : null;
}

export function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

export function wholeOrNull(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) ? value : null;
}

export function numberOrNull(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function positive(value: unknown): number {
  return Math.max(0, numberOrNull(value) ?? 0);
}

export function count(value: unknown): number {
  return isWhole(value) ? value : 0;
}
