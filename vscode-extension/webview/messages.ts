// What the details view is told and what it may ask for, as far as a message says it rightly.
// Knows no DOM and no VS Code.

import type { Action, Focus, Outcome, Update } from "./data";
import { asFields, parseKey } from "./parse";
import { fromView, toView, type FromView, type ToView } from "./source";

const MAX_TEXT = 200_000;

export function parseFromView(message: unknown): FromView<Action> | null {
  return fromView(message, parseAction);
}

export function parseAction(value: unknown): Action | null {
  const fields = asFields(value);
  const process = parseKey(fields?.process);
  const finding_id = parseText(fields?.finding_id);
  switch (fields?.kind) {
    case "open": {
      const { path, line } = fields;
      const uri = parseText(fields.uri);
      // Files alone: whatever else an editor opens by a URI is nothing to a line of source.
      const isFile = uri === null || uri.startsWith("file:");
      return isFile && isText(path) && path.startsWith("/") && isLine(line)
        ? { kind: "open", uri, path, line }
        : null;
    }
    case "stop":
      return process && typeof fields.tree === "boolean"
        ? { kind: "stop", process, finding_id, tree: fields.tree }
        : null;
    case "stack":
      return process && { kind: "stack", process };
    case "copy":
      return isText(fields.text) ? { kind: "copy", text: fields.text } : null;
    case "dismiss":
      return finding_id === null ? null : { kind: "dismiss", finding_id };
    case "newest":
    case "start":
      return { kind: fields.kind };
    default:
      return null;
  }
}

export function parseToView(message: unknown): ToView<Update, Outcome> | null {
  return toView(message, parseUpdate, ({ message: said, stack }) => ({ message: parseText(said), stack }));
}

function parseUpdate(value: unknown): Update | null {
  const fields = asFields(value);
  switch (fields?.state) {
    case "loading":
    case "none":
    case "gone":
      return { state: fields.state };
    case "off":
      return { state: "off", reason: parseText(fields.reason) ?? "" };
    case "known":
      return {
        state: "known",
        is_whole: fields.is_whole === true,
        answer: fields.answer,
        focus: parseFocus(fields.focus),
      };
    default:
      return null;
  }
}

export function parseFocus(value: unknown): Focus | null {
  const fields = asFields(value);
  const process = parseKey(fields?.process);
  const finding_id = parseText(fields?.finding_id);
  return process || finding_id !== null ? { process, finding_id } : null;
}

function parseText(value: unknown): string | null {
  return isText(value) ? value : null;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_TEXT;
}

function isLine(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
