// The page: whether the probe runs, what it costs and what it sees, all on top; below it its
// events, and beside them its programs and maps. Shows `ProbeState`.

import { render } from "preact";
import { visible } from "../../src/text";
import { Curve } from "./curve";
import type { Action, Outcome, Permission, Probe, ProbeSource } from "./data";
import { Events } from "./events";
import { Maps } from "./maps";
import { ProbeState } from "./state";
import { ageText, attachedTo, count, curveText, figures, perRun, programName, share, stateText } from "./words";

const KEEP_AFTER_MS = 1000;

export type Act = (action: Action) => Promise<Outcome>;

/** Shows the probe of `source` in `place`, until what is returned is called. */
export function mount(place: HTMLElement, source: ProbeSource): { state: ProbeState; end: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isDue = false;
  const draw = () => {
    isDue = false;
    render(<Page state={state} act={act} />, place);
  };
  const state = new ProbeState(() => {
    // However many changes there are, they are drawn once a frame.
    if (!isDue) {
      isDue = true;
      requestAnimationFrame(draw);
    }
    timer ??= setTimeout(() => {
      timer = undefined;
      source.remember(state.kept());
    }, KEEP_AFTER_MS);
  }, source.recall());
  const act: Act = async (action) => {
    const outcome = await source.act(action);
    if (outcome.message !== null) {
      state.announce(outcome.message);
    }
    return outcome;
  };
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

function Page({ state, act }: { state: ProbeState; act: Act }) {
  const { probe } = state;
  return (
    <>
      {state.phase === "known" && probe ? (
        <ProbePage state={state} probe={probe} act={act} />
      ) : (
        <Empty state={state} act={act} />
      )}
      <div class="for-readers" role="status" aria-live="polite">
        {visible(state.announcement, 1000)}
      </div>
    </>
  );
}

function Empty({ state, act }: { state: ProbeState; act: Act }) {
  const choose = <Button act={act} action={{ kind: "choose" }} name="Open Probe…" />;
  switch (state.phase) {
    case "off":
      return (
        <main class="empty">
          <h1>The server is not running</h1>
          <p>{visible(state.offReason, 500)}</p>
          <Button act={act} action={{ kind: "start" }} name="Start the Server" />
        </main>
      );
    case "idle":
      return (
        <main class="empty">
          <h1>{state.document === null ? "No probe runs" : `${visible(state.document)} does not run`}</h1>
          {state.permission.may_load ? (
            <p>
              {state.document === null
                ? "Open a probe, or a lesson, and run it: what it sees and what it costs is shown here."
                : "Run it, and what it sees and what it costs is shown here. It is taken out of the kernel when this window closes."}
            </p>
          ) : (
            <Refusal permission={state.permission} act={act} />
          )}
          <div class="actions">
            {state.document !== null && state.permission.may_load && (
              <Button act={act} action={{ kind: "run" }} name="Run" isMain />
            )}
            {choose}
          </div>
        </main>
      );
    default:
      return (
        <main class="empty">
          <p>Reading the probe…</p>
        </main>
      );
  }
}

export function Refusal({ permission, act }: { permission: Permission; act: Act }) {
  const { why, fix } = permission;
  return (
    <div class="refusal">
      <p>{visible(why ?? "Probes may not be run here.", 1000)}</p>
      {fix !== null && (
        <p>
          <code class="code">{visible(fix, 500)}</code>{" "}
          <Button act={act} action={{ kind: "copy", text: fix }} name="Copy" />
        </p>
      )}
    </div>
  );
}

function ProbePage({ state, probe, act }: { state: ProbeState; probe: Probe; act: Act }) {
  return (
    <main class="page">
      <header class="head">
        <h1>
          <span class={`dot ${probe.state === "running" ? "live" : ""}`} aria-hidden="true" />
          {visible(probe.name)}
        </h1>
        <p class="totals">
          <span>{stateText(probe)}</span>
          <span>{ageText(probe)}</span>
        </p>
        <Deeds probe={probe} permission={state.permission} act={act} />
      </header>
      {probe.problem !== null && <p class="told error">{visible(probe.problem, 1000)}</p>}
      {probe.note !== null && <p class="told warning">{visible(probe.note, 1000)}</p>}
      {probe.files.some((each) => each.is_outdated) && (
        <p class="told warning">The shipped probe has changed since your edit.</p>
      )}
      <section class="summary" aria-label="What it costs">
        <dl class="figures">
          {figures(probe).map(({ name, value, isBad }) => (
            <div key={name} class={isBad ? "bad" : ""}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
        <Curve state={state} name="Share of a CPU" of={costOf} say={share} kind="cost" />
        <Curve state={state} name="Events/s" of={eventsOf} say={count} kind="seen" />
      </section>
      <div class="body">
        <Events state={state} act={act} />
        <aside class="facts" aria-label="Programs and maps">
          <Programs probe={probe} act={act} />
          <Maps state={state} act={act} />
        </aside>
      </div>
      <p class="for-readers">
        Share of a CPU: {curveText(state.moments, costOf, share)}. Events per second:{" "}
        {curveText(state.moments, eventsOf, count)}.
      </p>
    </main>
  );
}

function costOf(moment: { cpu_share: number }): number {
  return moment.cpu_share;
}

function eventsOf(moment: { events_per_s: number }): number {
  return moment.events_per_s;
}

function Deeds({ probe, permission, act }: { probe: Probe; permission: Permission; act: Act }) {
  const isEdited = probe.files.some((each) => each.is_edited);
  const hasSource = probe.uri !== null || probe.files.length > 0;
  const isRunning = probe.state === "running";
  const mayRun = permission.may_load && hasSource;
  return (
    <div class="actions" role="group" aria-label="Actions">
      {mayRun && !isRunning && <Button act={act} action={{ kind: "run" }} name="Run" isMain />}
      {mayRun && isRunning && <Button act={act} action={{ kind: "reload" }} name="Reload" isMain />}
      {probe.can_roll_back && <Button act={act} action={{ kind: "rollBack" }} name="Roll Back" />}
      {isRunning && !probe.is_own && <Button act={act} action={{ kind: "detach" }} name="Detach" />}
      {isEdited && <Button act={act} action={{ kind: "diff" }} name="Compare with Shipped" />}
      {isEdited && <Button act={act} action={{ kind: "reset" }} name="Reset to Shipped…" />}
      <Button act={act} action={{ kind: "source" }} name={hasSource ? "Source" : "Open Source…"} />
      <Button act={act} action={{ kind: "choose" }} name="Other Probe…" />
    </div>
  );
}

export function Button(props: { act: Act; action: Action; name: string; isMain?: boolean }) {
  return (
    <button type="button" class={props.isMain ? "main" : ""} onClick={() => void props.act(props.action)}>
      {props.name}
    </button>
  );
}

/** A name that leads to its line, where that is known. */
export function Place(props: { line: number | null; name: string; act: Act }) {
  const { line, name, act } = props;
  return line === null ? (
    <>{name}</>
  ) : (
    <button type="button" class="link" title={`Line ${line}`} onClick={() => void act({ kind: "open", line })}>
      {name}
    </button>
  );
}

function Programs({ probe, act }: { probe: Probe; act: Act }) {
  const canOpen = probe.uri !== null;
  return (
    <table class="programs">
      <caption>Programs</caption>
      <thead>
        <tr>
          <th scope="col">attached to</th>
          <th scope="col">runs/s</th>
          <th scope="col">each</th>
          <th scope="col">instructions</th>
        </tr>
      </thead>
      <tbody>
        {probe.programs.map((program) => (
          <tr key={program.name}>
            <th scope="row" title={visible(program.name)}>
              <Place line={canOpen ? program.line : null} name={attachedTo(program)} act={act} />
              {!program.attached_to.endsWith(programName(program)) && (
                <span class="muted"> {programName(program)}</span>
              )}
            </th>
            <td>{program.runs_per_s === null ? "" : count(program.runs_per_s)}</td>
            <td>{program.ns_per_run === null ? "" : perRun(program.ns_per_run)}</td>
            <td>{program.n_instructions > 0 ? count(program.n_instructions) : ""}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
