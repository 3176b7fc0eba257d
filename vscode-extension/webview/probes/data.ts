// The one interface between the probe view and wherever it is shown: what it is told of a probe,
// and what it may ask for. It has the same two adapters as the details view: VS Code, and a page
// in a browser that plays what was made up (`dev/`).
//
// Names are those of the server's methods (docs/lsp.md, linnix/probes and linnix/probe).

import type { Source } from "../source";

export interface Permission {
  may_load: boolean;
  why: string | null;
  /** A command for a shell. */
  fix: string | null;
}

export interface Program {
  name: string;
  attached_to: string;
  line: number | null;
  runs_per_s: number | null;
  ns_per_run: number | null;
  n_instructions: number;
}

/** A part of linnix-ls's own probes that the user has a copy of. */
export interface ProbeFile {
  name: string;
  uri: string;
  is_edited: boolean;
  is_outdated: boolean;
}

export interface Probe {
  id: string;
  uri: string | null;
  name: string;
  is_own: boolean;
  files: ProbeFile[];
  generation: number | null;
  state: "running" | "ended" | "off";
  programs: Program[];
  /** Of one CPU, over the last second. */
  cpu_share: number | null;
  events_per_s: number | null;
  n_lost: number;
  age_s: number;
  ttl_s: number | null;
  problem: string | null;
  note: string | null;
  can_roll_back: boolean;
}

/** A key, a value or a field: numbers, text, lists, objects by field. */
export type Plain = number | string | boolean | null | Plain[] | PlainFields;

export interface PlainFields {
  [name: string]: Plain;
}

export interface ProbeMap {
  name: string;
  type: string;
  line: number | null;
  n_entries: number;
  is_histogram: boolean;
  entries: [Plain, Plain][];
  /** Of each entry the value of each CPU, where they have one. */
  per_cpu: Plain[][];
}

export interface ProbeEvent {
  sequence: number;
  ktime_ns: string;
  map: string;
  generation: number;
  fields: PlainFields;
}

export interface Reading {
  probe: Probe;
  maps: ProbeMap[];
  /** Those after the last that was asked for, oldest first. */
  events: ProbeEvent[];
  /** Since the probe began. */
  n_events: number;
}

/**
 * `answer` is linnix/probe's, as it came, with the events since the last one that the view was
 * told. `first_slot`: of histograms by powers of two the slot that has 0 and 1, as far as the source
 * tells; else null. `document`: the probe source that it is about, as somebody calls it.
 */
export type Update =
  | { state: "loading" }
  | { state: "off"; reason: string }
  /** It does not run. */
  | { state: "idle"; document: string | null; permission: Permission }
  | {
      state: "known";
      is_whole: boolean;
      answer: unknown;
      /** Of the day, in seconds. */
      at_s: number;
      first_slot: number | null;
      permission: Permission;
    };

/** Done to the probe that is shown. */
export const DEEDS = ["run", "reload", "detach", "rollBack", "diff", "reset", "source"] as const;

export type Action =
  | { kind: (typeof DEEDS)[number] }
  | { kind: "open"; line: number }
  | { kind: "copy"; text: string }
  | { kind: "choose" }
  | { kind: "start" };

/** `message` is told to the user. */
export interface Outcome {
  message: string | null;
}

export type ProbeSource = Source<Update, Action, Outcome>;
