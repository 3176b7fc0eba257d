// What every view is shown by: updates come, actions go, and something is kept while it is put
// away. And the messages that carry this between a view and the extension, checked on arrival on
// both sides: what a message may ask for is what its view's parsers let through. Knows no DOM.

import { asFields } from "./parse";

export interface Source<Update, Action, Outcome> {
  /** Returns what ends it. The first update is whole. */
  subscribe(onUpdate: (update: Update) => void): () => void;
  /** Never rejects: what went wrong is told in the outcome. */
  act(action: Action): Promise<Outcome>;
  /** What the view keeps while it is put away; undefined at first. */
  recall(): unknown;
  remember(kept: unknown): void;
}

export type FromView<Action> =
  /** Answered with an update of the whole. */
  { type: "ready" } | { type: "act"; id: number; action: Action };

export type ToView<Update, Outcome> =
  { type: "update"; update: Update } | { type: "outcome"; id: number; outcome: Outcome };

export function fromView<Action>(
  message: unknown,
  parseAction: (value: unknown) => Action | null,
): FromView<Action> | null {
  const fields = asFields(message);
  if (fields?.type === "ready") {
    return { type: "ready" };
  }
  const action = fields?.type === "act" ? parseAction(fields.action) : null;
  return action && Number.isSafeInteger(fields?.id)
    ? { type: "act", id: fields?.id as number, action }
    : null;
}

export function toView<Update, Outcome>(
  message: unknown,
  parseUpdate: (value: unknown) => Update | null,
  parseOutcome: (fields: Record<string, unknown>) => Outcome,
): ToView<Update, Outcome> | null {
  const fields = asFields(message);
  if (fields?.type === "update") {
    const update = parseUpdate(fields.update);
    return update && { type: "update", update };
  }
  const outcome = fields?.type === "outcome" ? asFields(fields.outcome) : null;
  return outcome && Number.isSafeInteger(fields?.id)
    ? { type: "outcome", id: fields?.id as number, outcome: parseOutcome(outcome) }
    : null;
}
