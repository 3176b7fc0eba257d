// Paints curves and process chart onto their canvases: only what is in view.

import type { Finding } from "./data";
import type { Bar } from "./layout";
import { pieces, type Piece } from "./pieces";
import type { DetailsState } from "./state";
import { lastUntil, ticks, toPx, toSeconds, type TimeView } from "./time";
import { barName, bytes, cores, coresOf, hasFailed, moment, shortCommand } from "./words";

/** Few lanes are high: they are read from afar. */
const LANE_PX = 20;
const HIGH_LANE_PX = 28;
const FEW_LANES = 12;
const CURVE_PX = 46;
const CURVE_GAP_PX = 8;
const AXIS_PX = 22;
export const CURVES_PX = 3 * (CURVE_PX + CURVE_GAP_PX) + AXIS_PX;
const FINDING_GLYPH_PX = 16;

interface Theme {
  text: string;
  muted: string;
  background: string;
  grid: string;
  quiet: string;
  cpu: string;
  count: string;
  memory: string;
  error: string;
  warning: string;
  match: string;
  focus: string;
  /** Empty but in high contrast themes. */
  contrast: string;
  font: string;
}

export interface Curve {
  name: string;
  color: keyof Theme;
  values: readonly (number | null)[];
  peak: number;
  say: (value: number) => string;
}

export class Painter {
  theme: Theme;
  private drawn = new Map<number, Piece[]>();
  private readonly widths = new Map<string, number>();
  private readonly times = new WeakMap<Bar, { began: number[]; ended: number[] }>();

  constructor(
    private readonly host: HTMLElement,
    private readonly state: DetailsState,
  ) {
    this.theme = this.readTheme();
  }

  get lanePx(): number {
    return this.state.layout.lanes.length <= FEW_LANES ? HIGH_LANE_PX : LANE_PX;
  }

  private get barPx(): number {
    return this.lanePx - 3;
  }

  /** The colors of the editor are other ones now. */
  renewTheme(): void {
    this.theme = this.readTheme();
    this.widths.clear();
  }

  /** What was painted there. @param y from the top of the first lane */
  pieceAt(x: number, y: number): Piece | null {
    const lane = Math.floor((y - 4) / this.lanePx);
    const near = (this.drawn.get(lane) ?? []).filter(
      (piece) => x >= piece.from_px - 2 && x <= piece.to_px + 2,
    );
    return near.find((piece) => piece.bars[0]?.hasFinding) ?? near[0] ?? null;
  }

  drawCurves(canvas: HTMLCanvasElement, view: TimeView): void {
    const context = prepared(canvas, view.width_px, CURVES_PX);
    if (!context) {
      return;
    }
    const { theme } = this;
    const axisY = CURVES_PX - AXIS_PX;
    const marks = ticks(view.from_s, view.to_s, view.width_px / 90);
    const step = (marks[1] ?? view.to_s) - (marks[0] ?? 0);
    context.font = `11px ${theme.font}`;
    context.textBaseline = "middle";
    context.lineWidth = 1;
    context.strokeStyle = theme.grid;
    context.fillStyle = theme.muted;
    context.beginPath();
    for (const mark of marks) {
      const x = Math.round(toPx(view, mark)) + 0.5;
      context.moveTo(x, 0);
      context.lineTo(x, axisY + 4);
      const label = moment(mark, step);
      const width = context.measureText(label).width;
      const left = Math.max(2, Math.min(x - width / 2, view.width_px - width - 2));
      context.fillText(label, left, axisY + 13);
    }
    context.stroke();
    this.curves().forEach((curve, index) => {
      this.drawCurve(context, view, curve, index * (CURVE_PX + CURVE_GAP_PX));
    });
    this.drawOnsets(context, view, axisY);
  }

  curves(): Curve[] {
    const { run, curves } = this.state.model;
    const peakMemory = run?.peak_rss_bytes ?? Math.max(0, ...curves.rss_bytes.map(Number));
    const count = (value: number) => String(Math.round(value));
    return [
      { name: "CPU", color: "cpu", values: curves.cores, peak: run?.peak_cores ?? 0, say: cores },
      { name: "Processes", color: "count", values: curves.n_processes, peak: run?.peak_processes ?? 0, say: count },
      { name: "Memory", color: "memory", values: curves.rss_bytes, peak: peakMemory, say: bytes },
    ];
  }

  private drawCurve(context: CanvasRenderingContext2D, view: TimeView, curve: Curve, top: number): void {
    const { theme } = this;
    const times = this.state.model.curves.at_s;
    const bottom = top + CURVE_PX;
    context.strokeStyle = theme.grid;
    context.beginPath();
    context.moveTo(0, bottom + 0.5);
    context.lineTo(view.width_px, bottom + 0.5);
    context.stroke();
    const first = Math.max(0, lastUntil(times, view.from_s));
    const last = Math.min(times.length - 1, lastUntil(times, view.to_s) + 1);
    if (last >= first && times.length > 0) {
      const most = Math.max(curve.peak, ...curve.values.slice(first, last + 1).map(Number)) * 1.05 || 1;
      // Room for the label above what is highest.
      const yOf = (value: number) => bottom - (value / most) * (CURVE_PX - 14);
      const line = new Path2D();
      const area = new Path2D();
      let end: number | null = null;
      for (let index = first; index <= last + 1; index += 1) {
        const value = index <= last ? curve.values[index] : null;
        const x = toPx(view, times[index] ?? 0);
        if (typeof value !== "number") {
          // A gap, or the end.
          area.lineTo(end ?? x, bottom);
          end = null;
          continue;
        }
        if (end === null) {
          line.moveTo(x, yOf(value));
          area.moveTo(x, bottom);
        }
        line.lineTo(x, yOf(value));
        area.lineTo(x, yOf(value));
        end = x;
      }
      context.globalAlpha = theme.contrast ? 0 : 0.22;
      context.fillStyle = theme[curve.color];
      context.fill(area);
      context.globalAlpha = 1;
      context.strokeStyle = theme[curve.color];
      context.lineWidth = 1.5;
      context.stroke(line);
      context.lineWidth = 1;
    }
  }

  /** When what is found began, across the curves: they show what changed then. */
  private drawOnsets(context: CanvasRenderingContext2D, view: TimeView, bottom: number): void {
    context.setLineDash([3, 3]);
    for (const finding of this.state.model.findings) {
      if (finding.onset_s !== null && finding.state !== "cleared") {
        const x = Math.round(toPx(view, finding.onset_s)) + 0.5;
        context.strokeStyle = this.guiltColor(finding);
        context.globalAlpha = finding.id === this.state.findingId ? 1 : 0.6;
        context.beginPath();
        context.moveTo(x, 0);
        context.lineTo(x, bottom);
        context.stroke();
      }
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  /** @param top how far it is scrolled, in pixels */
  drawBars(canvas: HTMLCanvasElement, view: TimeView, top: number, height: number): void {
    const context = prepared(canvas, view.width_px, height);
    if (!context) {
      return;
    }
    const { lanes } = this.state.layout;
    const first = Math.max(0, Math.floor(top / this.lanePx) - 1);
    const last = Math.min(lanes.length - 1, Math.floor((top + height) / this.lanePx));
    const sought = this.state.found && new Set(this.state.found);
    const now = this.state.now_s;
    context.font = `11px ${this.theme.font}`;
    context.textBaseline = "middle";
    context.strokeStyle = this.theme.grid;
    context.beginPath();
    for (const mark of ticks(view.from_s, view.to_s, view.width_px / 90)) {
      const x = Math.round(toPx(view, mark)) + 0.5;
      context.moveTo(x, 0);
      context.lineTo(x, height);
    }
    context.stroke();
    this.drawn = new Map();
    for (let lane = first; lane <= last; lane += 1) {
      const shown = pieces(lanes[lane] ?? [], view, now);
      this.drawn.set(lane, shown);
      for (const piece of shown) {
        this.drawPiece(context, view, piece, lane * this.lanePx - top + 4, sought);
      }
    }
  }

  private drawPiece(
    context: CanvasRenderingContext2D,
    view: TimeView,
    piece: Piece,
    y: number,
    sought: ReadonlySet<string> | null,
  ): void {
    const { theme, state } = this;
    const x = Math.max(-2, piece.from_px);
    const width = Math.min(view.width_px + 2, piece.to_px) - x - (piece.to_px - piece.from_px > 8 ? 1 : 0);
    const [bar] = piece.bars;
    if (!bar || width <= 0) {
      return;
    }
    const isSought = sought && piece.bars.some((each) => each.members.some((one) => sought.has(one.id)));
    const isDim = sought !== null && !isSought;
    const load = this.loadOf(piece);
    context.globalAlpha = isDim ? 0.3 : 1;
    const isFold = bar.members.length > 1 && piece.bars.length === 1;
    let label = { ink: theme.text, from: Math.max(0, x) + 5, to: x + width - 5 };
    if (!theme.contrast) {
      // The lines of the axis are behind the bars.
      context.fillStyle = theme.background;
      context.fillRect(x, y, width, this.barPx);
    }
    if (bar.hasFinding) {
      label = this.drawGuilty(context, view, bar, x, y, width, isDim);
    } else if (theme.contrast) {
      context.fillStyle = theme.background;
      context.fillRect(x, y, width, this.barPx);
      context.fillStyle = theme.cpu;
      context.fillRect(x, y + this.barPx - 3, width * Math.min(1, load), 3);
      context.strokeStyle = theme.contrast;
      context.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 1), this.barPx - 1);
    } else {
      context.fillStyle = theme.quiet;
      context.globalAlpha *= 0.2;
      context.fillRect(x, y, width, this.barPx);
      context.globalAlpha = (isDim ? 0.3 : 1) * 0.65 * Math.min(1, load);
      context.fillStyle = theme.cpu;
      context.fillRect(x, y, width, this.barPx);
      context.globalAlpha = isDim ? 0.3 : 1;
    }
    if (isFold) {
      this.drawCrowd(context, view, bar, y, isDim);
    }
    const failed = piece.bars.some((each) => each.members.some(hasFailed));
    if (failed && !bar.hasFinding) {
      context.fillStyle = theme.error;
      context.fillRect(x + width - Math.min(3, width), y, Math.min(3, width), this.barPx);
    } else if (bar.ended_s === Infinity) {
      // Still growing.
      context.fillStyle = bar.hasFinding ? label.ink : theme.text;
      context.fillRect(x + width - 2, y + 2, 2, this.barPx - 4);
    }
    if (isSought) {
      context.strokeStyle = theme.match;
      context.lineWidth = 2;
      context.strokeRect(x + 1, y + 1, Math.max(1, width - 2), this.barPx - 2);
      context.lineWidth = 1;
    }
    const selected = state.bar;
    if (selected !== null && piece.bars.includes(selected)) {
      context.strokeStyle = theme.focus;
      context.lineWidth = 2;
      context.strokeRect(x, y - 1, Math.max(2, width), this.barPx + 2);
      context.lineWidth = 1;
    }
    if (label.to - label.from > 14) {
      context.fillStyle = label.ink;
      const [only] = bar.members;
      const isOne = piece.bars.length === 1 && bar.members.length === 1 && only;
      const text = isOne ? shortCommand(only) : barName(piece.bars);
      this.write(context, text, label.from, y + this.barPx / 2 + 0.5, label.to - label.from);
    }
    context.globalAlpha = 1;
  }

  /** Nothing else in the chart has such a color: one sees it at once. Pale until it began. */
  private drawGuilty(
    context: CanvasRenderingContext2D,
    view: TimeView,
    bar: Bar,
    x: number,
    y: number,
    width: number,
    isDim: boolean,
  ): { ink: string; from: number; to: number } {
    const { theme, state } = this;
    const ids = new Set(bar.members.flatMap((member) => member.finding_ids));
    const findings = state.model.findings.filter((each) => ids.has(each.id));
    const [finding] = findings;
    const color = this.guiltColor(finding);
    const isDismissed = findings.every((each) => each.state === "cleared");
    const onset = finding?.onset_s == null ? x : toPx(view, finding.onset_s);
    const from = Math.max(x, Math.min(onset, x + width - 3));
    context.fillStyle = color;
    context.globalAlpha = (isDim ? 0.4 : 1) * (isDismissed ? 0.15 : 0.35);
    context.fillRect(x, y, width, this.barPx);
    context.globalAlpha = (isDim ? 0.4 : 1) * (isDismissed ? 0.35 : 1);
    context.fillRect(from, y, x + width - from, this.barPx);
    context.globalAlpha = isDim ? 0.4 : 1;
    context.strokeStyle = color;
    context.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 1), this.barPx - 1);
    // The label stands in one of the two parts: across both, it could not be read.
    const left = Math.max(0, x);
    const isInPale = from - left > 100 && from - left > x + width - from;
    const ink = isDismissed || isInPale ? theme.text : theme.background;
    const label = { ink, from: (isInPale ? left : Math.max(left, from)) + 5, to: (isInPale ? from : x + width) - 5 };
    if (label.to - label.from > 40) {
      warningGlyph(context, label.from + 5, y + this.barPx / 2, ink);
      label.from += FINDING_GLYPH_PX;
    }
    return label;
  }

  /** How many of a fold are alive, as its silhouette. */
  private drawCrowd(
    context: CanvasRenderingContext2D,
    view: TimeView,
    bar: Bar,
    y: number,
    isDim: boolean,
  ): void {
    const { began, ended } = this.timesOf(bar);
    const from = Math.max(0, Math.floor(toPx(view, bar.began_s)));
    const to = Math.min(view.width_px, Math.ceil(toPx(view, Math.min(bar.ended_s, this.state.now_s))));
    const counts: number[] = [];
    let nBegan = 0;
    let nEnded = 0;
    for (let px = from; px <= to; px += 1) {
      const at = toSeconds(view, px + 0.5);
      while (nBegan < began.length && (began[nBegan] ?? 0) <= at) {
        nBegan += 1;
      }
      while (nEnded < ended.length && (ended[nEnded] ?? Infinity) < at) {
        nEnded += 1;
      }
      counts.push(nBegan - nEnded);
    }
    const most = Math.max(1, ...counts);
    context.fillStyle = this.theme.count;
    context.globalAlpha = isDim ? 0.15 : 0.4;
    context.beginPath();
    context.moveTo(from, y + this.barPx);
    counts.forEach((count, index) => {
      context.lineTo(from + index, y + this.barPx - (count / most) * (this.barPx - 2));
    });
    context.lineTo(from + counts.length - 1, y + this.barPx);
    context.fill();
    context.globalAlpha = isDim ? 0.3 : 1;
  }

  /** In order. */
  private timesOf(bar: Bar): { began: number[]; ended: number[] } {
    let times = this.times.get(bar);
    if (!times) {
      times = {
        began: bar.members.map((member) => member.began_s).sort(ascending),
        ended: bar.members.map((member) => member.ended_s ?? Infinity).sort(ascending),
      };
      this.times.set(bar, times);
    }
    return times;
  }

  private loadOf(piece: Piece): number {
    let load = 0;
    let count = 0;
    for (const bar of piece.bars) {
      for (const member of bar.members) {
        load += Math.min(1, coresOf(member, this.state.now_s));
        count += 1;
      }
    }
    return load / Math.max(1, count);
  }

  private write(context: CanvasRenderingContext2D, text: string, x: number, y: number, room: number): void {
    let width = this.widths.get(text);
    if (width === undefined) {
      width = context.measureText(text).width;
      if (this.widths.size > 5000) {
        this.widths.clear();
      }
      this.widths.set(text, width);
    }
    if (width <= room) {
      context.fillText(text, x, y);
      return;
    }
    const fitting = Math.floor((text.length * room) / width) - 1;
    if (fitting >= 2) {
      context.fillText(`${text.slice(0, fitting)}…`, x, y);
    }
  }

  private guiltColor(finding: Finding | undefined): string {
    return finding?.severity === "error" ? this.theme.error : this.theme.warning;
  }

  private readTheme(): Theme {
    const style = getComputedStyle(this.host);
    const read = (name: string) => style.getPropertyValue(`--${name}`).trim();
    return {
      text: read("chart-text"),
      muted: read("chart-muted"),
      background: read("chart-background"),
      grid: read("chart-grid"),
      quiet: read("chart-quiet"),
      cpu: read("chart-cpu"),
      count: read("chart-count"),
      memory: read("chart-memory"),
      error: read("chart-error"),
      warning: read("chart-warning"),
      match: read("chart-match"),
      focus: read("chart-focus"),
      contrast: read("vscode-contrastBorder"),
      font: style.fontFamily || "sans-serif",
    };
  }
}

function ascending(a: number, b: number): number {
  return a - b;
}

function warningGlyph(context: CanvasRenderingContext2D, x: number, y: number, color: string): void {
  context.strokeStyle = color;
  context.fillStyle = color;
  context.lineWidth = 1.3;
  context.beginPath();
  context.moveTo(x, y - 5);
  context.lineTo(x + 5.5, y + 4.5);
  context.lineTo(x - 5.5, y + 4.5);
  context.closePath();
  context.stroke();
  context.fillRect(x - 0.7, y - 2, 1.4, 3.4);
  context.fillRect(x - 0.7, y + 2.2, 1.4, 1.3);
  context.lineWidth = 1;
}

/** Cleared, and as fine as the screen is. */
function prepared(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D | null {
  const scale = window.devicePixelRatio || 1;
  const [pixelWidth, pixelHeight] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== pixelWidth || canvas.height !== pixelHeight) {
    canvas.width = pixelWidth;
    canvas.height = pixelHeight;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d", { alpha: true });
  context?.setTransform(scale, 0, 0, scale, 0, 0);
  context?.clearRect(0, 0, width, height);
  return context;
}
