// The sample project: two small files, one of which has a loop that gets nowhere, put where
// nobody keeps anything, and its test run as a task.

import * as vscode from "vscode";

const FILES = ["printer.py", "test_printer.py"];
// It would never end by itself.
const LIMIT_S = 120;

export async function runSample(context: vscode.ExtensionContext): Promise<void> {
  const folder = vscode.Uri.joinPath(context.globalStorageUri, "sample");
  for (const name of FILES) {
    // Anew each time: what somebody has tried in it is no sample any more.
    await vscode.workspace.fs.copy(
      vscode.Uri.joinPath(context.extensionUri, "media", "sample", name),
      vscode.Uri.joinPath(folder, name),
      { overwrite: true },
    );
  }
  await vscode.window.showTextDocument(vscode.Uri.joinPath(folder, "printer.py"));
  const task = new vscode.Task(
    { type: "linnix-sample" },
    vscode.workspace.workspaceFolders ? vscode.TaskScope.Workspace : vscode.TaskScope.Global,
    "sample",
    "linnix",
    new vscode.ProcessExecution(
      "timeout",
      [String(LIMIT_S), "python3", "-m", "unittest", "-v"],
      { cwd: folder.fsPath },
    ),
  );
  await vscode.tasks.executeTask(task);
}
