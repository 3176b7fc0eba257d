// The details view: one panel, for one run at a time. Asks the server while the panel is seen, and
// passes on what has changed; does what the user asks for in it.

import * as vscode from "vscode";
import type { Action, Focus, Key, Outcome, Update } from "../../webview/data";
import { parseFromView } from "../../webview/messages";
import { asFields } from "../../webview/parse";
import { keyText } from "../protocol";
import type { Server } from "../server";
import { reasonOf, visible } from "../text";
import { WebPanel, type Owner } from "../webPanel";
import { newestRun, requested, stopArgument, stopMessage } from "./words";

/** So often is asked again after a run has ended: its last processes and findings may follow. */
const LAST_LOOKS = 5;

export class Details implements Owner<Action, Outcome>, vscode.Disposable {
  readonly name = "details";
  readonly title = "Run";
  readonly parse = parseFromView;
  private readonly panel: WebPanel<Update, Action, Outcome>;
  private run: Key | null = null;
  private focus: Focus | null = null;
  /** What the view has already; null: nothing. */
  private version: number | null = null;
  private nQuiet = 0;
  private readonly subscription: vscode.Disposable;

  constructor(
    extensionUri: vscode.Uri,
    private readonly server: Server,
    log: vscode.LogOutputChannel,
  ) {
    this.panel = new WebPanel(extensionUri, log, this);
    this.subscription = server.onDidChange(() => {
      this.nQuiet = 0;
      this.panel.refresh();
    });
  }

  /** @param argument {run?, process?, finding_id?}; without a run: the newest that has a finding */
  async show(argument: unknown): Promise<void> {
    const wanted = requested(argument);
    const finding = wanted.finding_id === null ? undefined : this.server.findings.get(wanted.finding_id);
    this.panel.show();
    this.become(wanted.run ?? finding?.run ?? (await this.newest()), wanted);
  }

  dispose(): void {
    this.subscription.dispose();
    this.panel.dispose();
  }

  private become(run: Key | null, focus: Focus | null): void {
    const isOther = run === null || this.run === null || keyText(run) !== keyText(this.run);
    this.run = run;
    this.focus = focus;
    this.nQuiet = 0;
    if (isOther) {
      this.version = null;
      this.panel.tell({ state: "loading" });
    }
    this.panel.refresh();
  }

  private async newest(): Promise<Key | null> {
    return newestRun(await this.server.request("linnix/runs"));
  }

  failed(reason: string): Outcome {
    return { message: reason };
  }

  begin(): void {
    this.version = null;
    this.nQuiet = 0;
  }

  async ask(): Promise<boolean> {
    await this.askNow();
    return this.nQuiet < LAST_LOOKS;
  }

  private async askNow(): Promise<void> {
    const { state } = this.server;
    if (state.kind !== "running") {
      this.version = null;
      this.panel.tell(
        state.kind === "starting" || state.kind === "restarting"
          ? { state: "loading" }
          : { state: "off", reason: "reason" in state ? state.reason : "" },
      );
      this.nQuiet = LAST_LOOKS;
      return;
    }
    const run = this.run ?? (await this.newest());
    this.run = run;
    if (!run) {
      this.panel.tell({ state: "none" });
      return;
    }
    const since = this.version;
    const answer = await this.server.request("linnix/run", { run, ...(since === null ? {} : { since }) });
    if (answer === undefined || this.run !== run || this.version !== since) {
      return; // not answered, or another was asked for meanwhile
    }
    const fields = asFields(answer);
    if (!fields) {
      this.panel.tell({ state: "gone" });
      this.nQuiet = LAST_LOOKS;
      return;
    }
    const version = typeof fields.version === "number" ? fields.version : null;
    const isNews = version === null || version !== since;
    const about = asFields(fields.run) ?? {};
    this.nQuiet = about.has_ended === true && !isNews ? this.nQuiet + 1 : 0;
    this.version = version;
    if (isNews || this.focus || about.has_ended !== true) {
      const is_whole = since === null || fields.is_whole === true;
      this.panel.tell({ state: "known", is_whole, answer, focus: this.focus });
      this.focus = null;
    }
    const name = [about.label, about.comm].find((each) => typeof each === "string" && each !== "");
    this.panel.title = visible(typeof name === "string" ? name : "Run", 40);
  }

  async act(action: Action): Promise<Outcome> {
    try {
      return await this.done(action);
    } finally {
      this.nQuiet = 0;
    }
  }

  private async done(action: Action): Promise<Outcome> {
    switch (action.kind) {
      case "open": {
        const uri = action.uri === null ? vscode.Uri.file(action.path) : vscode.Uri.parse(action.uri, true);
        const start = new vscode.Position(Math.max(0, action.line - 1), 0);
        await vscode.window.showTextDocument(uri, {
          selection: new vscode.Range(start, start),
          viewColumn: vscode.ViewColumn.Beside,
        });
        return { message: null };
      }
      case "stop":
        // The server asks before it does it.
        return { message: stopMessage(await this.server.execute("linnix.stopProcess", stopArgument(action))) };
      case "stack": {
        const failed = (error: unknown) => ({ threads: [], problem: reasonOf(error), took_s: null });
        return { message: null, stack: await this.server.ask("linnix/stack", action.process).catch(failed) };
      }
      case "copy":
        await vscode.env.clipboard.writeText(action.text);
        return { message: "Copied" };
      case "dismiss":
        await this.server.execute("linnix.dismiss", { finding_id: action.finding_id });
        return { message: "Dismissed" };
      case "newest":
        this.become(await this.newest(), null);
        return { message: null };
      case "start":
        await this.server.start();
        return { message: null };
    }
  }
}

