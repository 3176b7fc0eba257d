// The probe view as a page of its own, with probes that were made up, behind the same interface:
// `?sample=own&at=180&rate=3000`. More is told by `page.tell`, which tests and measurements call.

import type { Action, ProbeSource, Update } from "../data";
import { mount } from "../view";
import { histogram, hostile, own, type Sample } from "./sample";

const SAMPLES: Record<string, (per_s?: number) => Sample> = { own, histogram, hostile };
const BEGAN_S = 1_790_000_000;

const asked = new URLSearchParams(location.search);
const rate = asked.get("rate");
const sample = (SAMPLES[asked.get("sample") ?? "own"] ?? own)(rate === null ? undefined : Number(rate));
document.body.className = asked.get("theme") ?? "vscode-light";
const permission = asked.has("withheld")
  ? { may_load: false, why: "probes are run by root and the group linnix-ls-probes", fix: "sudo usermod -aG linnix-ls-probes me" }
  : { may_load: true, why: null, fix: null };

const actions: Action[] = [];
let listener: (update: Update) => void = () => undefined;

const source: ProbeSource = {
  subscribe: (onUpdate) => {
    listener = onUpdate;
    return () => {
      listener = () => undefined;
    };
  },
  act: (action) => {
    actions.push(action);
    return Promise.resolve({ message: "Done" });
  },
  recall: () => undefined,
  remember: () => undefined,
};

function at(moment_s: number, since_event?: number): Update {
  return {
    state: "known",
    is_whole: since_event === undefined,
    answer: sample.answer(moment_s, since_event),
    at_s: BEGAN_S + moment_s,
    first_slot: 1,
    permission,
  };
}

const place = document.getElementById("page");
const mounted = place && mount(place, source);

function tell(update: Update): void {
  listener(update);
}

/** As it is told second by second. */
function until(moment_s: number): void {
  for (let second = Math.max(1, moment_s - 240); second <= moment_s; second += 1) {
    tell(at(second, mounted?.state.lastSequence));
  }
}

Object.assign(window, { page: { actions, tell, at, until, permission, state: mounted?.state } });
if (asked.get("at") !== "none") {
  until(Number(asked.get("at") ?? 180));
}
