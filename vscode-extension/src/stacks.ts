// Stacks as read-only documents, with a link at each place in a file.

import * as vscode from "vscode";
import type { Key, Stacks } from "./protocol";
import type { Server } from "./server";
import { stackText, type Link } from "./stackText";

const SCHEME = "linnix-stack";

export class StackDocuments
  implements vscode.TextDocumentContentProvider, vscode.DocumentLinkProvider, vscode.Disposable
{
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly shown = new Map<string, { text: string; links: Link[] }>();
  private readonly registrations: vscode.Disposable[];

  constructor(private readonly server: Server) {
    this.registrations = [
      this.changed,
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, this),
      vscode.languages.registerDocumentLinkProvider({ scheme: SCHEME }, this),
      vscode.workspace.onDidCloseTextDocument(({ uri }) => this.shown.delete(uri.toString())),
    ];
  }

  /** @throws as `Server.ask` does */
  async show(process: Key, name: string): Promise<void> {
    const stacks = await vscode.window.withProgress(
      { location: { viewId: "linnix.runs" } },
      () => this.server.ask<Stacks>("linnix/stack", process),
    );
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/stack of ${process.pid}` });
    this.shown.set(uri.toString(), stackText({ ...process, name }, stacks, new Date().toLocaleTimeString()));
    this.changed.fire(uri);
    await vscode.window.showTextDocument(uri, { preview: true });
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.shown.get(uri.toString())?.text ?? "This stack is gone. Ask for it again.\n";
  }

  provideDocumentLinks(document: vscode.TextDocument): vscode.DocumentLink[] {
    const links = this.shown.get(document.uri.toString())?.links ?? [];
    return links.map(({ textLine, start, end, uri, path, line }) => {
      const file = uri?.startsWith("file:") ? vscode.Uri.parse(uri) : vscode.Uri.file(path);
      return new vscode.DocumentLink(
        new vscode.Range(textLine, start, textLine, end),
        file.with({ fragment: `L${line}` }),
      );
    });
  }

  dispose(): void {
    vscode.Disposable.from(...this.registrations).dispose();
  }
}
