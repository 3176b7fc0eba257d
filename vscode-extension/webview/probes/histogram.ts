// A map of slots as bars: in order, without gaps, each with the range that it counts. A histogram
// for each of several things is as many histograms. Knows no DOM.
//
// `first_slot` is the slot that has 0 and 1 where slots are powers of two, else null.

import { cell } from "./columns";
import type { Plain, ProbeMap } from "./data";
import { isObject } from "./parse";

export interface Bar {
  label: string;
  n: number;
  /** Of the highest, from 0 to 1. */
  share: number;
}

export interface Histogram {
  /** What it is of; empty where there is one. */
  of: string;
  bars: Bar[];
  total: number;
}

const MAX_BARS = 128;
const MAX_HISTOGRAMS = 8;
const MAX_SLOT = 64;

export function histograms(map: ProbeMap, first_slot: number | null): Histogram[] {
  const bySubject = new Map<string, Map<number, number>>();
  for (const [key, value] of map.entries) {
    const { of, slot } = slotOf(key);
    const n = Number(value);
    if (Number.isSafeInteger(slot) && slot >= 0 && Number.isFinite(n) && n > 0) {
      const slots = bySubject.get(of) ?? new Map<number, number>();
      slots.set(slot, (slots.get(slot) ?? 0) + n);
      bySubject.set(of, slots);
    }
  }
  return [...bySubject]
    .map(([of, slots]) => ({ of, bars: bars(slots, first_slot), total: sum(slots.values()) }))
    .sort((a, b) => b.total - a.total)
    .slice(0, MAX_HISTOGRAMS);
}

function slotOf(key: Plain): { of: string; slot: number } {
  if (!isObject(key)) {
    return { of: "", slot: Number(key) };
  }
  const { slot, ...rest } = key;
  return { of: cell(Object.values(rest).map(cell).join(" ")), slot: Number(slot ?? NaN) };
}

function bars(slots: ReadonlyMap<number, number>, first_slot: number | null): Bar[] {
  const first = Math.min(...slots.keys());
  const last = Math.min(Math.max(...slots.keys()), first + MAX_BARS - 1);
  const highest = Math.max(...slots.values());
  // What no power of two of 64 bits can be is the probe's own.
  const label = (slot: number) =>
    first_slot === null || last > MAX_SLOT ? String(slot) : rangeOf(slot - first_slot);
  return Array.from({ length: last - first + 1 }, (_, index) => {
    const n = slots.get(first + index) ?? 0;
    return { label: label(first + index), n, share: n / highest };
  });
}

/** Of a power of two: what has its bits, and no more. 0 and 1 are of the first. */
export function rangeOf(power: number): string {
  if (power <= 0) {
    return power === 0 ? "0–1" : "below";
  }
  const from = 2n ** BigInt(power);
  return power < 10 ? `${from}–${2n * from - 1n}` : `${short(from)}–${short(2n * from)}`;
}

/** 2048 is 2 Ki. */
function short(n: bigint): string {
  const units = ["", " Ki", " Mi", " Gi", " Ti", " Pi", " Ei"];
  let power = 0;
  let rest = n;
  while (rest >= 1024n && power < units.length - 1) {
    rest /= 1024n;
    power += 1;
  }
  return `${rest}${units[power] ?? ""}`;
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) {
    total += value;
  }
  return total;
}
