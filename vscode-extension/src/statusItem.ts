// The item in the status bar, and the context keys that welcome texts and walkthrough ask for.

import * as vscode from "vscode";
import type { Server } from "./server";
import { statusShown } from "./statusText";

export function createStatusItem(server: Server): vscode.Disposable {
  const item = vscode.window.createStatusBarItem("linnix.status", vscode.StatusBarAlignment.Left, 0);
  item.name = "linnix";
  item.command = "linnix.showPanel";
  const contexts = new Map<string, unknown>();
  const setContext = (name: string, value: unknown) => {
    if (contexts.get(name) !== value) {
      contexts.set(name, value);
      void vscode.commands.executeCommand("setContext", name, value);
    }
  };
  const show = () => {
    const shown = statusShown(server.state, server.status, [...server.findings.values()]);
    item.text = shown.text;
    item.tooltip = tooltip(shown.tooltip, shown.health === "degraded");
    item.backgroundColor = shown.isProblem
      ? new vscode.ThemeColor("statusBarItem.warningBackground")
      : undefined;
    item.accessibilityInformation = { label: shown.text.replace(/\$\([^)]*\)/g, "").trim() };
    setContext("linnix.state", shown.health);
    setContext("linnix.hasFindings", server.findings.size > 0);
  };
  show();
  item.show();
  return vscode.Disposable.from(item, server.onDidChange(show));
}

function tooltip(text: string, isDegraded: boolean): vscode.MarkdownString {
  const links = [
    ...(isDegraded ? ["[Enable tracing](command:linnix.enableTracing)"] : []),
    "[Restart](command:linnix.restart)",
    "[Logs](command:linnix.showLogs)",
    "[Copy status report](command:linnix.copyStatusReport)",
  ];
  const shown = new vscode.MarkdownString(`${text}\n\n${links.join(" · ")}`);
  shown.isTrusted = {
    enabledCommands: [
      "linnix.enableTracing", "linnix.restart", "linnix.showLogs", "linnix.copyStatusReport",
    ],
  };
  return shown;
}
