// What the probe view shows and what is chosen in it. Keeps a bounded number of events and of
// moments, however many come. Knows no DOM: the page asks it, tells it what the user does, and is
// drawn anew when it has changed.

import { asFields, list, numberOrNull } from "../parse";
import { cell, columnsOf, leaves, type Column } from "./columns";
import type { Permission, Plain, Probe, ProbeEvent, ProbeMap, Update } from "./data";
import { MAX_EVENTS, parseReading } from "./parse";
import { spokenState } from "./words";

/** So many seconds the curves go back. */
export const MAX_MOMENTS = 300;
const MAX_COLUMNS = 9;

/** An event with what its row shows and what a filter looks at. */
export interface Listed {
  event: ProbeEvent;
  cells: Map<string, Plain>;
  text: string;
}

/** How the probe did at a time of the day. */
export interface Moment {
  at_s: number;
  cpu_share: number;
  events_per_s: number;
  generation: number;
}

export class ProbeState {
  phase: Update["state"] = "loading";
  offReason = "";
  document: string | null = null;
  permission: Permission = { may_load: false, why: null, fix: null };
  probe: Probe | null = null;
  maps: ProbeMap[] = [];
  first_slot: number | null = null;
  n_events = 0;
  moments: Moment[] = [];
  query = "";
  /** The sequence of an event. */
  selected: number | null = null;
  announcement = "";
  columns: Column[] = [];
  /** Of each column, in characters; a column never becomes narrower while it is the same. */
  widths: number[] = [];
  private events: Listed[] = [];
  /** What was there when it was paused. */
  private paused: Listed[] | null = null;
  private found: Listed[] = [];
  /** How often each field has come, in the order in which they came first. */
  private paths = new Map<string, number>();
  /** Fields that hold text. */
  private texts = new Set<string>();

  /** @param onChange is called after each change */
  constructor(
    private readonly onChange: () => void,
    kept: unknown,
  ) {
    const fields = asFields(kept);
    this.query = typeof fields?.query === "string" ? fields.query : "";
    const moments = list(fields?.moments, MAX_MOMENTS).map((each) => list(each, 4).map((one) => numberOrNull(one) ?? 0));
    this.moments = moments.map(([at_s = 0, cpu_share = 0, events_per_s = 0, generation = 0]) => ({
      at_s,
      cpu_share,
      events_per_s,
      generation,
    }));
    this.keptId = typeof fields?.id === "string" ? fields.id : null;
  }

  /** Whose moments are kept. */
  private keptId: string | null;

  get isPaused(): boolean {
    return this.paused !== null;
  }

  /** Those that the filter lets through, oldest first. */
  get shown(): readonly Listed[] {
    return this.found;
  }

  /** How many have come since it was paused. */
  get nWaiting(): number {
    const last = this.paused?.at(-1)?.event.sequence ?? 0;
    return this.paused ? Math.max(0, this.lastSequence - last) : 0;
  }

  get lastSequence(): number {
    return this.events.at(-1)?.event.sequence ?? 0;
  }

  get nKept(): number {
    return (this.paused ?? this.events).length;
  }

  get chosen(): Listed | null {
    return this.selected === null
      ? null
      : (this.found.find(({ event }) => event.sequence === this.selected) ?? null);
  }

  update(update: Update): void {
    if (update.state === "known") {
      this.know(update);
    } else {
      this.phase = update.state;
      this.offReason = update.state === "off" ? update.reason : "";
      if (update.state === "idle") {
        this.document = update.document;
        this.permission = update.permission;
        this.probe = null;
        this.forget();
      }
    }
    this.onChange();
  }

  /** What is shown stays as it is; what comes is kept for later. */
  pause(): void {
    if (!this.paused) {
      this.paused = [...this.events];
      this.onChange();
    }
  }

  follow(): void {
    this.paused = null;
    this.selected = null;
    this.filter();
    this.onChange();
  }

  search(query: string): void {
    this.query = query;
    this.filter();
    this.onChange();
  }

  /** Whoever looks at one event wants it to stay where it is. */
  select(sequence: number | null): void {
    this.selected = sequence;
    if (sequence !== null) {
      this.pause();
    }
    this.onChange();
  }

  announce(text: string): void {
    this.announcement = text;
    this.onChange();
  }

  json(): string {
    return JSON.stringify(this.found.map(({ event }) => event), null, 1);
  }

  kept(): unknown {
    return {
      id: this.probe?.id ?? this.keptId,
      query: this.query,
      moments: this.moments.map((each) => [each.at_s, each.cpu_share, each.events_per_s, each.generation]),
    };
  }

  private know(update: Extract<Update, { state: "known" }>): void {
    const reading = parseReading(update.answer);
    if (!reading) {
      return;
    }
    const before = this.probe;
    const { probe } = reading;
    if (this.keptId !== null && this.keptId !== probe.id) {
      this.moments = [];
    }
    this.keptId = probe.id;
    if (update.is_whole || before?.id !== probe.id) {
      this.forget();
    }
    this.phase = "known";
    this.permission = update.permission;
    this.first_slot = update.first_slot;
    this.probe = probe;
    this.maps = reading.maps;
    this.n_events = reading.n_events;
    this.remember(probe, update.at_s);
    this.add(reading.events);
    if (before?.id === probe.id && spokenState(before) !== spokenState(probe)) {
      this.announcement = spokenState(probe);
    }
  }

  private forget(): void {
    this.events = [];
    this.paused = null;
    this.selected = null;
    this.paths = new Map();
    this.texts = new Set();
    this.columns = [];
    this.filter();
  }

  private remember(probe: Probe, at_s: number): void {
    if (probe.state === "running" && probe.cpu_share !== null && at_s > (this.moments.at(-1)?.at_s ?? 0)) {
      this.moments.push({
        at_s,
        cpu_share: probe.cpu_share,
        events_per_s: probe.events_per_s ?? 0,
        generation: probe.generation ?? 0,
      });
    }
    const since_s = at_s - MAX_MOMENTS;
    this.moments = this.moments.filter((each) => each.at_s > since_s).slice(-MAX_MOMENTS);
  }

  private add(events: readonly ProbeEvent[]): void {
    const last = this.lastSequence;
    const fresh = events.filter(({ sequence }) => sequence > last).map(listed);
    for (const { cells } of fresh) {
      for (const [path, value] of cells) {
        this.paths.set(path, (this.paths.get(path) ?? 0) + 1);
        // Large numbers come as text, and arguments as a list of it.
        const first = Array.isArray(value) ? value[0] : value;
        if (typeof first === "string" && !/^-?\d*$/.test(first)) {
          this.texts.add(path);
        }
      }
    }
    this.events = [...this.events, ...fresh].slice(-MAX_EVENTS);
    if (!this.paused) {
      this.filter();
    }
  }

  private filter(): void {
    const words = this.query.toLowerCase().split(/\s+/).filter(Boolean);
    const all = this.paused ?? this.events;
    this.found = words.length === 0 ? all : all.filter(({ text }) => words.every((word) => text.includes(word)));
    this.arrange();
  }

  private arrange(): void {
    const columns = columnsOf(this.paths, MAX_COLUMNS, this.texts);
    const before = new Map(this.columns.map(({ path }, index) => [path, this.widths[index] ?? 0]));
    this.columns = columns;
    this.widths = columns.map(({ path, name }) =>
      this.found
        .slice(-100)
        .reduce(
          (width, { cells }) => Math.max(width, Math.min(cell(cells.get(path)).length, 28)),
          Math.max(name.length, before.get(path) ?? 3),
        ),
    );
  }
}

function listed(event: ProbeEvent): Listed {
  const cells = new Map(leaves(event.fields));
  const words = [...cells].map(([path, value]) => `${path.slice(path.lastIndexOf(".") + 1)}=${cell(value)}`);
  return { event, cells, text: [event.map, ...words].join(" ").toLowerCase() };
}

/** When another generation took over. */
export function generations(moments: readonly Moment[]): Moment[] {
  return moments.filter((each, index) => index > 0 && each.generation !== moments[index - 1]?.generation);
}
