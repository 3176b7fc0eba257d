// The time axis that curves and chart share. Knows no DOM.

export interface TimeView {
  from_s: number;
  to_s: number;
  width_px: number;
}

const SHORTEST_S = 0.001;
const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 10];

export function toPx(view: TimeView, at_s: number): number {
  return ((at_s - view.from_s) / (view.to_s - view.from_s)) * view.width_px;
}

export function toSeconds(view: TimeView, px: number): number {
  return view.from_s + (px / view.width_px) * (view.to_s - view.from_s);
}

/** Where the axis ends while all of a run is shown. While it goes on, that is a round number
 * that it has not reached yet: bars grow, and the scale does not change each second. */
export function endOfAxis(duration_s: number, hasEnded: boolean): number {
  if (hasEnded) {
    return Math.max(duration_s * 1.01, SHORTEST_S);
  }
  const least = Math.max(duration_s * 1.05, 2);
  const power = 10 ** Math.floor(Math.log10(least));
  return power * (ROUND.find((step) => step * power >= least) ?? 10);
}

/** `factor` above 1 shows less, around the moment `at_s`. Null: all of it. */
export function zoomed(view: TimeView, end_s: number, factor: number, at_s: number): TimeView | null {
  const length = Math.max((view.to_s - view.from_s) / factor, SHORTEST_S);
  if (length >= end_s) {
    return null;
  }
  const share = (at_s - view.from_s) / (view.to_s - view.from_s);
  return within(view, end_s, at_s - share * length, length);
}

export function panned(view: TimeView, end_s: number, by_s: number): TimeView {
  return within(view, end_s, view.from_s + by_s, view.to_s - view.from_s);
}

/** So that the moments from one to the other are seen, with some room beside them. */
export function around(view: TimeView, end_s: number, from_s: number, to_s: number): TimeView | null {
  const length = Math.max((to_s - from_s) * 1.2, SHORTEST_S * 10);
  if (length >= end_s) {
    return null;
  }
  return within(view, end_s, (from_s + to_s - length) / 2, length);
}

function within(view: TimeView, end_s: number, from_s: number, length_s: number): TimeView {
  const from = Math.max(0, Math.min(from_s, end_s - length_s));
  return { ...view, from_s: from, to_s: from + length_s };
}

/** Round numbers in [from, to], at most `most`. */
export function ticks(from: number, to: number, most: number): number[] {
  const least = (to - from) / Math.max(1, most);
  if (!(least > 0) || !Number.isFinite(least)) {
    return [];
  }
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * ([1, 2, 5, 10].find((each) => each * power >= least * 0.9999) ?? 10);
  const first = Math.ceil(from / step);
  const last = Math.floor(to / step);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * step);
}

/** The index of the last one that is not after `at_s`; -1 where there is none. */
export function lastUntil(times: readonly number[], at_s: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? Infinity) <= at_s) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low - 1;
}
