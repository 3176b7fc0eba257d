// A view inside VS Code: data comes and actions go as messages to the extension.

import type { FromView, Source, ToView } from "./source";

interface VsCode {
  postMessage(message: FromView<unknown>): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): VsCode;

export function vscodeSource<Update, Action, Outcome>(
  parse: (message: unknown) => ToView<Update, Outcome> | null,
): Source<Update, Action, Outcome> {
  const vscode = acquireVsCodeApi();
  const waiting = new Map<number, (outcome: Outcome) => void>();
  let onUpdate: ((update: Update) => void) | null = null;
  let lastId = 0;
  window.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
    const message = parse(data);
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
