// Tells the server what tasks and commands in terminals are called. They are watched without
// this as well; it is about their names.

import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import * as vscode from "vscode";
import { foregroundJob } from "./foreground";
import { keyText } from "./protocol";
import type { Server } from "./server";
import { isOn } from "./settings";
import { reasonOf, visible } from "./text";

const MAX_LABELS = 500;
// The event may come before the shell has forked, and a short command is over by then.
const LOOKS_MS = [30, 70, 150, 300];

export class Runs implements vscode.Disposable {
  /** By `keyText` of the process that was told to the server. */
  readonly labels = new Map<string, string>();
  private readonly subscriptions: vscode.Disposable[];

  constructor(
    private readonly server: Server,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.subscriptions = [
      vscode.tasks.onDidStartTaskProcess(({ processId, execution }) => {
        this.quietly(this.tell(processId, `task: ${execution.task.name}`));
      }),
      vscode.window.onDidStartTerminalShellExecution(({ terminal, execution }) => {
        this.quietly(this.tellTerminal(terminal, execution.commandLine.value));
      }),
    ];
  }

  dispose(): void {
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  private async tellTerminal(terminal: vscode.Terminal, commandLine: string): Promise<void> {
    const shell = await terminal.processId;
    if (!shell) {
      return;
    }
    for (const delay of LOOKS_MS) {
      await pause(delay);
      const job = foregroundJob(await readFile(`/proc/${shell}/stat`, "utf8"));
      if (job !== null) {
        await this.tell(job, `${terminal.name}: ${commandLine}`);
        return;
      }
    }
  }

  private async tell(pid: number, label: string): Promise<void> {
    if (pid <= 0 || !isOn("label_runs")) {
      return;
    }
    const shown = visible(label, 100);
    const key = await this.server.watch(pid, shown);
    if (!key) {
      return; // it has ended already, or nothing is watched
    }
    this.labels.set(keyText(key), shown);
    const [oldest] = this.labels.keys();
    if (this.labels.size > MAX_LABELS && oldest !== undefined) {
      this.labels.delete(oldest);
    }
  }

  private quietly(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.log.debug(`no label for a run: ${reasonOf(error)}`);
    });
  }
}
