// A second extension beside ours, for tests only: does within VS Code what tests ask for, over a
// Unix socket, a line of JSON each way. It has VS Code's API and knows nothing of ours.

const { spawn } = require("node:child_process");
const { createServer } = require("node:net");
const { createInterface } = require("node:readline");
const { rmSync } = require("node:fs");
const vscode = require("vscode");

const SEVERITIES = ["error", "warning", "information", "hint"];

let testController;

const abilities = {
  command: (id, ...args) => vscode.commands.executeCommand(id, ...args),

  open: async (path) => {
    await vscode.window.showTextDocument(vscode.Uri.file(path), { preview: false });
  },

  /** Replaces the first such text, and saves. */
  edit: async (path, before, after) => {
    const document = await vscode.workspace.openTextDocument(vscode.Uri.file(path));
    const at = document.getText().indexOf(before);
    const edit = new vscode.WorkspaceEdit();
    edit.replace(document.uri, new vscode.Range(document.positionAt(at), document.positionAt(at + before.length)), after);
    await vscode.workspace.applyEdit(edit);
    await document.save();
  },

  diagnostics: (path, teller = "linnix") =>
    vscode.languages
      .getDiagnostics(vscode.Uri.file(path))
      .filter(({ source }) => source === teller)
      .map((each) => ({
        code: each.code?.value ?? each.code,
        message: each.message,
        severity: SEVERITIES[each.severity],
        line: each.range.start.line + 1,
        related: (each.relatedInformation ?? []).map(({ location, message }) => ({
          path: location.uri.fsPath,
          line: location.range.start.line + 1,
          message,
        })),
      })),

  hover: async (path, line) => {
    const hovers = await vscode.commands.executeCommand(
      "vscode.executeHoverProvider",
      vscode.Uri.file(path),
      new vscode.Position(line - 1, 8),
    );
    return hovers.flatMap(({ contents }) => contents.map((each) => each.value ?? each)).join("\n");
  },

  /** Shows it, in the active editor. */
  hoverAt: async (line) => {
    const at = new vscode.Position(line - 1, 12);
    vscode.window.activeTextEditor.selection = new vscode.Selection(at, at);
    await vscode.commands.executeCommand("editor.action.showHover", { focus: "noAutoFocus" });
  },

  actions: async (path, line) => (await actionsAt(path, line)).map(({ title }) => title),

  /** Is over when the action is, which may have a question that must be answered first. */
  act: async (path, line, beginning) => {
    const { command } = (await actionsAt(path, line)).find(({ title }) => title.startsWith(beginning));
    return vscode.commands.executeCommand(command.command, ...(command.arguments ?? []));
  },

  startTask: async (name, commandLine) => {
    const task = new vscode.Task(
      { type: "shell" },
      vscode.TaskScope.Workspace,
      name,
      "test",
      new vscode.ShellExecution(commandLine),
    );
    await vscode.tasks.executeTask(task);
  },

  nTasks: () => vscode.tasks.taskExecutions.length,

  endTasks: () => {
    vscode.tasks.taskExecutions.forEach((execution) => execution.terminate());
  },

  debug: (configuration) =>
    vscode.debug.startDebugging(vscode.workspace.workspaceFolders[0], { request: "launch", ...configuration }),

  stopDebugging: () => vscode.debug.stopDebugging(),

  /** As a test adapter does it: a controller, whose profile starts a process. */
  runTests: async (words) => {
    testController?.dispose();
    testController = vscode.tests.createTestController("adapter", "Adapter");
    const item = testController.createTestItem("all", words.join(" "));
    testController.items.add(item);
    const profile = testController.createRunProfile("Run", vscode.TestRunProfileKind.Run, (request) => {
      const run = testController.createTestRun(request);
      run.started(item);
      const [program, ...args] = words;
      const cwd = vscode.workspace.workspaceFolders[0].uri.fsPath;
      const env = { ...process.env, LINNIX_TEST_ADAPTER: process.env.LINNIX_TEST_SOCKET };
      spawn(program, args, { cwd, env, detached: true, stdio: "ignore" }).on("close", () => run.end());
    });
    await profile.runHandler(new vscode.TestRunRequest([item]), new vscode.CancellationTokenSource().token);
  },

  disposeTests: () => {
    testController?.dispose();
    testController = undefined;
  },

  hasShellIntegration: (name) => {
    const terminal =
      vscode.window.terminals.find((each) => each.name === name) ??
      vscode.window.createTerminal({ name, shellPath: "/bin/bash" });
    terminal.show(true);
    return terminal.shellIntegration !== undefined;
  },

  runInTerminal: (name, commandLine) => {
    vscode.window.terminals.find((each) => each.name === name).shellIntegration.executeCommand(commandLine);
  },

  type: (name, text) => {
    vscode.window.terminals.find((each) => each.name === name).sendText(text, false);
  },

  /** Of the active one: it is drawn on a canvas. */
  terminalText: async () => {
    await vscode.commands.executeCommand("workbench.action.terminal.selectAll");
    await vscode.commands.executeCommand("workbench.action.terminal.copySelection");
    await vscode.commands.executeCommand("notifications.clearAll"); // that there is no text yet
    return vscode.env.clipboard.readText();
  },

  terminals: () => vscode.window.terminals.map(({ name }) => name),

  closeTerminals: () => {
    vscode.window.terminals.forEach((terminal) => {
      terminal.sendText("\u0003", false); // what runs in it ends before its terminal
      terminal.dispose();
    });
  },

  set: (name, value) =>
    vscode.workspace
      .getConfiguration("linnix")
      .update(name, value ?? undefined, vscode.ConfigurationTarget.Workspace),

  clipboard: () => vscode.env.clipboard.readText(),

  /** The line that has the cursor, counted from 1, and its file. */
  place: () => {
    const { document, selection } = vscode.window.activeTextEditor ?? {};
    return document && [document.uri.fsPath, selection.start.line + 1];
  },

  tabs: () => vscode.window.tabGroups.all.flatMap(({ tabs }) => tabs.map(({ label }) => label)),

  columnOf: (text) =>
    vscode.window.tabGroups.all.find(({ tabs }) => tabs.some(({ label }) => label.includes(text)))?.viewColumn,

  documents: (scheme) =>
    vscode.workspace.textDocuments
      .filter(({ uri }) => uri.scheme === scheme)
      .map((document) => document.getText()),
};

async function actionsAt(path, line) {
  const at = new vscode.Position(line - 1, 8);
  return vscode.commands.executeCommand(
    "vscode.executeCodeActionProvider",
    vscode.Uri.file(path),
    new vscode.Range(at, at),
  );
}

exports.activate = () => {
  const path = process.env.LINNIX_TEST_SOCKET;
  rmSync(path, { force: true });
  createServer((connection) => {
    connection.on("error", () => {});
    createInterface({ input: connection }).on("line", async (line) => {
      const { id, ability, args } = JSON.parse(line);
      let answer;
      try {
        answer = { id, result: (await abilities[ability](...args)) ?? null };
      } catch (error) {
        answer = { id, problem: String(error?.stack ?? error) };
      }
      connection.write(`${JSON.stringify(answer)}\n`);
    });
  }).listen(path);
};
