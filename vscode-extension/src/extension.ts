// Puts the parts together. Starting the server is not waited for: the window need not.

import * as vscode from "vscode";
import { asFields } from "../webview/parse";
import { registerCommands } from "./commands";
import { Details } from "./details/details";
import { Explanations } from "./explanations";
import { InlineTexts } from "./inline";
import { Panel } from "./panel";
import { Playground } from "./playground/playground";
import { Runs } from "./runs";
import { Server } from "./server";
import { StackDocuments } from "./stacks";
import { createStatusItem } from "./statusItem";
import { Tasks } from "./tasks";
import { TestRuns } from "./testRuns";

let running: Server | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel("linnix", { log: true });
  const explanations = new Explanations();
  const server: Server = new Server(context, log, (command, argument) => {
    const findingId = asFields(argument)?.finding_id;
    return command === "linnix.explain" && typeof findingId === "string"
      ? explanations.show(server, findingId).then(() => null)
      : playground.instead(command, argument);
  });
  running = server;
  const panel = new Panel(server, log);
  const tasks = new Tasks(server);
  const stacks = new StackDocuments(server);
  const details = new Details(context.extensionUri, server, log);
  const playground = new Playground(context.extensionUri, server, explanations, log);
  context.subscriptions.push(
    log,
    explanations,
    server,
    new Runs(context, server, log),
    panel,
    tasks,
    stacks,
    details,
    playground,
    new TestRuns(server, log),
    new InlineTexts(server),
    createStatusItem(server),
    registerCommands({ context, server, panel, tasks, stacks, explanations, details, playground, log }),
    vscode.workspace.onDidChangeConfiguration((change) => {
      const isAnother = ["linnix.path", "linnix.interpreter"].some((name) =>
        change.affectsConfiguration(name),
      );
      if (isAnother && server.state.kind !== "stopped") {
        void server.restart();
      }
    }),
    // What the workspace says counts from now on: another server, other settings.
    vscode.workspace.onDidGrantWorkspaceTrust(() => void server.restart()),
  );
  void server.start();
}

export async function deactivate(): Promise<void> {
  await running?.stop();
}
