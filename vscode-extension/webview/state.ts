// What the view shows and what is chosen in it. Knows no DOM: the parts of the page ask it, tell
// it what the user does, and draw it anew when it has changed.

import type { Finding, Focus, Span, Update } from "./data";
import { keyText } from "./data";
import { layout, type Bar, type Layout } from "./layout";
import { RunModel } from "./model";
import { asFields } from "./parse";
import { found } from "./search";
import { around, endOfAxis, type TimeView } from "./time";
import { findingTitle, runState } from "./words";

export type Mode = "chart" | "table";
export type Phase = Update["state"];

const NOTHING: Layout = { lanes: [], roots: [], barOf: new Map() };
const MAX_KEPT = 200;

export class DetailsState {
  phase: Phase = "loading";
  offReason = "";
  readonly model = new RunModel();
  layout: Layout = NOTHING;
  /** Null: all of the run. */
  range: { from_s: number; to_s: number } | null = null;
  mode: Mode = "chart";
  query = "";
  /** Ids of processes, in the order of time; null where nothing is searched. */
  found: string[] | null = null;
  /** The `id` of a bar or a row. */
  selected: string | null = null;
  findingId: string | null = null;
  /** The user has selected something: what is new is told, and does not take its place. */
  private isChosen = false;
  /** Folds whose members are shown each for itself, and rows whose children are not. */
  readonly open = new Set<string>();
  readonly closed = new Set<string>();
  /** For those who listen. */
  announcement = "";
  /** Counts what should be brought into view, so that each is done once. */
  nReveals = 0;

  /** @param onChange is called after each change */
  constructor(
    private readonly onChange: () => void,
    kept: unknown,
  ) {
    this.recall(kept);
  }

  /** What is left behind may go on when the run's first process has ended. */
  get now_s(): number {
    return Math.max(this.model.run?.duration_s ?? 0, this.model.curves.at_s.at(-1) ?? 0);
  }

  get isOver(): boolean {
    const { run } = this.model;
    return run !== null && run.has_ended && run.n_alive === 0;
  }

  get end_s(): number {
    return endOfAxis(this.now_s, this.isOver);
  }

  view(width_px: number): TimeView {
    return { from_s: 0, to_s: this.end_s, width_px, ...this.range };
  }

  get finding(): Finding | null {
    return this.model.findings.find((each) => each.id === this.findingId) ?? null;
  }

  /** The process that is selected, if it is one. */
  get span(): Span | null {
    return this.selected === null ? null : (this.model.spans.get(this.selected) ?? null);
  }

  /** The bar that stands for what is selected: of a process in a fold, the fold's. */
  get bar(): Bar | null {
    return this.selected === null ? null : (this.layout.barOf.get(this.selected) ?? null);
  }

  update(update: Update): void {
    if (update.state !== "known") {
      this.phase = update.state;
      this.offReason = update.state === "off" ? update.reason : "";
      this.onChange();
      return;
    }
    const before = this.model.run;
    const isFirst = this.phase !== "known" || update.is_whole;
    const news = this.model.apply(update.answer, update.is_whole);
    const { run } = this.model;
    if (!news || !run) {
      return;
    }
    this.phase = "known";
    if (before && keyText(before) !== keyText(run)) {
      this.forget();
    }
    this.arrange();
    this.search(this.query, false);
    if (update.focus) {
      this.follow(update.focus);
    } else if (this.selected === null || (isFirst && !this.bar)) {
      this.pickFinding(this.model.findings[0] ?? null);
    } else if (news.length > 0 && !this.isChosen) {
      this.pickFinding(this.model.findings[0] ?? null);
      this.reveal();
    }
    if (isFirst) {
      this.reveal();
    } else if (news.length > 0) {
      this.announcement = `New finding: ${news.map(findingTitle).join("; ")}`;
    } else if (run.has_ended && before?.has_ended === false) {
      this.announcement = `The run has ${runState(run)}`;
    }
    this.onChange();
  }

  select(id: string | null): void {
    this.selected = id;
    this.isChosen = true;
    const own = this.span?.finding_ids ?? [];
    this.findingId = this.model.findings.find((each) => own.includes(each.id))?.id ?? null;
    this.onChange();
  }

  /** Something is done to what is selected: it stays selected. */
  stay(): void {
    this.isChosen = true;
  }

  chooseFinding(finding: Finding): void {
    this.pickFinding(finding);
    this.isChosen = true;
    this.reveal();
    this.onChange();
  }

  /** Also brings it into view, in time and in height. */
  selectAndReveal(id: string): void {
    this.select(id);
    this.reveal();
    this.onChange();
  }

  search(query: string, isTold = true): void {
    this.query = query;
    this.found = found(this.model.spans.values(), query)?.map((span) => span.id) ?? null;
    if (isTold) {
      if (this.found) {
        this.announcement = `${this.found.length} found`;
      }
      this.onChange();
    }
  }

  /** To the next or the one before of what was found. */
  step(by: 1 | -1): void {
    const ids = this.found ?? [];
    if (ids.length > 0) {
      const from = this.selected === null ? -1 : ids.indexOf(this.selected);
      const index = from < 0 ? (by > 0 ? 0 : ids.length - 1) : (from + by + ids.length) % ids.length;
      this.selectAndReveal(ids[index] ?? "");
    }
  }

  setRange(range: { from_s: number; to_s: number } | null): void {
    this.range = range && { from_s: range.from_s, to_s: range.to_s };
    this.onChange();
  }

  setMode(mode: Mode): void {
    this.mode = mode;
    this.reveal();
    this.onChange();
  }

  /** Shows the members of a fold each for itself, or no longer. */
  setOpen(foldId: string, isOpen: boolean): void {
    if (isOpen) {
      const members = this.layout.barOf.get(foldId)?.members;
      this.open.add(foldId);
      this.arrange();
      this.select(members?.[0]?.id ?? this.selected);
    } else {
      this.open.delete(foldId);
      this.arrange();
      this.select(foldId);
    }
    this.reveal();
  }

  setClosed(id: string, isClosed: boolean): void {
    if (isClosed) {
      this.closed.add(id);
    } else {
      this.closed.delete(id);
    }
    this.onChange();
  }

  announce(text: string): void {
    this.announcement = text;
    this.onChange();
  }

  kept(): unknown {
    const { run } = this.model;
    return {
      run: run ? keyText(run) : null,
      range: this.range,
      mode: this.mode,
      query: this.query,
      selected: this.selected,
      finding_id: this.findingId,
      is_chosen: this.isChosen,
      open: [...this.open].slice(0, MAX_KEPT),
    };
  }

  private recall(kept: unknown): void {
    const fields = asFields(kept);
    if (!fields) {
      return;
    }
    const textOf = (value: unknown) => (typeof value === "string" ? value : null);
    const range = asFields(fields.range);
    if (typeof range?.from_s === "number" && typeof range.to_s === "number") {
      this.range = range.from_s < range.to_s ? { from_s: range.from_s, to_s: range.to_s } : null;
    }
    this.mode = fields.mode === "table" ? "table" : "chart";
    this.query = textOf(fields.query) ?? "";
    this.selected = textOf(fields.selected);
    this.findingId = textOf(fields.finding_id);
    this.isChosen = fields.is_chosen === true;
    for (const each of Array.isArray(fields.open) ? (fields.open as unknown[]) : []) {
      this.open.add(textOf(each) ?? "");
    }
  }

  /** Of another run nothing is kept but how it is looked at. */
  private forget(): void {
    this.range = null;
    this.query = "";
    this.selected = null;
    this.findingId = null;
    this.isChosen = false;
    this.open.clear();
    this.closed.clear();
  }

  private arrange(): void {
    this.layout = layout(this.model.spans.values(), this.open);
  }

  private follow(focus: Focus): void {
    const finding = this.model.findings.find((each) => each.id === focus.finding_id);
    this.isChosen = true;
    if (finding) {
      this.pickFinding(finding);
    } else if (focus.process) {
      this.select(keyText(focus.process));
    } else {
      this.pickFinding(this.model.findings[0] ?? null);
    }
    this.reveal();
  }

  private pickFinding(finding: Finding | null): void {
    this.selected = finding?.process ?? this.layout.roots[0]?.id ?? null;
    this.findingId = finding?.id ?? null;
  }

  private reveal(): void {
    this.nReveals += 1;
    const { bar, range } = this;
    if (bar && range && (bar.ended_s < range.from_s || bar.began_s > range.to_s)) {
      const end = Math.min(bar.ended_s, this.now_s);
      const length = range.to_s - range.from_s;
      const view = { ...range, width_px: 1 };
      this.range = around(view, this.end_s, Math.min(bar.began_s, end - length / 2), end);
    }
    for (let above = bar?.parent; above; above = above.parent) {
      this.closed.delete(above.id);
    }
  }
}
