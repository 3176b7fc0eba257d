// The text at the end of a line whose process is running away; gone when it is over.

import * as vscode from "vscode";
import { inlineText } from "./inlineText";
import type { Finding } from "./protocol";
import type { Server } from "./server";
import { isOn } from "./settings";

const PERIOD_MS = 1000;

export class InlineTexts implements vscode.Disposable {
  private readonly type = vscode.window.createTextEditorDecorationType({
    after: {
      color: new vscode.ThemeColor("editorWarning.foreground"),
      margin: "0 0 0 3em",
      fontStyle: "italic",
    },
    rangeBehavior: vscode.DecorationRangeBehavior.ClosedOpen,
  });
  private readonly subscriptions: vscode.Disposable[];
  private timer: NodeJS.Timeout | undefined;
  private decorated = new Set<vscode.TextEditor>();

  constructor(private readonly server: Server) {
    const show = () => {
      this.show();
    };
    this.subscriptions = [
      this.type,
      server.onDidChange(show),
      vscode.window.onDidChangeVisibleTextEditors(show),
      vscode.languages.onDidChangeDiagnostics(show),
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration("linnix.inline_text")) {
          this.show();
        }
      }),
    ];
  }

  dispose(): void {
    clearTimeout(this.timer);
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  private show(): void {
    clearTimeout(this.timer);
    const isWanted = isOn("inline_text");
    const open = isWanted
      ? [...this.server.findings.values()].filter((finding) => finding.state === "raised")
      : [];
    const decorated = new Set<vscode.TextEditor>();
    for (const editor of vscode.window.visibleTextEditors) {
      const uri = editor.document.uri.toString();
      const here = open.filter((finding) => uriOf(finding) === uri);
      if (here.length > 0) {
        decorated.add(editor);
        editor.setDecorations(this.type, this.decorations(editor, here));
      } else if (this.decorated.has(editor)) {
        editor.setDecorations(this.type, []);
      }
    }
    this.decorated = decorated;
    if (decorated.size > 0) {
      this.timer = setTimeout(() => {
        this.show();
      }, PERIOD_MS);
    }
  }

  private decorations(
    editor: vscode.TextEditor,
    findings: readonly Finding[],
  ): vscode.DecorationOptions[] {
    const byLine = new Map<number, Finding[]>();
    for (const finding of findings) {
      const line = this.lineOf(editor.document, finding);
      byLine.set(line, [...(byLine.get(line) ?? []), finding]);
    }
    return [...byLine].map(([line, here]) => ({
      range: editor.document.lineAt(line).range,
      renderOptions: { after: { contentText: inlineText(here, Date.now()) } },
    }));
  }

  /** Where the diagnostic is by now: it moves with the edits of an open file. */
  private lineOf(document: vscode.TextDocument, finding: Finding): number {
    const shown = this.server.client?.diagnostics?.get(document.uri) ?? [];
    const own = shown.find((diagnostic) => {
      const { data } = diagnostic as { data?: { finding_id?: string } };
      return data?.finding_id === finding.id;
    });
    const line = own ? own.range.start.line : (finding.location?.line ?? 1) - 1;
    return Math.max(0, Math.min(line, document.lineCount - 1));
  }
}

/** As VS Code writes it: the server's may be written in another way. */
function uriOf(finding: Finding): string | null {
  const place = finding.location;
  if (!place) {
    return null;
  }
  return (place.uri ? vscode.Uri.parse(place.uri) : vscode.Uri.file(place.path)).toString();
}
