// Explanations as read-only documents, shown as the Markdown preview shows them.

import * as vscode from "vscode";
import { explanationText } from "./explanationText";
import type { Server } from "./server";

const SCHEME = "linnix-explanation";

export class Explanations implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly texts = new Map<string, string>();
  private readonly registration: vscode.Disposable;

  constructor() {
    this.registration = vscode.workspace.registerTextDocumentContentProvider(SCHEME, this);
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.texts.get(uri.toString()) ?? "This explanation is gone: the finding is over.\n";
  }

  /** Anything else that is told at length. */
  async present(title: string, text: string): Promise<void> {
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${title}.md` });
    this.set(uri, text);
    await vscode.commands.executeCommand("markdown.showPreviewToSide", uri);
  }

  /** What the rules say at once; the document follows when a model has written its note. */
  async show(server: Server, findingId: string): Promise<void> {
    const finding = server.findings.get(findingId);
    if (!finding) {
      void vscode.window.showInformationMessage("linnix: this finding is gone");
      return;
    }
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${finding.kind} ${findingId}.md` });
    this.set(uri, explanationText(finding, null));
    await vscode.commands.executeCommand("markdown.showPreviewToSide", uri);
    const explained = await server.explained(findingId);
    if (explained) {
      this.set(uri, explanationText(server.findings.get(findingId) ?? finding, explained));
    }
  }

  dispose(): void {
    this.registration.dispose();
    this.changed.dispose();
  }

  private set(uri: vscode.Uri, text: string): void {
    this.texts.set(uri.toString(), text);
    this.changed.fire(uri);
  }
}
