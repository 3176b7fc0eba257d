// What is drawn of a lane at a zoom: only what is in view, and neighbours that are too narrow to
// be told apart as one piece. Knows no DOM.

import type { Bar } from "./layout";
import { toPx, type TimeView } from "./time";

export interface Piece {
  bars: Bar[];
  from_px: number;
  to_px: number;
}

const NARROW_PX = 4;
const GAP_PX = 2;
/** What has a finding is never narrower. */
const FINDING_PX = 6;

export function pieces(lane: readonly Bar[], view: TimeView, now_s: number): Piece[] {
  const made: Piece[] = [];
  let narrow: Piece | null = null;
  for (let index = firstInView(lane, view); index < lane.length; index += 1) {
    const bar = lane[index];
    if (!bar || bar.began_s > view.to_s) {
      break;
    }
    const from_px = toPx(view, bar.began_s);
    const to_px = Math.max(toPx(view, Math.min(bar.ended_s, now_s)), from_px + 1);
    if (bar.hasFinding) {
      narrow = null;
      made.push({ bars: [bar], from_px, to_px: Math.max(to_px, from_px + FINDING_PX) });
    } else if (to_px - from_px >= NARROW_PX) {
      narrow = null;
      made.push({ bars: [bar], from_px, to_px });
    } else if (narrow && from_px - narrow.to_px <= GAP_PX) {
      narrow.bars.push(bar);
      narrow.to_px = Math.max(narrow.to_px, to_px);
    } else {
      narrow = { bars: [bar], from_px, to_px };
      made.push(narrow);
    }
  }
  return made;
}

/** Bars of a lane do not overlap: their ends are in order as well. */
function firstInView(lane: readonly Bar[], view: TimeView): number {
  let low = 0;
  let high = lane.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((lane[middle]?.ended_s ?? 0) < view.from_s) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
