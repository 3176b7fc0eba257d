// What the server says in its own methods (docs/lsp.md), as far as it is used here.

export interface Key {
  pid: number;
  start_ticks: number;
}

export type Severity = "error" | "warning" | "information" | "hint";

export interface Status {
  version: string;
  state: "loading" | "watching" | "off";
  tracer: string | null;
  degraded: string | null;
  fix: string | null;
  events: { received: number; lost: number; processes: number };
  explain?: { source: string; problem: string | null; fix: string | null };
}

export interface Evidence {
  id: string;
  name: string;
  value: number | string;
  unit: string;
  window_s: number | null;
  source: string;
}

export interface Explanation {
  by: string;
  summary: string;
  why: string;
  fix: string[];
  otherwise: string;
  note: { model: string; text: string } | null;
}

export interface Finding {
  id: string;
  kind: string;
  cause: string;
  severity: Severity;
  state: "raised" | "ended";
  process: Key & { comm: string; argv: string[]; cwd: string | null };
  ancestry: { pid: number; comm: string; argv: string[] }[];
  run: Key | null;
  location: { uri: string | null; path: string; line: number; function: string | null } | null;
  test: string | null;
  onset_at: string | null;
  evidence: Evidence[];
  explanation: Explanation | null;
}

export interface Process extends Key {
  parent: Key | null;
  run: Key | null;
  comm: string;
  argv: string[];
  cwd: string | null;
  on_cpu_cores: number;
  /** Null once it has ended, or where it is not known. */
  rss_bytes: number | null;
  /** Children that it has started since it is watched. */
  n_forks: number;
  state: ProcessState;
  age_s: number;
  exit_code: number | null;
  term_signal: number | null;
  has_ended: boolean;
  finding_ids: string[];
}

export type ProcessState =
  | "running"
  | "sleeping"
  | "uninterruptible"
  | "stopped"
  | "zombie"
  | "ended"
  | "unknown";

/** What started a run. */
export type Source =
  | "task"
  | "terminal"
  | "debug"
  | "test"
  | "extension"
  | "editor"
  | "folder"
  | "other";

export interface Run extends Key {
  /** What it was called to the server. */
  label: string | null;
  source: Source;
  comm: string;
  argv: string[];
  cwd: string | null;
  began_at: string;
  duration_s: number;
  /** Its first process has; others of it may go on. */
  has_ended: boolean;
  exit_code: number | null;
  term_signal: number | null;
  n_processes: number;
  n_alive: number;
  on_cpu_cores: number;
  peak_cores: number;
  peak_processes: number;
  peak_rss_bytes: number | null;
  findings: { id: string; kind: string; state: "raised" | "ended" | "cleared"; summary: string }[];
}

export interface Stacks {
  threads: { tid: number; is_running: boolean | null; frames: Frame[] }[];
  /** Why nothing could be read. */
  problem: string | null;
  took_s: number;
}

export interface Frame {
  function: string | null;
  path: string | null;
  uri: string | null;
  line: number | null;
  is_user_code: boolean;
}

export interface Stopped {
  outcome: "stopped" | "already_gone" | "not_confirmed" | "refused" | "unknown_finding" | "unknown_process";
}

export interface FindingsChange {
  findings: Finding[];
  removed: string[];
}

export interface Explained {
  explanation: Explanation | null;
  note_problem: string | null;
}

/** Identifies a process: a pid alone may be used again. */
export function keyText(key: Key): string {
  return `${key.pid}:${key.start_ticks}`;
}
