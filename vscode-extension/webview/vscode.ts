// The details view inside VS Code: data comes and actions go as messages to the extension.

import type { Action, Outcome, RunSource, Update } from "./data";
import { parseToView, type FromView } from "./messages";

interface VsCode {
  postMessage(message: FromView): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): VsCode;

export function vscodeSource(): RunSource {
  const vscode = acquireVsCodeApi();
  const waiting = new Map<number, (outcome: Outcome) => void>();
  let onUpdate: ((update: Update) => void) | null = null;
  let lastId = 0;
  window.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
    const message = parseToView(data);
    if (message?.type === "update") {
      onUpdate?.(message.update);
    } else if (message) {
      waiting.get(message.id)?.(message.outcome);
      waiting.delete(message.id);
    }
  });
  return {
    subscribe: (listener) => {
      onUpdate = listener;
      vscode.postMessage({ type: "ready" });
      return () => {
        onUpdate = null;
      };
    },
    act: (action: Action) =>
      new Promise((resolve) => {
        lastId += 1;
        waiting.set(lastId, resolve);
        vscode.postMessage({ type: "act", id: lastId, action });
      }),
    recall: () => vscode.getState(),
    remember: (kept) => {
      vscode.setState(kept);
    },
  };
}
