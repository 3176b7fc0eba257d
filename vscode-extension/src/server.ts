// The life of the server's process, and what it has told: its state, its status, its findings.

import * as vscode from "vscode";
import type { LanguageClient, LanguageClientOptions } from "./client";
import { findServer, type Command } from "./lookup";
import type { Explained, Finding, FindingsChange, Key, Process, Run, Source, Status } from "./protocol";
import { Restarts } from "./restarts";
import { serverSettings, wordsOf } from "./settings";
import type { ServerState } from "./statusText";
import { message, reasonOf } from "./text";

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 2000;

export class Server implements vscode.Disposable {
  readonly findings = new Map<string, Finding>();
  state: ServerState = { kind: "stopped" };
  status: Status | null = null;
  command: Command | null = null;
  client: LanguageClient | null = null;

  private readonly changed = new vscode.EventEmitter<void>();
  /** State, status or findings are different. */
  readonly onDidChange = this.changed.event;
  private readonly stateChanged = new vscode.EventEmitter<void>();
  readonly onDidChangeState = this.stateChanged.event;
  private readonly probesChanged = new vscode.EventEmitter<void>();
  /** There are other probes, or one of them is in another state. */
  readonly onDidChangeProbes = this.probesChanged.event;
  private readonly started = new vscode.EventEmitter<void>();
  /** It has been started, for the first time or again, and knows of nothing yet. */
  readonly onDidStart = this.started.event;
  private readonly restarts = new Restarts();
  private timer: NodeJS.Timeout | undefined;
  private queue: Promise<void> = Promise.resolve();

  /**
   * @param instead does what a command of the server's is for in the editor's own way; undefined
   *   for those that the server does itself
   */
  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
    private readonly instead: (command: string, argument: unknown) => Promise<unknown> | undefined,
  ) {}

  /** At the user's word, or when the window opens: earlier crashes are forgotten. */
  start(): Promise<void> {
    this.restarts.forget();
    return this.after(() => this.startNow());
  }

  stop(): Promise<void> {
    return this.after(async () => {
      await this.letGo();
      this.become({ kind: "stopped" });
    });
  }

  restart(): Promise<void> {
    this.restarts.forget();
    return this.after(async () => {
      await this.letGo();
      await this.startNow();
    });
  }

  /** @throws if linnix-ls is nowhere */
  found(): Command {
    const command = this.command ?? this.lookedUp();
    if (!command) {
      throw new Error("linnix-ls was not found; install it or set linnix.path");
    }
    return command;
  }

  get serverPid(): number | undefined {
    return this.client?.serverProcess?.pid;
  }

  /**
   * For what somebody has asked for.
   *
   * @throws what the server answers in place of a result, or that there is none
   */
  async ask<T>(method: string, params?: object): Promise<T> {
    const client = this.client;
    if (!client || this.state.kind !== "running") {
      throw new Error("the server is not running");
    }
    return client.sendRequest<T>(method, params ?? {});
  }

  /** Undefined where there is no server that could answer, and when it answers with an error. */
  async request<T>(method: string, params?: object): Promise<T | undefined> {
    try {
      return await this.ask<T>(method, params);
    } catch (error) {
      this.log.debug(`${method}: ${reasonOf(error)}`);
      return undefined;
    }
  }

  processes(): Promise<{ processes: Process[] } | undefined> {
    return this.request("linnix/processTree");
  }

  runs(): Promise<{ runs: Run[] } | undefined> {
    return this.request("linnix/runs");
  }

  watch(params: {
    pid: number;
    label: string | null;
    source: Source;
    is_judged: boolean;
  }): Promise<Key | undefined> {
    return this.request("linnix/watch", params);
  }

  /** @throws as `ask` does */
  execute<T>(command: string, argument: object): Promise<T> {
    return this.ask("workspace/executeCommand", { command, arguments: [argument] });
  }

  explained(findingId: string): Promise<Explained | null> {
    return this.execute("linnix.explain", { finding_id: findingId, quiet: true });
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.changed.dispose();
    this.stateChanged.dispose();
    this.probesChanged.dispose();
    this.started.dispose();
  }

  // One after the other: a start during a stop waits for it.
  private after(work: () => Promise<void>): Promise<void> {
    this.queue = this.queue.then(work).catch((error: unknown) => {
      this.log.error(reasonOf(error));
    });
    return this.queue;
  }

  private become(state: ServerState): void {
    this.state = state;
    if (state.kind !== "running") {
      this.status = null;
      this.findings.clear();
    }
    this.stateChanged.fire();
    this.changed.fire();
  }

  private async startNow(): Promise<void> {
    clearTimeout(this.timer);
    if (this.client) {
      return;
    }
    this.command = this.lookedUp();
    if (!this.command) {
      this.log.warn("linnix-ls is not installed where it is looked for");
      this.become({ kind: "missing" });
      return;
    }
    const { command, args, origin } = this.command;
    this.log.info(`starting ${[command, ...args].join(" ")} (${origin})`);
    this.become({ kind: "starting" });
    const { createClient, isGone } = await import("./client.js");
    // Its end during the start is the failure of the start.
    let isUp = false;
    const client = createClient(this.command, this.options(), vscode.workspace.isTrusted, () => {
      if (isUp) {
        this.crashed(client, "the server has ended unexpectedly");
      }
    });
    this.client = client;
    client.onNotification("linnix/didChangeStatus", (status: Status) => {
      this.status = { ...(this.status?.explain ? { explain: this.status.explain } : {}), ...status };
      this.changed.fire();
    });
    client.onNotification("linnix/didChangeFindings", (change: FindingsChange) => {
      change.findings.forEach((finding) => this.findings.set(finding.id, finding));
      change.removed.forEach((id) => this.findings.delete(id));
      this.changed.fire();
    });
    client.onNotification("linnix/probesChanged", () => {
      this.probesChanged.fire();
    });
    try {
      await within(START_LIMIT_MS, client.start());
    } catch (error) {
      // Of a process that ends at once, the library knows only that its answer does not come.
      const reason = isGone(error) ? "the server has ended before it answered" : reasonOf(error);
      this.crashed(client, reason);
      return;
    }
    isUp = true;
    if (!client.isRunning()) {
      this.crashed(client, "the server has ended unexpectedly");
      return;
    }
    this.become({ kind: "running" });
    this.started.fire();
    this.status = (await this.request<Status>("linnix/status")) ?? this.status;
    const known = await this.request<{ findings: Finding[] }>("linnix/findings");
    known?.findings.forEach((finding) => this.findings.set(finding.id, finding));
    this.changed.fire();
  }

  private lookedUp(): Command | null {
    return findServer({
      path: wordsOf("path"),
      interpreter: wordsOf("interpreter"),
      extensionFolder: this.context.extensionPath,
      workspaceFolders: vscode.workspace.isTrusted
        ? (vscode.workspace.workspaceFolders ?? [])
            .filter((folder) => folder.uri.scheme === "file")
            .map((folder) => folder.uri.fsPath)
        : [],
      environment: process.env,
    });
  }

  private options(): LanguageClientOptions {
    return {
      documentSelector: [{ scheme: "file" }],
      outputChannel: this.log,
      initializationOptions: () => serverSettings(this.context.extension),
      middleware: {
        workspace: {
          configuration: (params) =>
            params.items.map((item) =>
              item.section === "linnix" || item.section === undefined
                ? serverSettings(this.context.extension)
                : null,
            ),
          didChangeConfiguration: async () => {
            await this.client?.sendNotification("workspace/didChangeConfiguration", {
              settings: { linnix: serverSettings(this.context.extension) },
            });
          },
        },
        executeCommand: async (command, args: unknown[], next) => {
          const [argument] = args;
          try {
            const done = this.instead(command, argument);
            if (done) {
              return await done;
            }
            if (command === "linnix.tryFix" && !vscode.workspace.isTrusted) {
              // It would run the workspace's tests.
              await vscode.commands.executeCommand("workbench.trust.manage");
              return null;
            }
            return (await next(command, args)) as unknown;
          } catch (error) {
            this.log.error(`${command}: ${reasonOf(error)}`);
            return null;
          }
        },
      },
    };
  }

  private crashed(client: LanguageClient, reason: string): void {
    if (this.client !== client) {
      return;
    }
    this.client = null;
    void dispose(client);
    const pauseMs = this.restarts.crashed(Date.now());
    if (pauseMs === null) {
      this.log.error(`${reason}; it is not started again by itself`);
      this.become({ kind: "failed", reason });
      void this.tellFailure(reason);
      return;
    }
    this.log.warn(`${reason}; starting again in ${pauseMs} ms`);
    this.become({ kind: "restarting", reason });
    this.timer = setTimeout(() => void this.after(() => this.startNow()), pauseMs);
  }

  /** The one popup there is without having been asked for: after it has given up. */
  private async tellFailure(reason: string): Promise<void> {
    const again = "Restart";
    const logs = "Show Logs";
    const chosen = await vscode.window.showErrorMessage(
      message(`linnix-ls does not stay up: ${reason}`),
      again,
      logs,
    );
    if (chosen === again) {
      await this.restart();
    } else if (chosen === logs) {
      this.log.show();
    }
  }

  private async letGo(): Promise<void> {
    clearTimeout(this.timer);
    const client = this.client;
    this.client = null;
    if (client) {
      await dispose(client);
    }
  }
}

async function within(limitMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`the server has not answered within ${limitMs / 1000} s`));
    }, limitMs);
  });
  try {
    await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

async function dispose(client: LanguageClient): Promise<void> {
  const { serverProcess } = client;
  try {
    await client.dispose(STOP_LIMIT_MS);
  } catch {
    // It had not started, or has ended already.
    serverProcess?.kill();
  }
}
