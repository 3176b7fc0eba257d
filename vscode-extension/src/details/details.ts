// The details view: one panel, for one run at a time. Asks the server while the panel is seen, and
// passes on what has changed; does what the user asks for in it.

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import type { Action, Focus, Key, Outcome, Update } from "../../webview/data";
import { parseFromView, type ToView } from "../../webview/messages";
import { asFields } from "../../webview/parse";
import { keyText } from "../protocol";
import type { Server } from "../server";
import { reasonOf, visible } from "../text";
import { detailsPage } from "./page";
import { newestRun, requested, stopArgument, stopMessage } from "./words";

const PERIOD_MS = 1000;
/** So often is asked again after a run has ended: its last processes and findings may follow. */
const LAST_LOOKS = 5;

export class Details implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;
  private run: Key | null = null;
  private focus: Focus | null = null;
  /** What the view has already; null: nothing. */
  private version: number | null = null;
  /** Its script runs, and listens. */
  private isReady = false;
  private isAsking = false;
  /** It was to be asked while an answer was waited for. */
  private isDue = false;
  private nQuiet = 0;
  private timer: NodeJS.Timeout | undefined;
  private readonly subscription: vscode.Disposable;

  constructor(
    private readonly extensionUri: vscode.Uri,
    private readonly server: Server,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.subscription = server.onDidChange(() => {
      this.nQuiet = 0;
      this.soon(0);
    });
  }

  /** @param argument {run?, process?, finding_id?}; without a run: the newest that has a finding */
  async show(argument: unknown): Promise<void> {
    const wanted = requested(argument);
    const finding = wanted.finding_id === null ? undefined : this.server.findings.get(wanted.finding_id);
    this.panel ??= this.create();
    this.panel.reveal(undefined, false);
    this.become(wanted.run ?? finding?.run ?? (await this.newest()), wanted);
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.subscription.dispose();
    this.panel?.dispose();
  }

  private become(run: Key | null, focus: Focus | null): void {
    const isOther = run === null || this.run === null || keyText(run) !== keyText(this.run);
    this.run = run;
    this.focus = focus;
    this.nQuiet = 0;
    if (isOther) {
      this.version = null;
      this.tell({ state: "loading" });
    }
    this.soon(0);
  }

  private async newest(): Promise<Key | null> {
    return newestRun(await this.server.request("linnix/runs"));
  }

  private create(): vscode.WebviewPanel {
    const folder = vscode.Uri.joinPath(this.extensionUri, "dist", "webview");
    const panel = vscode.window.createWebviewPanel("linnix.details", "Run", vscode.ViewColumn.Active, {
      enableScripts: true,
      localResourceRoots: [folder],
    });
    const icon = (name: string) => vscode.Uri.joinPath(this.extensionUri, "media", name);
    panel.iconPath = { light: icon("linnix-light.svg"), dark: icon("linnix-dark.svg") };
    this.isReady = false;
    panel.webview.onDidReceiveMessage((message: unknown) => {
      this.heard(message);
    });
    panel.onDidChangeViewState(() => {
      // Hidden, its page is put away; the next one says when it listens.
      this.isReady &&= panel.visible;
      this.soon(0);
    });
    panel.onDidDispose(() => {
      clearTimeout(this.timer);
      this.panel = undefined;
      this.isReady = false;
    });
    const { webview } = panel;
    const within = (name: string) => webview.asWebviewUri(vscode.Uri.joinPath(folder, name)).toString();
    webview.html = detailsPage({
      script: within("details.js"),
      style: within("details.css"),
      cspSource: webview.cspSource,
      nonce: randomBytes(16).toString("hex"),
    });
    return panel;
  }

  private heard(message: unknown): void {
    const told = parseFromView(message);
    if (told?.type === "ready") {
      // Also when it was hidden, and its page made anew.
      this.isReady = true;
      this.version = null;
      this.nQuiet = 0;
      this.soon(0);
    } else if (told) {
      void this.act(told.action)
        .catch((error: unknown) => ({ message: reasonOf(error) }))
        .then((outcome) => {
          this.post({ type: "outcome", id: told.id, outcome });
          this.nQuiet = 0;
          this.soon(0);
        });
    } else {
      this.log.debug("details: a message that means nothing was left aside");
    }
  }

  // --- what is shown -----------------------------------------------------------------------

  private soon(delayMs: number): void {
    clearTimeout(this.timer);
    if (this.isReady) {
      this.timer = setTimeout(() => {
        void this.ask();
      }, delayMs);
    }
  }

  private async ask(): Promise<void> {
    if (this.isAsking) {
      this.isDue = true;
      return;
    }
    this.isAsking = true;
    try {
      await this.askNow();
    } finally {
      this.isAsking = false;
      this.askAgain();
    }
  }

  private askAgain(): void {
    const { isDue } = this;
    this.isDue = false;
    if (isDue || this.nQuiet < LAST_LOOKS) {
      this.soon(isDue ? 0 : PERIOD_MS);
    }
  }

  private async askNow(): Promise<void> {
    const { state } = this.server;
    if (state.kind !== "running") {
      this.version = null;
      this.tell(
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
      this.tell({ state: "none" });
      return;
    }
    const since = this.version;
    const answer = await this.server.request("linnix/run", { run, ...(since === null ? {} : { since }) });
    if (answer === undefined || this.run !== run || this.version !== since) {
      return; // not answered, or another was asked for meanwhile
    }
    const fields = asFields(answer);
    if (!fields) {
      this.tell({ state: "gone" });
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
      this.tell({ state: "known", is_whole, answer, focus: this.focus });
      this.focus = null;
    }
    if (this.panel) {
      const name = [about.label, about.comm].find((each) => typeof each === "string" && each !== "");
      this.panel.title = visible(typeof name === "string" ? name : "Run", 40);
    }
  }

  private tell(update: Update): void {
    this.post({ type: "update", update });
  }

  private post(message: ToView): void {
    if (this.isReady) {
      void this.panel?.webview.postMessage(message);
    }
  }

  // --- what is asked for -------------------------------------------------------------------

  private async act(action: Action): Promise<Outcome> {
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

