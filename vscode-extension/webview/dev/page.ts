// The details view as a page of its own, with runs that were made up, behind the same interface:
// `?sample=spin&at=9`. What is not live is told by `page.tell`, which tests and measurements call.

import type { Action, RunSource, Update } from "../data";
import { mount } from "../view";
import { build, hostile, manySleeps, mixed, spinningTest, type Sample } from "./sample";

const SAMPLES: Record<string, (count: number) => Sample> = {
  spin: spinningTest,
  build,
  many: manySleeps,
  mixed,
  hostile,
};

const asked = new URLSearchParams(location.search);
const count = Number(asked.get("count") ?? 2000);
const sample = (SAMPLES[asked.get("sample") ?? "spin"] ?? spinningTest)(count);
document.body.className = asked.get("theme") ?? "vscode-light";

const actions: Action[] = [];
let listener: (update: Update) => void = () => undefined;

const source: RunSource = {
  subscribe: (onUpdate) => {
    listener = onUpdate;
    return () => {
      listener = () => undefined;
    };
  },
  act: (action) => {
    actions.push(action);
    const frames = [{ function: "drain", path: "/home/me/pump/pump.py", uri: null, line: 41, is_user_code: true }];
    const stack = { threads: [{ tid: 4412, is_running: true, frames }], problem: null, took_s: 0.1 };
    return Promise.resolve(action.kind === "stack" ? { message: null, stack } : { message: "Done" });
  },
  recall: () => undefined,
  remember: () => undefined,
};

function at(moment_s: number, since_s?: number): Update {
  const answer = sample.answer(moment_s, since_s);
  return { state: "known", is_whole: since_s === undefined, answer, focus: null };
}

const place = document.getElementById("page");
const mounted = place && mount(place, source);

function tell(update: Update): void {
  listener(update);
}

Object.assign(window, { page: { actions, tell, at, state: mounted?.state } });
const moment = asked.get("at");
if (moment !== "none") {
  tell(at(Number(moment ?? sample.duration_s)));
}
if (asked.has("live")) {
  let now = Number(moment ?? 0);
  setInterval(() => {
    now += 1;
    tell(at(now, now - 1));
  }, 1000);
}
