// The one interface between the details view and wherever it is shown: what it is told of a run,
// and what it may ask for. It has an adapter for VS Code (`vscode.ts`) and one that plays what
// was recorded (`dev/`); a page in a browser needs a third and nothing else.
//
// Names are those of the server's methods (docs/lsp.md, linnix/run).

import type { Source } from "./source";

export interface Key {
  pid: number;
  start_ticks: number;
}

/** A process from its beginning to its end; times are seconds since the run began. */
export interface Span extends Key {
  /** `keyText` of it, and of its parent. */
  id: string;
  parent: string | null;
  comm: string;
  argv: string[];
  began_s: number;
  ended_s: number | null;
  exit_code: number | null;
  term_signal: number | null;
  cpu_s: number;
  n_forks: number;
  finding_ids: string[];
}

export interface Run extends Key {
  label: string | null;
  comm: string;
  argv: string[];
  cwd: string | null;
  began_at: string | null;
  duration_s: number;
  has_ended: boolean;
  exit_code: number | null;
  term_signal: number | null;
  n_processes: number;
  n_alive: number;
  on_cpu_cores: number;
  cpu_s: number;
  rss_bytes: number | null;
  peak_cores: number;
  peak_processes: number;
  peak_rss_bytes: number | null;
}

export interface Place {
  uri: string | null;
  path: string;
  line: number;
  function: string | null;
  role: string | null;
}

export interface Evidence {
  id: string;
  name: string;
  value: number | string;
  unit: string;
  window_s: number | null;
  source: string;
}

export interface Finding {
  id: string;
  kind: string;
  severity: "error" | "warning" | "information" | "hint";
  state: "raised" | "ended" | "cleared";
  /** `keyText` of the guilty process. */
  process: string;
  comm: string;
  location: Place | null;
  other_locations: Place[];
  test: string | null;
  /** Seconds since the run began, null where the times of day are not known. */
  onset_s: number | null;
  ended_s: number | null;
  evidence: Evidence[];
  explanation: {
    summary: string;
    why: string;
    fix: string[];
    otherwise: string;
    cites: string[];
    note: { model: string; text: string } | null;
  } | null;
}

export interface Curves {
  at_s: number[];
  cores: number[];
  n_processes: number[];
  /** Null where it was not read. */
  rss_bytes: (number | null)[];
}

export interface StackThread {
  tid: number;
  is_running: boolean | null;
  frames: (Place & { is_user_code: boolean })[];
}

export interface Stack {
  threads: StackThread[];
  problem: string | null;
  took_s: number | null;
}

/** What to look at first; null leaves what is selected. */
export interface Focus {
  process: Key | null;
  finding_id: string | null;
}

/** `answer` is linnix/run's, as it came: all of the run, or what has changed in it. */
export type Update =
  | { state: "loading" | "none" | "gone" }
  | { state: "off"; reason: string }
  | { state: "known"; is_whole: boolean; answer: unknown; focus: Focus | null };

export type Action =
  | { kind: "open"; uri: string | null; path: string; line: number }
  | { kind: "stop"; process: Key; finding_id: string | null; tree: boolean }
  | { kind: "stack"; process: Key }
  | { kind: "copy"; text: string }
  | { kind: "dismiss"; finding_id: string }
  | { kind: "newest" }
  | { kind: "start" };

/** `message` is told to the user; `stack` is linnix/stack's answer, as it came. */
export interface Outcome {
  message: string | null;
  stack?: unknown;
}

export type RunSource = Source<Update, Action, Outcome>;

/** Identifies a process: a pid alone may be used again. */
export function keyText(key: Key): string {
  return `${key.pid}:${key.start_ticks}`;
}
