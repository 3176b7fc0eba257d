// Takes of an answer about probes what is as promised, and leaves out the rest: keys, values and
// fields hold what processes and files are called.

import { asFields, count, list, numberOrNull, positive, text, textOrNull, wholeOrNull } from "../parse";
import type { Permission, Plain, PlainFields, Probe, ProbeEvent, ProbeFile, ProbeMap, Program, Reading } from "./data";

const MAX_NAME = 300;
const MAX_DEPTH = 6;
const MAX_PLAIN_TEXT = 2000;
const MAX_ENTRIES = 200;
/** Of one answer; the server keeps as many. */
export const MAX_EVENTS = 1000;

export function parseProbes(answer: unknown): { permission: Permission; probes: Probe[] } {
  const fields = asFields(answer);
  return {
    permission: parsePermission(fields?.permission),
    probes: list(fields?.probes, 100).flatMap((each) => parseProbe(each) ?? []),
  };
}

export function parsePermission(value: unknown): Permission {
  const fields = asFields(value);
  return {
    may_load: fields?.may_load === true,
    why: textOrNull(fields?.why),
    fix: textOrNull(fields?.fix),
  };
}

/** Null where there is no probe in it. */
export function parseReading(answer: unknown): Reading | null {
  const fields = asFields(answer);
  const probe = parseProbe(fields?.summary);
  return fields && probe
    ? {
        probe,
        maps: list(fields.maps, 200).flatMap((each) => parseMap(each) ?? []),
        events: list(fields.events, Infinity)
          .slice(-MAX_EVENTS)
          .flatMap((each) => parseEvent(each) ?? []),
        n_events: count(fields.n_events),
      }
    : null;
}

const STATES = ["running", "ended", "off"] as const;

function parseProbe(value: unknown): Probe | null {
  const fields = asFields(value);
  if (!fields || typeof fields.id !== "string") {
    return null;
  }
  return {
    id: text(fields.id, MAX_NAME),
    uri: textOrNull(fields.uri),
    name: text(fields.name, MAX_NAME),
    is_own: fields.is_own === true,
    files: list(fields.files, 50).flatMap((each) => parseFile(each) ?? []),
    generation: wholeOrNull(fields.generation),
    state: STATES.find((each) => each === fields.state) ?? "ended",
    programs: list(fields.programs, 100).flatMap((each) => parseProgram(each) ?? []),
    cpu_share: numberOrNull(fields.cpu_share),
    events_per_s: numberOrNull(fields.events_per_s),
    n_lost: count(fields.n_lost),
    age_s: positive(fields.age_s),
    ttl_s: numberOrNull(fields.ttl_s),
    problem: textOrNull(fields.problem),
    note: textOrNull(fields.note),
    can_roll_back: fields.can_roll_back === true,
  };
}

function parseFile(value: unknown): ProbeFile | null {
  const fields = asFields(value);
  return fields && typeof fields.uri === "string"
    ? {
        name: text(fields.name, MAX_NAME),
        uri: fields.uri,
        is_edited: fields.is_edited === true,
        is_outdated: fields.is_outdated === true,
      }
    : null;
}

function parseProgram(value: unknown): Program | null {
  const fields = asFields(value);
  return (
    fields && {
      name: text(fields.name, MAX_NAME),
      attached_to: text(fields.attached_to, MAX_NAME),
      line: wholeOrNull(fields.line),
      runs_per_s: numberOrNull(fields.runs_per_s),
      ns_per_run: numberOrNull(fields.ns_per_run),
      n_instructions: count(fields.n_instructions),
    }
  );
}

function parseMap(value: unknown): ProbeMap | null {
  const fields = asFields(value);
  if (!fields) {
    return null;
  }
  const entries: [Plain, Plain][] = [];
  const per_cpu: Plain[][] = [];
  const cpus = list(fields.per_cpu, MAX_ENTRIES);
  list(fields.entries, MAX_ENTRIES).forEach((each, index) => {
    if (Array.isArray(each) && each.length === 2) {
      entries.push([plain(each[0]), plain(each[1])]);
      per_cpu.push(list(cpus[index]).map((one) => plain(one)));
    }
  });
  return {
    name: text(fields.name, MAX_NAME),
    type: text(fields.type, MAX_NAME),
    line: wholeOrNull(fields.line),
    n_entries: Math.max(count(fields.n_entries), entries.length),
    is_histogram: fields.is_histogram === true,
    entries,
    per_cpu: cpus.length > 0 ? per_cpu : [],
  };
}

function parseEvent(value: unknown): ProbeEvent | null {
  const fields = asFields(value);
  const named = plain(fields?.fields);
  return fields && Number.isSafeInteger(fields.sequence)
    ? {
        sequence: count(fields.sequence),
        ktime_ns: /^\d{1,20}$/.exec(text(fields.ktime_ns))?.[0] ?? "0",
        map: text(fields.map, MAX_NAME),
        generation: count(fields.generation),
        fields: isObject(named) ? named : {},
      }
    : null;
}

export function isObject(value: Plain): value is PlainFields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function plain(value: unknown, depth = 0): Plain {
  switch (typeof value) {
    case "string":
      return text(value, MAX_PLAIN_TEXT);
    case "number":
    case "boolean":
      return value;
    case "object":
      if (value === null || depth >= MAX_DEPTH) {
        return null;
      }
      return Array.isArray(value)
        ? list(value).map((each) => plain(each, depth + 1))
        : // A name such as __proto__ is a name like any other here.
          Object.fromEntries(Object.entries(value).slice(0, 200).map(([name, each]) => [name, plain(each, depth + 1)]));
    default:
      return null;
  }
}
