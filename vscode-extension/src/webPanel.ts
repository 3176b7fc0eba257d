// One panel with a page of ours in it: makes it, listens to it, and asks for what it shows as
// long as it is seen. What is asked and done is its owner's.

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import type { FromView, ToView } from "../webview/source";
import { pageOf } from "./page";
import { reasonOf } from "./text";

const PERIOD_MS = 1000;

export interface Owner<Action, Outcome> {
  /** Of the panel's type, `linnix.NAME`, and of its script and style. */
  readonly name: string;
  readonly title: string;
  parse(message: unknown): FromView<Action> | null;
  act(action: Action): Promise<Outcome>;
  failed(reason: string): Outcome;
  /** The page listens, and knows nothing: the next it is told is the whole. */
  begin(): void;
  /** Asks, and tells what has changed. Returns whether to ask again after a second. */
  ask(): Promise<boolean>;
}

export class WebPanel<Update, Action, Outcome> implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;
  /** Its script runs, and listens. */
  private isReady = false;
  private isAsking = false;
  /** It was to be asked while an answer was waited for. */
  private isDue = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly extensionUri: vscode.Uri,
    private readonly log: vscode.LogOutputChannel,
    private readonly owner: Owner<Action, Outcome>,
  ) {}

  get isActive(): boolean {
    return this.panel?.active === true;
  }

  get isOpen(): boolean {
    return this.panel !== undefined;
  }

  set title(text: string) {
    if (this.panel && this.panel.title !== text) {
      this.panel.title = text;
    }
  }

  /** @param column where it is put if it is not open */
  show(column = vscode.ViewColumn.Active, preserveFocus = false): void {
    if (this.panel) {
      this.panel.reveal(undefined, preserveFocus);
    } else {
      this.panel = this.create({ viewColumn: column, preserveFocus });
    }
  }

  /** Asks now, or as soon as what is being asked has been answered. */
  refresh(): void {
    this.soon(0);
  }

  tell(update: Update): void {
    this.post({ type: "update", update });
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.panel?.dispose();
  }

  private create(place: { viewColumn: vscode.ViewColumn; preserveFocus: boolean }): vscode.WebviewPanel {
    const { name, title } = this.owner;
    const folder = vscode.Uri.joinPath(this.extensionUri, "dist", "webview");
    const panel = vscode.window.createWebviewPanel(`linnix.${name}`, title, place, {
      enableScripts: true,
      localResourceRoots: [folder],
    });
    const icon = (file: string) => vscode.Uri.joinPath(this.extensionUri, "media", file);
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
    const within = (file: string) => webview.asWebviewUri(vscode.Uri.joinPath(folder, file)).toString();
    webview.html = pageOf({
      title,
      script: within(`${name}.js`),
      style: within(`${name}.css`),
      cspSource: webview.cspSource,
      nonce: randomBytes(16).toString("hex"),
    });
    return panel;
  }

  private heard(message: unknown): void {
    const told = this.owner.parse(message);
    if (told?.type === "ready") {
      // Also when it was hidden, and its page made anew.
      this.isReady = true;
      this.owner.begin();
      this.soon(0);
    } else if (told) {
      void this.owner
        .act(told.action)
        .catch((error: unknown) => this.owner.failed(reasonOf(error)))
        .then((outcome) => {
          this.post({ type: "outcome", id: told.id, outcome });
          this.soon(0);
        });
    } else {
      this.log.debug(`${this.owner.name}: a message that means nothing was left aside`);
    }
  }

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
    let isMore = true;
    try {
      isMore = await this.owner.ask();
    } finally {
      this.isAsking = false;
      const { isDue } = this;
      this.isDue = false;
      if (isDue || isMore) {
        this.soon(isDue ? 0 : PERIOD_MS);
      }
    }
  }

  private post(message: ToView<Update, Outcome>): void {
    if (this.isReady) {
      void this.panel?.webview.postMessage(message);
    }
  }
}
