// What the details view is asked for, and how it says what came of it. Knows nothing of VS Code.

import type { Action, Focus, Key } from "../../webview/data";
import { parseFocus } from "../../webview/messages";
import { asFields, parseKey } from "../../webview/parse";

/** Of the argument of `linnix.showDetails`, whoever gave it. */
export function requested(argument: unknown): Focus & { run: Key | null } {
  const focus = parseFocus(argument);
  return {
    run: parseKey(asFields(argument)?.run),
    process: focus?.process ?? null,
    finding_id: focus?.finding_id ?? null,
  };
}

/** Of linnix/runs' answer: where something runs away, else where something was found, else any. */
export function newestRun(answer: unknown): Key | null {
  const { runs } = asFields(answer) ?? {};
  let found: { key: Key; rank: number } | null = null;
  for (const each of Array.isArray(runs) ? (runs as unknown[]) : []) {
    const key = parseKey(each);
    const { findings } = asFields(each) ?? {};
    const states = (Array.isArray(findings) ? (findings as unknown[]) : []).map(
      (finding) => asFields(finding)?.state,
    );
    const rank = states.includes("raised") ? 2 : states.length > 0 ? 1 : 0;
    if (key && (!found || rank > found.rank)) {
      found = { key, rank };
    }
  }
  return found?.key ?? null;
}

export function stopArgument(action: Extract<Action, { kind: "stop" }>): object {
  return action.finding_id === null
    ? { process: action.process, tree: action.tree }
    : { finding_id: action.finding_id };
}

const OUTCOMES: Record<string, string> = {
  stopped: "Stopped",
  already_gone: "It had ended already",
  not_confirmed: "Not stopped",
  refused: "It could not be stopped",
  unknown_finding: "This finding is gone",
  unknown_process: "This process is not watched",
};

export function stopMessage(result: unknown): string {
  const outcome = asFields(result)?.outcome;
  return (typeof outcome === "string" ? OUTCOMES[outcome] : undefined) ?? "The server has not answered";
}
