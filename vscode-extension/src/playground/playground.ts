// Probes and lessons in VS Code: what their commands do, wherever they are asked for. Those of the
// server that code lenses and quick fixes name come here too (`instead`), so that comparing,
// asking and telling are VS Code's own.

import * as vscode from "vscode";
import { asFields, isWhole, text, textOrNull } from "../../webview/parse";
import type { Action, Outcome, Probe } from "../../webview/probes/data";
import { parseProbes } from "../../webview/probes/parse";
import type { Explanations } from "../explanations";
import type { Server } from "../server";
import { message, visible } from "../text";
import { isSameFile, ProbePage, type Wanted } from "./probePage";
import type { ProbeNode } from "./probesTree";
import { ProbesView } from "./probesView";
import { chosenProbe, isProbeSource, lessonsOf, outcomeOf, PARTS } from "./words";

const TOLD_MS = 4000;
/** What runs a program: never in a workspace that is not trusted. */
const RUNS = ["run", "reload", "rollBack", "reset"];

export type Deed = "run" | "reload" | "detach" | "rollBack" | "diff" | "reset";

/** A node of the view, a file of the explorer or of an editor's title, or nothing: what is open. */
export type Target = ProbeNode | vscode.Uri | undefined;

export class Playground implements vscode.Disposable {
  private readonly page: ProbePage;
  private readonly view: ProbesView;

  constructor(
    extensionUri: vscode.Uri,
    private readonly server: Server,
    private readonly explanations: Explanations,
    log: vscode.LogOutputChannel,
  ) {
    this.page = new ProbePage(extensionUri, server, log, (action, wanted) => this.act(action, wanted));
    this.view = new ProbesView(server, log);
  }

  dispose(): void {
    this.page.dispose();
    this.view.dispose();
  }

  /** In place of the server's own way to do it; undefined for what it does itself. */
  instead(command: string, argument: unknown): Promise<unknown> | undefined {
    const fields = asFields(argument) ?? {};
    if (command === "linnix.lesson.check") {
      return this.checkLesson(fields).then(() => null);
    }
    const name = /^linnix\.playground\.(\w+)$/.exec(command)?.[1];
    switch (name) {
      case "run":
      case "reload":
      case "detach":
      case "rollBack":
      case "diff":
      case "reset":
        return this.perform(name, fields).then((told) => {
          if (name === "run" && typeof fields.uri === "string" && told !== null) {
            this.page.show({ uri: fields.uri, id: null }, true);
          }
          return null;
        });
      case "openProbe":
        return this.openPart(fields).then(() => null);
      default:
        return undefined;
    }
  }

  // --- commands ----------------------------------------------------------------------------

  /** One of the probes that run, a part of linnix-ls's own, or a lesson. */
  async choose(): Promise<void> {
    const { probes } = parseProbes(await this.server.ask("linnix/probes"));
    const separator = (label: string) => ({ label, kind: vscode.QuickPickItemKind.Separator });
    const chosen = await vscode.window.showQuickPick<vscode.QuickPickItem & { open?: () => unknown }>(
      [
        separator("running"),
        ...probes.map((probe) => ({
          label: `$(pulse) ${visible(probe.name, 80)}`,
          description: probe.programs.length > 0 ? `${probe.programs.length} programs` : "",
          open: () => {
            this.page.show({ uri: null, id: probe.id });
          },
        })),
        separator("that find what runs away: your copy of"),
        ...PARTS.map(({ name, sees }) => ({
          label: `$(file-code) ${name}`,
          description: `sees ${sees}`,
          open: () => this.openPart({ name }),
        })),
        separator("to learn"),
        { label: "$(mortar-board) Open Lesson…", description: "", open: () => this.openLesson(undefined) },
      ],
      { title: "Open Probe", matchOnDescription: true },
    );
    await chosen?.open?.();
  }

  show(target: Target): void {
    this.page.show(this.wanted(target) ?? { uri: null, id: null }, target instanceof vscode.Uri);
  }

  /** As a code lens asks for it, beside its source. */
  reveal(id: string): void {
    this.page.show({ uri: null, id }, true);
  }

  async do(deed: Deed, target: Target): Promise<void> {
    const wanted = this.wanted(target);
    if (!wanted) {
      throw new Error("open a probe first: a file whose name ends in .bpf.c");
    }
    await this.doTo(deed, wanted);
    if (deed === "run") {
      this.page.show(wanted, true);
    }
  }

  /** What it does, line by line, beside its source. */
  async explain(target: Target): Promise<void> {
    const uri = this.wanted(target)?.uri;
    const argument = { uri, quiet: true };
    const told = uri && asFields(await this.server.execute("linnix.playground.explain", argument));
    if (!uri || !told || typeof told.markdown !== "string") {
      throw new Error("open a probe first: a file whose name ends in .bpf.c");
    }
    await this.explanations.present(`What ${text(uri.split("/").at(-1))} does`, told.markdown);
  }

  /** Where a program or a map is in its source. */
  async openSource(target: Target): Promise<void> {
    if (target && !(target instanceof vscode.Uri)) {
      await this.openProbe(target.probe, target.line);
    }
  }

  /** @param argument its number */
  async openLesson(argument: unknown): Promise<void> {
    const number = isWhole(argument) ? argument : await this.askForLesson();
    if (number === undefined) {
      return;
    }
    const opened = asFields(await this.server.execute("linnix.lesson.open", { lesson: number, quiet: true }));
    if (typeof opened?.uri === "string") {
      await vscode.window.showTextDocument(vscode.Uri.parse(opened.uri, true), { preview: false });
    }
    if (typeof opened?.text_uri === "string") {
      await vscode.commands.executeCommand("markdown.showPreviewToSide", vscode.Uri.parse(opened.text_uri, true));
    }
  }

  /** The lens and the lines have what came of it. */
  private async checkLesson(argument: Record<string, unknown>): Promise<void> {
    const checked = asFields(await this.server.execute("linnix.lesson.check", { ...argument, quiet: true }));
    if (checked?.outcome === "not_checked") {
      await tellProblem(visible(text(checked.problem), 300), textOrNull(checked.fix));
    } else if (checked) {
      vscode.window.setStatusBarMessage(`linnix: ${visible(text(checked.summary), 100)}`, TOLD_MS);
    }
  }

  // --- what they do ------------------------------------------------------------------------

  private async askForLesson(): Promise<number | undefined> {
    const lessons = lessonsOf(await this.server.ask("linnix/lessons"));
    const chosen = await vscode.window.showQuickPick(
      lessons.map(({ number, title, summary, progress, icon }) => ({
        label: `$(${icon}) ${number}. ${title}`,
        description: progress,
        detail: summary,
        number,
      })),
      { title: "Open Lesson", matchOnDetail: true },
    );
    return chosen?.number;
  }

  private async act(action: Action, wanted: Wanted): Promise<Outcome> {
    switch (action.kind) {
      case "choose":
        await this.choose();
        return { message: null };
      case "start":
        await this.server.start();
        return { message: null };
      case "copy":
        await vscode.env.clipboard.writeText(action.text);
        return { message: "Copied" };
      case "source":
      case "open": {
        const probe = await this.probeOf(wanted);
        await this.openProbe(probe, action.kind === "open" ? action.line : null, wanted.uri);
        return { message: null };
      }
      default:
        return { message: await this.doTo(action.kind, wanted) };
    }
  }

  private async probeOf(wanted: Wanted): Promise<Probe | null> {
    return chosenProbe(parseProbes(await this.server.ask("linnix/probes")).probes, wanted, isSameFile);
  }

  private async doTo(deed: Deed, wanted: Wanted): Promise<string | null> {
    if (wanted.uri !== null) {
      return this.perform(deed, { uri: wanted.uri });
    }
    const probe = await this.probeOf(wanted);
    if (probe && (deed === "detach" || deed === "rollBack")) {
      return this.perform(deed, { uri: probe.uri, id: probe.id });
    }
    const edited = probe?.files.filter((file) => file.is_edited) ?? [];
    const uri = probe?.uri ?? (await oneOf(edited.length > 0 ? edited : (probe?.files ?? [])));
    return uri === undefined ? null : this.perform(deed, { uri });
  }

  /** Returns what came of it, in words; null where the user has thought better of it. */
  private async perform(deed: Deed, argument: Record<string, unknown>): Promise<string | null> {
    if (!vscode.workspace.isTrusted && RUNS.includes(deed)) {
      await vscode.commands.executeCommand("workbench.trust.manage");
      return null;
    }
    if (deed === "reset" && !(await confirmsReset())) {
      return null;
    }
    const answer: unknown = await this.server.execute(`linnix.playground.${deed}`, { ...argument, quiet: true });
    if (deed === "diff") {
      return compare(answer);
    }
    const { message, fix, isProblem } = outcomeOf(answer);
    if (isProblem) {
      void tellProblem(message, fix);
    } else {
      vscode.window.setStatusBarMessage(`linnix: ${message}`, TOLD_MS);
    }
    return message;
  }

  /** The user's copy of a part of linnix-ls's own probes, and beside it what it sees. */
  private async openPart(argument: Record<string, unknown>): Promise<void> {
    const opened = asFields(
      await this.server.execute("linnix.playground.openProbe", { ...argument, quiet: true }),
    );
    if (typeof opened?.uri !== "string") {
      void vscode.window.showInformationMessage("linnix: this finding is gone");
      return;
    }
    const { uri } = opened;
    await openAt(uri, isWhole(opened.line) ? opened.line : null);
    this.page.show({ uri, id: null }, true);
  }

  private async openProbe(probe: Probe | null, line: number | null, asked: string | null = null): Promise<void> {
    const uri = asked ?? probe?.uri;
    if (uri) {
      await openAt(uri, line);
      return;
    }
    const chosen = await vscode.window.showQuickPick(
      PARTS.map(({ name, sees }) => ({ label: name, description: `sees ${sees}` })),
      { title: "Open Your Copy" },
    );
    if (chosen) {
      await this.openPart({ name: chosen.label });
    }
  }

  private wanted(target: Target): Wanted | null {
    if (target instanceof vscode.Uri) {
      return { uri: target.toString(), id: null };
    }
    const node = target ?? (this.page.active ? undefined : this.focused());
    if (node) {
      return { uri: node.probe.uri, id: node.probe.id };
    }
    const document = vscode.window.activeTextEditor?.document;
    return (
      this.page.active ??
      (document && isProbeSource(document.uri.path) ? { uri: document.uri.toString(), id: null } : null)
    );
  }

  /** By a key of the keyboard it is about what is selected; with a probe's source before one, it is that. */
  private focused(): ProbeNode | undefined {
    const path = vscode.window.activeTextEditor?.document.uri.path ?? "";
    return isProbeSource(path) ? undefined : this.view.selected;
  }
}

async function openAt(uri: string, line: number | null): Promise<void> {
  const options: vscode.TextDocumentShowOptions = { preview: false, viewColumn: vscode.ViewColumn.One };
  if (line !== null) {
    const start = new vscode.Position(Math.max(0, line - 1), 0);
    options.selection = new vscode.Range(start, start);
  }
  await vscode.window.showTextDocument(vscode.Uri.parse(uri, true), options);
}

async function oneOf(files: readonly { name: string; uri: string }[]): Promise<string | undefined> {
  const chosen =
    files.length > 1
      ? await vscode.window.showQuickPick(
          files.map(({ name, uri }) => ({ label: name, uri })),
          { title: "Which Part" },
        )
      : files[0];
  return chosen?.uri;
}

async function confirmsReset(): Promise<boolean> {
  const reset = "Reset";
  const chosen = await vscode.window.showWarningMessage(
    "Put the shipped probe in the place of your edit?",
    { modal: true, detail: "Your text stays beside it, with a ~ at the end of its name." },
    reset,
  );
  return chosen === reset;
}

/** Where sources are, unless the page is there: what it was asked to show must not cover it. */
function besideThePage(): vscode.ViewColumn {
  const { activeTab, viewColumn } = vscode.window.tabGroups.activeTabGroup;
  const isThere = activeTab?.input instanceof vscode.TabInputWebview && viewColumn === vscode.ViewColumn.One;
  return isThere ? vscode.ViewColumn.Beside : vscode.ViewColumn.One;
}

async function compare(answer: unknown): Promise<string | null> {
  const { before, after } = asFields(answer) ?? {};
  if (typeof before !== "string" || typeof after !== "string") {
    void vscode.window.showInformationMessage("linnix: this is not a part of linnix-ls's own probes");
    return null;
  }
  const name = text(after.split("/").at(-1));
  const [one, other] = [vscode.Uri.parse(before, true), vscode.Uri.parse(after, true)];
  const place: vscode.TextDocumentShowOptions = { viewColumn: besideThePage() };
  await vscode.commands.executeCommand("vscode.diff", one, other, `${name}: shipped ↔ yours`, place);
  return null;
}

async function tellProblem(problem: string, fix: string | null): Promise<void> {
  const copy = "Copy the Command";
  const chosen = await vscode.window.showErrorMessage(
    message(`linnix: ${problem}${fix === null ? "" : ` What helps: ${visible(fix, 300)}`}`),
    ...(fix === null ? [] : [copy]),
  );
  if (chosen === copy && fix !== null) {
    await vscode.env.clipboard.writeText(fix);
  }
}
