// Whatever processes, probes and models say, in the pages that are shown: as text, and nothing
// else. The front ends run as they are shipped, in a page as the extension makes it; every field
// that holds text holds what would like to be something else, everything that can be pressed is
// pressed, and every handler that could have been slipped in is called. That VS Code's content
// policy would stop a script, too, is not relied on: jsdom has none.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { JSDOM, VirtualConsole, type DOMWindow } from "jsdom";
import { pageOf } from "../../src/page";
import { visible } from "../../src/text";
import { spinningTest } from "../../webview/dev/sample";
import { parseFromView } from "../../webview/messages";
import { own } from "../../webview/probes/dev/sample";
import { parseFromView as parseFromProbeView } from "../../webview/probes/messages";

// The table of tests/fuzz, which tries it on every other surface.
const payloads: [string, string][] = [
  ...Object.entries(JSON.parse(readFileSync("../tests/fuzz/payloads.json", "utf8")) as Record<string, string>),
  ["long", "x".repeat(20_000)],
];

/** The elements that the pages are made of; none of them loads, runs or leads anywhere. */
const ELEMENTS = new Set(
  (
    "aside blockquote br button canvas caption code dd details div dl dt figcaption figure footer h1 h2 h3 header" +
    " input li main ol p path section span strong summary svg table tbody td th thead tr ul"
  ).split(" "),
);
/** Of attributes what runs, loads or leads somewhere. */
const ACTIVE = /^on|^href|^src|action$|^xlink|^(data|ping|background|poster|is)$/;
/** Lengths and places, as the pages themselves write them. */
const STYLE = /^([a-z-]+: ?[\w%.,() -]*; ?)*$/;
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
const MAX_SHOWN = 4000;

/** `value` with `payload` for all text, but in fields that are called as those in `kept`. */
function poisoned(value: unknown, payload: string, kept: readonly string[] = []): unknown {
  if (typeof value === "string") {
    return payload;
  }
  if (Array.isArray(value)) {
    return value.map((each) => poisoned(each, payload, kept));
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  const entries = Object.entries(value).map(([name, each]): [string, unknown] => [
    name,
    kept.includes(name) ? each : poisoned(each, payload, kept),
  ]);
  return Object.fromEntries(entries);
}

function named(fields: unknown, payload: string): unknown {
  // Not as a literal: __proto__ is to be a name like any other.
  return Object.fromEntries([...Object.entries(fields as object), [payload, payload], ["list", [payload]]]);
}

interface Shown {
  readonly window: DOMWindow;
  /** What the page has told the extension. */
  readonly told: unknown[];
  /** What was painted on canvases. */
  readonly painted: string[];
  /** Scripts that were not ours and ran. */
  readonly taken: unknown[];
  tell(message: unknown): Promise<void>;
  /** Until all that is due has been drawn. */
  settle(): Promise<void>;
}

async function shown(name: "details" | "probe"): Promise<Shown> {
  const told: unknown[] = [];
  const painted: string[] = [];
  const taken: unknown[] = [];
  let frames: FrameRequestCallback[] = [];
  const problems = new VirtualConsole();
  problems.on("jsdomError", (error) => {
    taken.push(error);
  });
  const html = pageOf({ title: "Run", script: "x.js", style: "x.css", cspSource: "x:", nonce: "0" });
  const { window } = new JSDOM(html, {
    runScripts: "dangerously",
    virtualConsole: problems,
    beforeParse: (made) => {
      const measures: Record<string | symbol, unknown> = {
        measureText: (text: string) => ({ width: text.length * 6 }),
        fillText: (text: string) => painted.push(text),
      };
      const context = new Proxy(measures, { get: (known, name) => known[name] ?? (() => undefined) });
      made.HTMLCanvasElement.prototype.getContext = (() => context) as never;
      for (const [side, size] of [["clientWidth", 900], ["clientHeight", 600]] as const) {
        Object.defineProperty(made.HTMLElement.prototype, side, { value: size });
      }
      Object.assign(made, {
        acquireVsCodeApi: () => ({
          postMessage: (message: unknown) => told.push(message),
          getState: () => undefined,
          setState: () => undefined,
        }),
        alert: (said: unknown) => taken.push(said),
        requestAnimationFrame: (draw: FrameRequestCallback) => frames.push(draw),
        cancelAnimationFrame: () => undefined,
        Path2D: class {
          moveTo() {
            // Paths have no text.
          }
          lineTo() {
            // Nor here.
          }
        },
        ResizeObserver: class {
          observe() {
            // The size stays what it is.
          }
          disconnect() {
            // Nothing was observed.
          }
        },
      });
    },
  });
  const settle = async () => {
    for (let round = 0; round < 5; round += 1) {
      const due = frames;
      frames = [];
      due.forEach((draw) => {
        draw(0);
      });
      await new Promise(setImmediate);
    }
  };
  window.eval(readFileSync(`dist/test/webview/${name}.js`, "utf8"));
  await settle();
  return {
    window,
    told,
    painted,
    taken,
    settle,
    tell: async (message) => {
      window.dispatchEvent(new window.MessageEvent("message", { data: message }));
      await settle();
    },
  };
}

function elements({ window }: Shown): Element[] {
  return [...(window.document.getElementById("page")?.querySelectorAll("*") ?? [])];
}

/** Nothing is there but what the pages are made of, and what is said in it is visible. */
function isHarmless(page: Shown): void {
  const { document } = page.window;
  assert.equal(document.scripts.length, 1);
  assert.deepEqual(
    [...document.body.children].map((each) => each.localName),
    ["div", "script"],
  );
  for (const element of elements(page)) {
    assert.ok(ELEMENTS.has(element.localName), element.outerHTML.slice(0, 300));
    for (const { name, value } of element.attributes) {
      assert.doesNotMatch(name, ACTIVE);
      assert.doesNotMatch(value, INVISIBLE, name);
      assert.ok(value.length <= MAX_SHOWN, name);
      if (name === "style") {
        assert.match(value, STYLE);
      } else if (name === "class" || name === "id") {
        assert.match(value, /^[\w -]*$/);
      }
    }
    for (const node of element.childNodes) {
      if (node.nodeType === page.window.Node.TEXT_NODE) {
        // The tip over a process has lines of its own.
        const said = node.nodeValue ?? "";
        assert.doesNotMatch(element.className === "tip" ? said.replaceAll("\n", "") : said, INVISIBLE);
        assert.ok(said.length <= MAX_SHOWN);
      }
    }
  }
  for (const each of page.painted) {
    assert.doesNotMatch(each, INVISIBLE);
  }
  assert.deepEqual(page.taken, []);
}

function words(page: Shown): string {
  const all = elements(page);
  return [all[0]?.parentElement?.textContent, ...all.map((each) => each.getAttribute("title"))].join("\n");
}

/** All text, of backquotes and line ends, which are made code and lines, only what is between. */
function says(page: Shown, payload: string): void {
  const said = words(page);
  for (const part of payload.split(/[`\r\n]+/)) {
    const wanted = visible(part.trim(), 30).replace(/…$/, "");
    assert.ok(said.includes(wanted), wanted);
  }
}

/** Presses what there is, also what comes by that, and calls whatever handlers there may be. */
async function pressAll(page: Shown, payload: string): Promise<void> {
  const pressed = new Set<string>();
  for (let round = 0; round < 40; round += 1) {
    const button = elements(page).find(
      (each) => each.localName === "button" && !pressed.has(nameOf(each)),
    );
    if (!button) {
      break;
    }
    pressed.add(nameOf(button));
    (button as HTMLElement).click();
    await answered(page, payload);
  }
  for (const type of ["load", "error", "focus", "toggle", "mouseover", "click", "dblclick"]) {
    await touchAll(page, type);
  }
}

async function touchAll(page: Shown, type: string): Promise<void> {
  const { Event, MouseEvent } = page.window;
  for (const element of elements(page)) {
    const isOfPointer = /^(mouse|pointer|click|dbl)/.test(type);
    element.dispatchEvent(
      isOfPointer ? new MouseEvent(type, { bubbles: true, clientX: 300, clientY: 40 }) : new Event(type),
    );
  }
  await page.settle();
  isHarmless(page);
}

function nameOf(button: Element): string {
  return `${button.className} ${button.textContent} ${button.getAttribute("title") ?? ""}`;
}

/** The extension answers each action, in words that are foreign. */
async function answered(page: Shown, payload: string): Promise<void> {
  const waiting = page.told.filter(isAct).slice(-1);
  for (const { id, action } of waiting) {
    const frame = { function: payload, path: payload, uri: payload, line: 1, is_user_code: true };
    const stack = {
      threads: [{ tid: 1, is_running: true, frames: [frame, { ...frame, path: `/${payload}` }] }],
      problem: page.told.filter(isAct).some((each) => each.id < id && each.action.kind === "stack") ? payload : null,
      took_s: 0.1,
    };
    const outcome = { message: payload, ...(action.kind === "stack" ? { stack } : {}) };
    await page.tell({ type: "outcome", id, outcome });
    if (action.kind === "stack") {
      isHarmless(page);
    }
  }
  await page.settle();
}

function isAct(message: unknown): message is { type: "act"; id: number; action: { kind: string } } {
  return (message as { type?: unknown }).type === "act";
}

for (const [name, payload] of payloads) {
  test(`the details of a run show what is hostile as text: ${name}`, async () => {
    const page = await shown("details");
    const answer = poisoned(spinningTest().answer(9), payload, ["began_at", "onset_at", "severity", "state"]) as {
      findings: { explanation: { note: unknown } }[];
    };
    for (const each of answer.findings) {
      each.explanation.note = { model: payload, text: payload };
    }
    await page.tell({ type: "update", update: { state: "known", is_whole: true, answer, focus: null } });
    isHarmless(page);
    says(page, payload);
    assert.ok(page.painted.length > 0);
    await touchAll(page, "pointermove");
    assert.equal(page.window.document.querySelector<HTMLElement>(".tip")?.hidden, false);
    await pressAll(page, payload);
    // What comes back of it is refused, where it leads anywhere but to a file.
    const opened = page.told.filter(isAct).filter(({ action }) => action.kind === "open");
    assert.ok(opened.length > 0);
    assert.deepEqual(opened.map(parseFromView), opened.map(() => null));
    for (const update of [{ state: "off", reason: payload }, { state: payload }, { state: "gone" }, { state: "none" }]) {
      await page.tell({ type: "update", update });
      isHarmless(page);
    }
    page.window.close();
  });

  test(`the page of a probe shows what is hostile as text: ${name}`, async () => {
    const page = await shown("probe");
    const permission = { may_load: false, why: payload, fix: payload };
    await page.tell({ type: "update", update: { state: "idle", document: payload, permission } });
    isHarmless(page);
    says(page, payload);
    await pressAll(page, payload);
    const given = own(1).answer(9) as {
      summary: object;
      maps: { entries: [unknown, unknown][] }[];
      events: { fields: object }[];
    };
    const kept = ["ktime_ns", "state"];
    const answer = {
      ...given,
      summary: { ...(poisoned({ ...given.summary, problem: "", note: "" }, payload, kept) as object), is_own: false },
      maps: given.maps.map((map, index) => ({
        ...(poisoned(map, payload, kept) as object),
        is_histogram: index === 1,
        entries: map.entries.slice(0, 3).map(([key, value]) => [
          typeof key === "object" ? named(key, payload) : index === 0 ? payload : key,
          typeof value === "object" ? named(value, payload) : value,
        ]),
      })),
      events: given.events.map((event) => ({
        ...(poisoned(event, payload, kept) as object),
        fields: named(poisoned(event.fields, payload), payload),
      })),
    };
    const update = { state: "known", is_whole: true, answer, at_s: 9, first_slot: null };
    for (const may_load of [true, false]) {
      await page.tell({ type: "update", update: { ...update, permission: { ...permission, may_load } } });
      isHarmless(page);
      says(page, payload);
      await pressAll(page, payload);
    }
    assert.ok(page.told.filter(isAct).length > 3);
    assert.ok(page.told.filter(isAct).every((each) => parseFromProbeView(each) !== null));
    await page.tell({ type: "update", update: { state: "off", reason: payload } });
    isHarmless(page);
    page.window.close();
  });
}
