// What the probe view is told and what it may ask for, as far as a message says it rightly. Knows
// no DOM and no VS Code.

import { asFields, isWhole, text, textOrNull, wholeOrNull } from "../parse";
import { fromView, toView, type FromView, type ToView } from "../source";
import { DEEDS, type Action, type Outcome, type Update } from "./data";
import { parsePermission } from "./parse";

/** All events that are kept, as JSON. */
const MAX_COPIED = 4_000_000;

export function parseFromView(message: unknown): FromView<Action> | null {
  return fromView(message, parseAction);
}

export function parseToView(message: unknown): ToView<Update, Outcome> | null {
  return toView(message, parseUpdate, (fields) => ({ message: textOrNull(fields.message) }));
}

function parseAction(value: unknown): Action | null {
  const { kind, line, text: copied } = asFields(value) ?? {};
  const deed = DEEDS.find((each) => each === kind);
  if (deed) {
    return { kind: deed };
  }
  switch (kind) {
    case "open":
      return isWhole(line) ? { kind, line } : null;
    case "copy":
      return typeof copied === "string" && copied.length <= MAX_COPIED ? { kind, text: copied } : null;
    case "choose":
    case "start":
      return { kind };
    default:
      return null;
  }
}

function parseUpdate(value: unknown): Update | null {
  const fields = asFields(value);
  switch (fields?.state) {
    case "loading":
      return { state: "loading" };
    case "off":
      return { state: "off", reason: text(fields.reason) };
    case "idle":
      return {
        state: "idle",
        document: textOrNull(fields.document),
        permission: parsePermission(fields.permission),
      };
    case "known":
      return {
        state: "known",
        is_whole: fields.is_whole === true,
        answer: fields.answer,
        at_s: typeof fields.at_s === "number" ? fields.at_s : 0,
        first_slot: wholeOrNull(fields.first_slot),
        permission: parsePermission(fields.permission),
      };
    default:
      return null;
  }
}
