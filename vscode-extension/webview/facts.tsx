// What is known of the selected process: the finding first, with its reasons, then the process.

import { Fragment } from "preact";
import { useState } from "preact/hooks";
import { commandLine, plural, visible } from "../src/text";
import type { Action, Finding, Outcome, Place, Span, Stack } from "./data";
import type { Bar } from "./layout";
import { parseStack } from "./parse";
import type { DetailsState } from "./state";
import {
  barName,
  bytes,
  cores,
  coresOf,
  evidenceName,
  evidenceValue,
  findingState,
  findingTitle,
  hasFailed,
  lifeOf,
  moment,
  placeName,
  seconds,
  shortCommand,
  wholeCommand,
} from "./words";

export type Act = (action: Action) => Promise<Outcome>;

export function Facts({ state, act }: { state: DetailsState; act: Act }) {
  const { span, bar, selected, finding } = state;
  if (!bar) {
    return (
      <aside class="facts" aria-label="Details">
        {finding ? (
          <FindingFacts finding={finding} now_s={state.now_s} act={act} />
        ) : selected !== null && state.open.has(selected) ? (
          <>
            <p>Each of them is shown for itself.</p>
            <FoldAgain foldId={selected} state={state} />
          </>
        ) : (
          <p class="muted">Choose a process in the timeline: here is what is known of it.</p>
        )}
      </aside>
    );
  }
  return (
    <aside class="facts" aria-label="Details">
      {span ? (
        <SpanFacts key={span.id} span={span} state={state} act={act} />
      ) : (
        <FoldFacts bar={bar} state={state} />
      )}
    </aside>
  );
}

function FindingFacts({ finding, now_s, act }: { finding: Finding; now_s: number; act: Act }) {
  const words = finding.explanation;
  return (
    <>
      <div class={`why ${finding.severity} ${finding.state}`}>
        <p>
          <strong>{findingTitle(finding)}</strong> <span class="muted">{findingState(finding, now_s)}</span>
        </p>
        {finding.location && (
          <p>
            <PlaceLink place={finding.location} act={act} />
            {finding.location.function !== null && (
              <span class="muted"> in {visible(finding.location.function, 200)}</span>
            )}
          </p>
        )}
        {finding.test !== null && <p class="muted">during {visible(finding.test, 300)}</p>}
        {words && words.why !== "" && <p><Prose text={words.why} /></p>}
      </div>
      {words && words.fix.length > 0 && (
        <>
          <h3>What to change</h3>
          <ul>
            {words.fix.map((step, index) => (
              <li key={index}><Prose text={step} /></li>
            ))}
          </ul>
        </>
      )}
      {words && words.otherwise !== "" && <p class="muted"><Prose text={words.otherwise} /></p>}
      {words?.note && (
        <blockquote>
          <p><Prose text={words.note.text} /></p>
          <footer class="muted">Note by {visible(words.note.model, 200)}</footer>
        </blockquote>
      )}
      {finding.evidence.length > 0 && <EvidenceTable finding={finding} />}
      {finding.other_locations.length > 0 && (
        <>
          <h3>Also look at</h3>
          <ul>
            {finding.other_locations.map((place, index) => (
              <li key={index}>
                <PlaceLink place={place} act={act} />
                {place.role !== null && <span class="muted"> {visible(place.role, 100)}</span>}
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

/** Sentences in their lines, with what stands between backquotes as code. */
function Prose({ text }: { text: string }) {
  const lines = text.trim().split(/\r?\n/).slice(0, 50);
  return (
    <>
      {lines.map((line, number) => (
        <Fragment key={number}>
          {number > 0 && <br />}
          {visible(line, 4000)
            .split(/`([^`]+)`/)
            .map((part, index) => (index % 2 === 1 ? <code key={index} class="code">{part}</code> : part))}
        </Fragment>
      ))}
    </>
  );
}

function EvidenceTable({ finding }: { finding: Finding }) {
  return (
    <table class="evidence">
      <caption>Evidence</caption>
      <thead>
        <tr>
          <th scope="col">Measured</th>
          <th scope="col">Value</th>
          <th scope="col">Over</th>
          <th scope="col">By</th>
        </tr>
      </thead>
      <tbody>
        {finding.evidence.map((each) => (
          <tr key={each.id} class={finding.explanation?.cites.includes(each.id) ? "cited" : ""}>
            <th scope="row">{evidenceName(each)}</th>
            <td>{evidenceValue(each)}</td>
            <td>{each.window_s === null ? "" : seconds(each.window_s)}</td>
            <td class="muted">{visible(each.source, 200)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function SpanFacts({ span, state, act }: { span: Span; state: DetailsState; act: Act }) {
  const [stack, setStack] = useState<Stack | null>(null);
  const [isReading, setIsReading] = useState(false);
  const now = state.now_s;
  const isAlive = span.ended_s === null;
  const { finding, bar } = state;
  const parent = span.parent === null ? undefined : state.model.spans.get(span.parent);
  const process = { pid: span.pid, start_ticks: span.start_ticks };
  const stop = (tree: boolean) => () => {
    const own = finding?.process === span.id && finding.state === "raised" && !tree;
    void act({ kind: "stop", process, finding_id: own ? finding.id : null, tree });
  };
  return (
    <section>
      <h2>
        {visible(span.comm, 60)} <span class="muted">pid {span.pid}</span>
      </h2>
      <div class="actions">
        {isAlive && (
          <>
            <button class={finding?.state === "raised" ? "main" : ""} type="button" onClick={stop(false)}>
              Stop Process…
            </button>
            {(bar?.children.length ?? 0) > 0 && (
              <button type="button" onClick={stop(true)}>
                Stop with All below…
              </button>
            )}
            <button
              type="button"
              disabled={isReading}
              onClick={() => {
                setIsReading(true);
                void act({ kind: "stack", process }).then((outcome) => {
                  setIsReading(false);
                  setStack(parseStack(outcome.stack));
                });
              }}
            >
              {isReading ? "Reading…" : stack ? "Show Stack Again" : "Show Stack Now"}
            </button>
          </>
        )}
        <button type="button" onClick={() => void act({ kind: "copy", text: commandLine(span.argv) || span.comm })}>
          Copy Command Line
        </button>
        {finding && finding.state !== "cleared" && (
          <button type="button" onClick={() => void act({ kind: "dismiss", finding_id: finding.id })}>
            Dismiss Finding
          </button>
        )}
        {bar?.foldId != null && <FoldAgain foldId={bar.foldId} state={state} />}
      </div>
      {stack && <StackView stack={stack} act={act} />}
      {finding && <FindingFacts finding={finding} now_s={now} act={act} />}
      {finding && <h3>The process</h3>}
      <dl>
        <dt>Command</dt>
        <dd class="code">{wholeCommand(span)}</dd>
        <dt>Life</dt>
        <dd>
          from {moment(span.began_s, 0.01)}, {lifeOf(span, now)}
        </dd>
        <dt>CPU</dt>
        <dd>
          {seconds(span.cpu_s)}, {cores(coresOf(span, now))} on average
        </dd>
        {span.n_forks > 0 && (
          <>
            <dt>Started</dt>
            <dd>{plural(span.n_forks, "process", "processes")}</dd>
          </>
        )}
        {parent && (
          <>
            <dt>Started by</dt>
            <dd>
              <button
                type="button"
                class="link"
                onClick={() => {
                  state.selectAndReveal(parent.id);
                }}
              >
                {shortCommand(parent).slice(0, 80)}
              </button>
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}

function FoldAgain({ foldId, state }: { foldId: string; state: DetailsState }) {
  return (
    <button
      type="button"
      onClick={() => {
        state.setOpen(foldId, false);
      }}
    >
      Fold Again
    </button>
  );
}

function FoldFacts({ bar, state }: { bar: Bar; state: DetailsState }) {
  const nAlive = bar.members.filter((each) => each.ended_s === null).length;
  const nFailed = bar.members.filter(hasFailed).length;
  const used = bar.members.reduce((sum, each) => sum + each.cpu_s, 0);
  const lives = bar.members.map((each) => (each.ended_s ?? state.now_s) - each.began_s).sort((a, b) => a - b);
  return (
    <section>
      <h2>{barName([bar])}</h2>
      <div class="actions">
        <button
          type="button"
          onClick={() => {
            state.setOpen(bar.id, true);
          }}
        >
          Show Each
        </button>
      </div>
      <dl>
        <dt>Alive</dt>
        <dd>
          {nAlive} of {bar.members.length}
        </dd>
        {nFailed > 0 && (
          <>
            <dt>Failed</dt>
            <dd>{nFailed}</dd>
          </>
        )}
        <dt>CPU</dt>
        <dd>{seconds(used)} in all</dd>
        <dt>Lived</dt>
        <dd>
          {seconds(lives[0] ?? 0)} to {seconds(lives.at(-1) ?? 0)}, half of them up to{" "}
          {seconds(lives[Math.floor(lives.length / 2)] ?? 0)}
        </dd>
        <dt>One of them</dt>
        <dd class="code">{bar.members[0] ? wholeCommand(bar.members[0]) : ""}</dd>
      </dl>
    </section>
  );
}

function StackView({ stack, act }: { stack: Stack; act: Act }) {
  if (stack.problem !== null) {
    return <p class="muted">No stack: {visible(stack.problem, 500)}</p>;
  }
  return (
    <div class="stack">
      {stack.threads.map((thread) => (
        <div key={thread.tid}>
          <h3>
            Thread {thread.tid}
            {thread.is_running !== null && (thread.is_running ? ", running" : ", waiting")}
          </h3>
          <ol>
            {thread.frames.map((frame, index) => (
              <li key={index} class={frame.is_user_code ? "own" : "muted"}>
                <span class="code">{visible(frame.function ?? "?", 200)}</span>{" "}
                {frame.path.startsWith("/") && frame.line > 0 ? (
                  <PlaceLink place={frame} act={act} />
                ) : (
                  visible(frame.path, 200)
                )}
              </li>
            ))}
          </ol>
        </div>
      ))}
      {stack.threads.length === 0 && <p class="muted">It has no stack that could be read.</p>}
    </div>
  );
}

export function PlaceLink({ place, act }: { place: Place; act: Act }) {
  return (
    <button
      type="button"
      class="link"
      title={visible(`${place.path}:${place.line}`, 1000)}
      onClick={() => void act({ kind: "open", uri: place.uri, path: place.path, line: place.line })}
    >
      {placeName(place)}
    </button>
  );
}

export function memoryText(value: number | null): string {
  return value === null ? "unknown" : bytes(value);
}
