// What a probe does, in words and numbers for people. Knows no DOM.

import { duration, plural, visible } from "../../src/text";
import type { Probe, ProbeMap, Program } from "./data";
import type { Moment } from "./state";

/** With as many digits as somebody reads, and thousands apart. */
export function count(n: number): string {
  return n.toLocaleString("en-US", { maximumFractionDigits: n < 9.95 ? 1 : 0 });
}

/** Of one CPU: "0.03 %". */
export function share(value: number): string {
  const percent = value * 100;
  if (percent === 0) {
    return "0 %";
  }
  return percent < 0.01 ? "under 0.01 %" : `${Number(percent.toPrecision(percent < 0.1 ? 1 : 2))} %`;
}

export function perRun(ns: number): string {
  return ns < 1000 ? `${Math.round(ns)} ns` : `${Number((ns / 1000).toPrecision(2))} µs`;
}

/** Figures that are not known yet are left out. */
export interface Figure {
  name: string;
  value: string;
  isBad?: boolean;
}

export function figures(probe: Probe): Figure[] {
  const made: Figure[] = [];
  const { cpu_share, events_per_s, n_lost } = probe;
  if (cpu_share !== null) {
    made.push({ name: "of a CPU", value: share(cpu_share) });
  }
  const runs = runsPerS(probe.programs);
  if (runs !== null) {
    made.push({ name: "runs/s", value: count(runs) });
  }
  const each = nsPerRun(probe.programs);
  if (each !== null) {
    made.push({ name: "each", value: perRun(each) });
  }
  if (events_per_s !== null) {
    made.push({ name: "events/s", value: count(events_per_s) });
  }
  return [...made, { name: "lost", value: count(n_lost), isBad: n_lost > 0 }];
}

export function runsPerS(programs: readonly Program[]): number | null {
  const known = programs.flatMap(({ runs_per_s }) => runs_per_s ?? []);
  return known.length > 0 ? known.reduce((sum, each) => sum + each, 0) : null;
}

/** On average over all runs. */
export function nsPerRun(programs: readonly Program[]): number | null {
  let runs = 0;
  let ns = 0;
  for (const { runs_per_s, ns_per_run } of programs) {
    if (runs_per_s !== null && ns_per_run !== null) {
      runs += runs_per_s;
      ns += runs_per_s * ns_per_run;
    }
  }
  return runs > 0 ? ns / runs : null;
}

export function stateText(probe: Probe): string {
  switch (probe.state) {
    case "running":
      return probe.generation === null ? "running" : `running, generation ${probe.generation}`;
    case "ended":
      return "no longer running";
    case "off":
      return "off";
  }
}

/** "for 3 min", and when that is over by itself. */
export function ageText(probe: Probe): string {
  if (probe.state !== "running") {
    return "";
  }
  const ttl = probe.ttl_s === null ? "" : `, detached by itself in ${duration(probe.ttl_s)}`;
  return `for ${duration(probe.age_s)}${ttl}`;
}

/** What is told to those who listen when it is different. */
export function spokenState(probe: Probe): string {
  return [`${visible(probe.name)}: ${stateText(probe)}`, probe.problem, probe.note]
    .filter((words) => words !== null)
    .map((words) => visible(words, 500))
    .join(". ");
}

/** A long name that BCC makes, as it is in the source. */
export function programName(program: Program): string {
  return visible(program.name.replace(/^(raw_)?tracepoint__/, "").replaceAll("__", ":"), 100);
}

export function attachedTo(program: Program): string {
  return visible(program.attached_to || "not attached", 200);
}

export function mapTitle(map: ProbeMap): string {
  if (map.is_histogram) {
    return `histogram of ${count(map.entries.reduce((sum, [, n]) => sum + (Number(n) || 0), 0))}`;
  }
  return `${visible(map.type.replaceAll("_", " "), 60)}, ${plural(map.n_entries, "entry", "entries").replace(/^\d+/, count(map.n_entries))}`;
}

/** Of the boot: with microseconds, as events are that close. */
export function timeOf(ktime_ns: string): string {
  const digits = ktime_ns.padStart(10, "0");
  return `${digits.slice(0, -9)}.${digits.slice(-9, -3)}`;
}

/** What a curve shows, for those who do not see it. */
export function curveText(moments: readonly Moment[], of: (moment: Moment) => number, say: (value: number) => string): string {
  const last = moments.at(-1);
  if (!last) {
    return "nothing measured yet";
  }
  const most = Math.max(...moments.map(of));
  const span = duration(last.at_s - (moments[0]?.at_s ?? last.at_s));
  return `${say(of(last))} now, at most ${say(most)} in ${span}`;
}
