// The events as a table that follows the newest, or stands still. Only rows in view are in the
// page: thousands may come each second. The keyboard is on the table, and the table says which
// row it is at, as rows go while somebody reads.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { visible } from "../../src/text";
import { cell } from "./columns";
import type { Listed, ProbeState } from "./state";
import { Refusal, type Act } from "./view";
import { count, timeOf } from "./words";

const ROW_PX = 22;
const BEYOND = 8;
const SEARCH_AFTER_MS = 120;

export function Events({ state, act }: { state: ProbeState; act: Act }) {
  const isWithheld = state.probe?.is_own === true && !state.permission.may_load;
  return (
    <section class="events" aria-label="Events">
      <Toolbar state={state} act={act} />
      {isWithheld ? (
        <div class="nothing">
          <p>What linnix-ls's own probes see tells of everybody's processes, so it is shown to those who may load probes.</p>
          <Refusal permission={state.permission} act={act} />
        </div>
      ) : state.nKept === 0 ? (
        <div class="nothing muted">
          <p>{state.n_events === 0 ? "No event yet." : ""} Those that come from now on are shown here.</p>
        </div>
      ) : (
        <Grid state={state} act={act} />
      )}
      {state.chosen && <Chosen listed={state.chosen} />}
    </section>
  );
}

function Toolbar({ state, act }: { state: ProbeState; act: Act }) {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const nShown = state.shown.length;
  return (
    <div class="toolbar" role="group" aria-label="Events">
      <h2>Events</h2>
      <input
        type="search"
        placeholder="Filter: comm=sh 4412"
        aria-label="Filter events by words such as comm=sh"
        defaultValue={state.query}
        onInput={(event) => {
          const { value } = event.currentTarget;
          clearTimeout(timer.current);
          timer.current = setTimeout(() => {
            state.search(value);
          }, SEARCH_AFTER_MS);
        }}
      />
      <button
        type="button"
        aria-pressed={state.isPaused}
        onClick={() => {
          if (state.isPaused) {
            state.follow();
          } else {
            state.pause();
          }
        }}
      >
        {state.isPaused ? "Follow" : "Pause"}
      </button>
      <button type="button" onClick={() => void act({ kind: "copy", text: state.json() })}>
        Copy as JSON
      </button>
      <span class="muted count">
        {state.query.trim() === "" ? "" : `${count(nShown)} of `}
        {state.nKept < state.n_events ? `the last ${count(state.nKept)} of ${count(state.n_events)}` : count(state.nKept)}
        {state.nWaiting > 0 ? `, ${count(state.nWaiting)} more since` : ""}
      </span>
    </div>
  );
}

function Grid({ state, act }: { state: ProbeState; act: Act }) {
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(400);
  /** Where it was put to show the newest. */
  const followed = useRef(0);
  const rows = state.shown;
  useEffect(() => {
    const box = scroller.current;
    const size = new ResizeObserver(() => {
      setHeight(box?.clientHeight ?? 400);
    });
    if (box) {
      size.observe(box);
    }
    return () => {
      size.disconnect();
    };
  }, []);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box && !state.isPaused) {
      box.scrollTop = box.scrollHeight;
      followed.current = box.scrollTop;
      setTop(box.scrollTop);
    }
  });
  const at = rows.findIndex(({ event }) => event.sequence === state.selected);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box && at >= 0) {
      const from = at * ROW_PX;
      if (from < box.scrollTop) {
        box.scrollTop = from;
      } else if (from + 2 * ROW_PX > box.scrollTop + box.clientHeight) {
        box.scrollTop = from + 2 * ROW_PX - box.clientHeight;
      }
    }
  }, [state.selected]);

  const hasMaps = new Set(rows.map(({ event }) => event.map)).size > 1;
  const hasGenerations = rows[0]?.event.generation !== rows.at(-1)?.event.generation;
  const names = ["#", "time", ...(hasGenerations ? ["gen."] : []), ...(hasMaps ? ["map"] : []), ...state.columns.map(({ name }) => name)];
  const widths = [7, 13, ...(hasGenerations ? [4] : []), ...(hasMaps ? [10] : []), ...state.widths];
  const columns = widths
    .map((width, index) => (index === widths.length - 1 ? `minmax(${width + 2}ch, 1fr)` : `${width + 2}ch`))
    .join(" ");
  const first = Math.max(0, Math.floor(top / ROW_PX) - BEYOND);
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW_PX) + BEYOND);
  return (
    <div
      class="table"
      ref={scroller}
      role="grid"
      tabIndex={0}
      aria-label="Events, newest last"
      aria-rowcount={rows.length + 1}
      aria-colcount={names.length}
      {...(at >= 0 ? { "aria-activedescendant": `event-${state.selected ?? 0}` } : {})}
      onScroll={({ currentTarget: box }) => {
        setTop(box.scrollTop);
        // Whoever scrolls back wants to read.
        if (!state.isPaused && box.scrollTop < followed.current - ROW_PX) {
          state.pause();
        }
      }}
      onKeyDown={(event) => {
        if (key(event, state, Math.floor(height / ROW_PX) - 1, act)) {
          event.preventDefault();
        }
      }}
    >
      <div class="row head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: columns }}>
        {names.map((name) => (
          <span key={name} role="columnheader" title={name}>
            {name}
          </span>
        ))}
      </div>
      <div class="rows" role="rowgroup" style={{ height: `${rows.length * ROW_PX}px` }}>
        {rows.slice(first, last).map(({ event, cells }, index) => (
          <div
            key={event.sequence}
            id={`event-${event.sequence}`}
            class={`row ${event.sequence === state.selected ? "selected" : ""}`}
            role="row"
            aria-rowindex={first + index + 2}
            aria-selected={event.sequence === state.selected}
            style={{ transform: `translateY(${(first + index) * ROW_PX}px)`, gridTemplateColumns: columns }}
            onClick={() => {
              state.select(event.sequence);
            }}
          >
            <span role="gridcell">{event.sequence}</span>
            <span role="gridcell">{timeOf(event.ktime_ns)}</span>
            {hasGenerations && <span role="gridcell">{event.generation}</span>}
            {hasMaps && <span role="gridcell">{cell(event.map)}</span>}
            {state.columns.map(({ path }) => (
              <span key={path} role="gridcell">
                {cell(cells.get(path))}
              </span>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

/** All of one event. */
function Chosen({ listed }: { listed: Listed }) {
  return (
    <dl class="chosen" aria-label={`Event ${listed.event.sequence}`}>
      {[...listed.cells].map(([path, value]) => (
        <div key={path}>
          <dt>{visible(path)}</dt>
          <dd class="code">{cell(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function key(event: KeyboardEvent, state: ProbeState, page: number, act: Act): boolean {
  const rows = state.shown;
  // Anew: a key may follow the one before more quickly than it is drawn.
  const at = rows.findIndex((each) => each.event.sequence === state.selected);
  const from = at < 0 ? rows.length : at;
  const go = (index: number) => {
    state.select(rows[Math.max(0, Math.min(index, rows.length - 1))]?.event.sequence ?? null);
    return true;
  };
  switch (event.key) {
    case "ArrowDown":
      return go(from + 1);
    case "ArrowUp":
      return go(from - 1);
    case "PageDown":
      return go(from + page);
    case "PageUp":
      return go(from - page);
    case "Home":
      return go(0);
    case "End":
    case "Escape":
      state.follow();
      return true;
    case " ":
      if (state.isPaused) {
        state.follow();
      } else {
        state.pause();
      }
      return true;
    case "c":
      if ((event.ctrlKey || event.metaKey) && state.chosen) {
        void act({ kind: "copy", text: JSON.stringify(state.chosen.event, null, 1) });
        return true;
      }
      return false;
    default:
      return false;
  }
}
