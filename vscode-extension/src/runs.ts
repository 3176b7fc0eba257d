// Tells the server what is started and what it is called: tasks, terminals and the commands in
// them, debugged programs, and by a mark in the environment whatever these and the extensions
// start. The server watches most of it without being told; here it learns the names.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import * as vscode from "vscode";
import { debuggedPid } from "./debugged";
import { foregroundJob } from "./foreground";
import type { Source } from "./protocol";
import type { Server } from "./server";
import { isOn } from "./settings";
import { reasonOf, visible } from "./text";

const TAG = "LINNIX_SESSION";
// The event may come before the shell has forked, and a short command is over by then.
const LOOKS_MS = [30, 70, 150, 300];

interface Watched {
  pid: number;
  label: string | null;
  source: Source;
  is_judged: boolean;
}

export class Runs implements vscode.Disposable {
  private readonly subscriptions: vscode.Disposable[];
  /** What goes on, by what has started it: told again to a server that was started again. */
  private readonly going = new Map<object, Watched>();
  private readonly tags: { value: string; source: Source; label: null }[];

  constructor(
    context: vscode.ExtensionContext,
    private readonly server: Server,
    private readonly log: vscode.LogOutputChannel,
  ) {
    const inTerminals = randomUUID();
    const inExtensions = randomUUID();
    this.tags = [
      { value: inTerminals, source: "terminal", label: null },
      { value: inExtensions, source: "extension", label: null },
    ];
    const variables = context.environmentVariableCollection;
    variables.persistent = false;
    variables.description = "Marks what is started here, so that linnix-ls finds its processes.";
    variables.replace(TAG, inTerminals);
    // What extensions start from now on, also once its parents have gone: the tests of an adapter.
    process.env[TAG] = inExtensions;

    this.subscriptions = [
      server.onDidStart(() => {
        // Ourselves: what extensions start has another name then than what editors start.
        void this.server.watch({ pid: process.pid, label: null, source: "extension", is_judged: false });
        this.tags.forEach((tag) => void this.server.request("linnix/watchTag", tag));
        this.going.forEach((watched) => void this.server.watch(watched));
      }),
      vscode.tasks.onDidStartTaskProcess(({ processId, execution }) => {
        this.begin(execution, processId, `task: ${execution.task.name}`, "task");
      }),
      vscode.tasks.onDidEndTaskProcess(({ execution }) => this.going.delete(execution)),
      vscode.window.onDidOpenTerminal((terminal) => {
        this.quietly(this.beginTerminal(terminal));
      }),
      vscode.window.onDidCloseTerminal((terminal) => this.going.delete(terminal)),
      vscode.window.onDidStartTerminalShellExecution(({ terminal, execution }) => {
        this.quietly(this.beginCommand(terminal, execution));
      }),
      vscode.window.onDidEndTerminalShellExecution(({ execution }) => this.going.delete(execution)),
      vscode.debug.registerDebugAdapterTrackerFactory("*", {
        createDebugAdapterTracker: (session) => ({
          onDidSendMessage: (message: unknown) => {
            this.beginDebugged(session, debuggedPid(message, session));
          },
        }),
      }),
      vscode.debug.onDidTerminateDebugSession((session) => this.going.delete(session)),
    ];
    vscode.window.terminals.forEach((terminal) => {
      this.quietly(this.beginTerminal(terminal));
    });
  }

  dispose(): void {
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete
    delete process.env[TAG];
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  private begin(what: object, pid: number, label: string, source: Source, is_judged = true): void {
    if (pid <= 0 || !isOn("label_runs")) {
      return;
    }
    const watched = { pid, label: visible(label, 100), source, is_judged };
    this.going.set(what, watched);
    void this.server.watch(watched);
  }

  /** A shell is not judged, what is started in it is. A task's terminal is its task. */
  private async beginTerminal(terminal: vscode.Terminal): Promise<void> {
    const shell = await terminal.processId;
    const isTask = [...this.going.values()].some(({ pid, source }) => pid === shell && source === "task");
    if (shell && !isTask && isShell(terminal)) {
      this.begin(terminal, shell, terminal.name, "terminal", false);
    }
  }

  private async beginCommand(
    terminal: vscode.Terminal,
    execution: vscode.TerminalShellExecution,
  ): Promise<void> {
    const shell = await terminal.processId;
    if (!shell) {
      return;
    }
    for (const delay of LOOKS_MS) {
      await pause(delay);
      const job = foregroundJob(await readFile(`/proc/${shell}/stat`, "utf8"));
      if (job !== null) {
        this.begin(execution, job, `${terminal.name}: ${execution.commandLine.value}`, "terminal");
        return;
      }
    }
  }

  private beginDebugged(session: vscode.DebugSession, pid: number | null): void {
    if (pid !== null && this.going.get(session)?.pid !== pid) {
      this.begin(session, pid, `debug: ${session.name}`, "debug");
    }
  }

  private quietly(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.log.debug(`no label for a run: ${reasonOf(error)}`);
    });
  }
}

/** Not the terminal of a task, which runs its command in place of a prompt. */
function isShell({ creationOptions }: vscode.Terminal): boolean {
  const { shellArgs } = creationOptions as vscode.TerminalOptions;
  return !(Array.isArray(shellArgs) && shellArgs.includes("-c"));
}
