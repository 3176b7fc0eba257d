// One figure over the last minutes, with a mark where another generation took over. What it says
// is also said in words, by the page.

import { generations, type Moment, type ProbeState } from "./state";

const HEIGHT = 40;

export function Curve(props: {
  state: ProbeState;
  name: string;
  of: (moment: Moment) => number;
  say: (value: number) => string;
  kind: string;
}) {
  const { state, name, of, say, kind } = props;
  const { moments } = state;
  const end_s = moments.at(-1)?.at_s ?? 0;
  const begin_s = Math.min(moments[0]?.at_s ?? 0, end_s - 30);
  const most = Math.max(...moments.map(of), Number.MIN_VALUE);
  const x = (at_s: number) => ((at_s - begin_s) / (end_s - begin_s || 1)) * 100;
  const y = (value: number) => HEIGHT - 2 - (value / most) * (HEIGHT - 4);
  let before_s = -Infinity;
  const points = moments
    .map((each) => {
      // What was not looked at is a gap and not a line.
      const begins = each.at_s - before_s > 5;
      before_s = each.at_s;
      return `${begins ? "M" : "L"}${x(each.at_s).toFixed(2)} ${y(of(each)).toFixed(2)}`;
    })
    .join("");
  return (
    <figure class={`curve ${kind}`} aria-hidden="true">
      <figcaption>
        {name}
        <span class="muted"> {moments.length > 0 ? `at most ${say(Math.max(...moments.map(of)))}` : ""}</span>
      </figcaption>
      <div class="plot">
        <svg viewBox={`0 0 100 ${HEIGHT}`} preserveAspectRatio="none" width="100%" height={HEIGHT}>
          <path d={points} fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" stroke-width="1.5" />
        </svg>
        {generations(moments).map(({ at_s, generation }) => (
          <span key={at_s} class="generation" style={{ insetInlineStart: `${x(at_s)}%` }}>
            {generation}
          </span>
        ))}
      </div>
    </figure>
  );
}
