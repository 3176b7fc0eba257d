// The page: head, findings, timeline or table, and what is selected. Shows `DetailsState`.

import { render } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { plural, visible } from "../src/text";
import { Chart } from "./chart";
import { keyText, type Action, type Finding, type RunSource } from "./data";
import { Facts, memoryText, PlaceLink, type Act } from "./facts";
import { DetailsState, type Mode } from "./state";
import { Table } from "./table";
import { cores, findingState, findingTitle, runName, runState, wholeCommand } from "./words";

const KEEP_AFTER_MS = 300;
const SEARCH_AFTER_MS = 120;

/** Shows the run of `source` in `place`, until what is returned is called. */
export function mount(place: HTMLElement, source: RunSource): { state: DetailsState; end: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isDue = false;
  let revision = 0;
  const draw = () => {
    isDue = false;
    revision += 1;
    render(<Page state={state} act={act} revision={revision} />, place);
  };
  const state = new DetailsState(() => {
    // However many changes there are, they are drawn once a frame.
    if (!isDue) {
      isDue = true;
      requestAnimationFrame(draw);
    }
    clearTimeout(timer);
    timer = setTimeout(() => {
      source.remember(state.kept());
    }, KEEP_AFTER_MS);
  }, source.recall());
  const act = async (action: Action) => {
    state.stay();
    const outcome = await source.act(action);
    if (outcome.message !== null) {
      state.announce(outcome.message);
    }
    return outcome;
  };
  if (source.recall() === undefined && document.body.classList.contains("vscode-using-screen-reader")) {
    state.mode = "table";
  }
  draw();
  const unsubscribe = source.subscribe((update) => {
    state.update(update);
  });
  return {
    state,
    end: () => {
      unsubscribe();
      clearTimeout(timer);
      render(null, place);
    },
  };
}

function Page({ state, act, revision }: { state: DetailsState; act: Act; revision: number }) {
  const { run } = state.model;
  return (
    <>
      {state.phase === "known" && run ? <RunPage state={state} act={act} revision={revision} /> : <Empty state={state} act={act} />}
      <div class="for-readers" role="status" aria-live="polite">
        {visible(state.announcement, 1000)}
      </div>
    </>
  );
}

function Empty({ state, act }: { state: DetailsState; act: Act }) {
  const newest = (
    <button type="button" onClick={() => void act({ kind: "newest" })}>
      Show the Newest Run
    </button>
  );
  switch (state.phase) {
    case "off":
      return (
        <main class="empty">
          <h1>The server is not running</h1>
          <p>{visible(state.offReason, 500)}</p>
          <button type="button" onClick={() => void act({ kind: "start" })}>
            Start the Server
          </button>
        </main>
      );
    case "gone":
      return (
        <main class="empty">
          <h1>This run is no longer known</h1>
          <p>The server keeps the last 50 runs since it was started. This one is older, or the server was restarted.</p>
          {newest}
        </main>
      );
    case "none":
      return (
        <main class="empty">
          <h1>Nothing has run yet</h1>
          <p>Start a test or a build in the terminal, as a task or with a debugger. It is watched by itself and shown here.</p>
          {newest}
        </main>
      );
    default:
      return (
        <main class="empty">
          <p>Reading the run…</p>
        </main>
      );
  }
}

function RunPage({ state, act, revision }: { state: DetailsState; act: Act; revision: number }) {
  const { findings } = state.model;
  return (
    <main class="page">
      <Head state={state} />
      {findings.length > 0 && (
        <ul class="findings" aria-label="Findings">
          {findings.map((finding) => (
            <FindingCard key={finding.id} finding={finding} state={state} act={act} />
          ))}
        </ul>
      )}
      <div class="body">
        <section class="timeline" aria-label="Processes of the run">
          <Toolbar key={state.model.run ? keyText(state.model.run) : ""} state={state} />
          {state.mode === "chart" ? <ChartView state={state} /> : <Table state={state} revision={revision} />}
          {state.model.nLeftOut > 0 && (
            <p class="muted">
              {plural(state.model.nLeftOut, "more process", "more processes")} of this run are not kept: only the first
              are.
            </p>
          )}
        </section>
        <Facts state={state} act={act} />
      </div>
    </main>
  );
}

function Head({ state }: { state: DetailsState }) {
  const { run, findings } = state.model;
  if (!run) {
    return null;
  }
  const isGuilty = findings.some((finding) => finding.state === "raised");
  const live = run.has_ended ? "" : "live ";
  return (
    <header class="head">
      <h1 title={wholeCommand(run)}>
        <span class={`dot ${live}${isGuilty ? "guilty" : ""}`} aria-hidden="true" />
        {runName(run)}
      </h1>
      <p class="totals">
        <span>{runState(run)}</span>
        <span>
          {plural(run.n_processes, "process", "processes")}
          {run.has_ended ? "" : `, ${run.n_alive} alive`}
        </span>
        <span>{run.has_ended ? `at most ${cores(run.peak_cores)}` : cores(run.on_cpu_cores)}</span>
        <span>
          {run.has_ended ? `at most ${memoryText(run.peak_rss_bytes)}` : memoryText(run.rss_bytes)}
        </span>
      </p>
    </header>
  );
}

function FindingCard({ finding, state, act }: { finding: Finding; state: DetailsState; act: Act }) {
  const isChosen = finding.id === state.findingId;
  return (
    <li class={`finding ${finding.severity} ${finding.state} ${isChosen ? "chosen" : ""}`}>
      <svg width="14" height="14" viewBox="0 0 16 16" aria-hidden="true">
        <path d="M8 1.5 15 14H1z" fill="none" stroke="currentColor" stroke-width="1.4" />
        <path d="M8 6v4m0 1.4v1.3" stroke="currentColor" stroke-width="1.5" />
      </svg>
      <button
        type="button"
        class="title"
        aria-current={isChosen}
        onClick={() => {
          state.chooseFinding(finding);
        }}
      >
        {findingTitle(finding)}
      </button>
      {finding.location && <PlaceLink place={finding.location} act={act} />}
      <span class="muted">{findingState(finding, state.now_s)}</span>
    </li>
  );
}

function Toolbar({ state }: { state: DetailsState }) {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const mode = (value: Mode, name: string) => (
    <button
      type="button"
      aria-pressed={state.mode === value}
      onClick={() => {
        state.setMode(value);
      }}
    >
      {name}
    </button>
  );
  return (
    <div class="toolbar" role="group" aria-label="What is shown">
      <input
        type="search"
        placeholder="Find processes"
        aria-label="Find processes by command line or pid"
        defaultValue={state.query}
        onInput={(event) => {
          const { value } = event.currentTarget;
          clearTimeout(timer.current);
          timer.current = setTimeout(() => {
            state.search(value);
          }, SEARCH_AFTER_MS);
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter") {
            state.search(event.currentTarget.value);
            state.step(event.shiftKey ? -1 : 1);
          } else if (event.key === "Escape") {
            event.currentTarget.value = "";
            state.search("");
          }
        }}
      />
      <span class="muted count">{state.found && `${state.found.length} found`}</span>
      <span class="group" role="group" aria-label="Show as">
        {mode("chart", "Timeline")}
        {mode("table", "Table")}
      </span>
    </div>
  );
}

function ChartView({ state }: { state: DetailsState }) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  useLayoutEffect(() => {
    const made = host.current && new Chart(host.current, state);
    chart.current = made;
    made?.show();
    return () => {
      made?.dispose();
    };
  }, [state]);
  useLayoutEffect(() => {
    chart.current?.show();
  });
  return (
    <>
      <div class="chart" ref={host} />
      <div class="zoom">
        <button type="button" aria-label="Zoom in" title="Zoom in (+)" onClick={() => chart.current?.zoom(1.5)}>
          +
        </button>
        <button type="button" aria-label="Zoom out" title="Zoom out (-)" onClick={() => chart.current?.zoom(1 / 1.5)}>
          −
        </button>
        <button
          type="button"
          title="Show all of the run (0)"
          disabled={state.range === null}
          onClick={() => {
            state.setRange(null);
          }}
        >
          All
        </button>
        <ul class="legend muted" aria-hidden="true">
          <li class="quiet">waits</li>
          <li class="busy">uses CPU</li>
          <li class="failed">failed</li>
          <li class="runaway">runs away</li>
        </ul>
        <details class="muted">
          <summary>Keys</summary>
          <p id="chart-help">
            Arrow keys go from process to process. Enter zooms in, or shows each of a fold; Backspace folds again. Plus
            and minus zoom, Shift with an arrow key moves, 0 shows all. With the mouse: drag over the curves or scroll
            with Ctrl to zoom, double-click for what Enter does.
          </p>
        </details>
      </div>
    </>
  );
}
