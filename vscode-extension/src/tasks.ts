// The task type `linnix`, and other tasks under `linnix-ls run`: what runs away is then printed
// between the lines of the task as well.

import * as vscode from "vscode";
import type { Server } from "./server";
import { runOptions } from "./settings";
import { shellLine, underLinnix } from "./underLinnix";

interface Definition extends vscode.TaskDefinition {
  command?: unknown;
  options?: unknown;
  cwd?: unknown;
}

export class Tasks implements vscode.TaskProvider, vscode.Disposable {
  private readonly registration = vscode.tasks.registerTaskProvider("linnix", this);

  constructor(private readonly server: Server) {}

  /** Only those that somebody has written down. */
  provideTasks(): vscode.Task[] {
    return [];
  }

  resolveTask(task: vscode.Task): vscode.Task | undefined {
    const definition = task.definition as Definition;
    const { command, options = [], cwd } = definition;
    const isCommand = typeof command === "string" || (areWords(command) && command.length > 0);
    if (!isCommand || !areWords(options)) {
      return undefined;
    }
    const words = underLinnix(this.server.found(), command, [...runOptions(), ...options]);
    const execution = asProcess(words, typeof cwd === "string" ? { cwd } : undefined);
    const { scope = vscode.TaskScope.Workspace, name } = task;
    return new vscode.Task(definition, scope, name, "linnix", execution);
  }

  /** Asks for one of the workspace's tasks, and runs it. */
  async run(): Promise<void> {
    const tasks = (await vscode.tasks.fetchTasks()).filter(
      (task) => task.definition.type !== "linnix" && this.wrapped(task),
    );
    const chosen = await vscode.window.showQuickPick(
      tasks.map((task) => ({ label: task.name, description: task.source, detail: task.detail ?? "", task })),
      {
        title: "Run Task under Linnix",
        placeHolder: tasks.length > 0 ? "Which task?" : "There is no task that runs a command",
      },
    );
    const wrapped = chosen && this.wrapped(chosen.task);
    if (wrapped) {
      await vscode.tasks.executeTask(wrapped);
    }
  }

  dispose(): void {
    this.registration.dispose();
  }

  /** Undefined for a task that is an extension's own code: there is no command to put behind. */
  private wrapped(task: vscode.Task): vscode.Task | undefined {
    const { execution } = task;
    const server = this.server.found();
    let words: string[];
    if (execution instanceof vscode.ProcessExecution) {
      words = underLinnix(server, [execution.process, ...execution.args], runOptions());
    } else if (execution instanceof vscode.ShellExecution) {
      // What takes a line differs from shell to shell only in what the task's author chose.
      const line = execution.commandLine ?? shellLine(execution.command, execution.args);
      words = underLinnix(server, line, runOptions(), execution.options?.executable ?? vscode.env.shell);
    } else {
      return undefined;
    }
    const { cwd, env } = execution.options ?? {};
    const copy = new vscode.Task(
      { type: "linnix", command: words },
      task.scope ?? vscode.TaskScope.Workspace,
      `${task.name} (under Linnix)`,
      "linnix",
      asProcess(words, { ...(cwd ? { cwd } : {}), ...(env ? { env } : {}) }),
      task.problemMatchers,
    );
    copy.presentationOptions = task.presentationOptions;
    if (task.group) {
      copy.group = task.group;
    }
    return copy;
  }
}

function asProcess([program = "", ...args]: string[], options?: vscode.ProcessExecutionOptions) {
  return new vscode.ProcessExecution(program, args, options);
}

function areWords(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((word) => typeof word === "string");
}
