// The panel "Probe": one panel, for one probe at a time. Asks the server while it is seen, and
// passes on what has changed.

import * as vscode from "vscode";
import { asFields, list, text } from "../../webview/parse";
import type { Action, Outcome, Update } from "../../webview/probes/data";
import { parseFromView } from "../../webview/probes/messages";
import { parseProbes } from "../../webview/probes/parse";
import type { Server } from "../server";
import { visible } from "../text";
import { WebPanel, type Owner } from "../webPanel";
import { chosenProbe, firstSlot } from "./words";

/** A document, a probe, or whichever there is. */
export interface Wanted {
  uri: string | null;
  id: string | null;
}

export class ProbePage implements Owner<Action, Outcome>, vscode.Disposable {
  readonly name = "probe";
  readonly title = "Probe";
  readonly parse = parseFromView;
  private readonly panel: WebPanel<Update, Action, Outcome>;
  private readonly subscriptions: vscode.Disposable;
  /** What it is to show. */
  private asked: Wanted = { uri: null, id: null };
  /** Whose events the view has, up to which; null: nothing. */
  private known: { id: string; sequence: number } | null = null;

  /** @param done does what is asked for in the page */
  constructor(
    extensionUri: vscode.Uri,
    private readonly server: Server,
    log: vscode.LogOutputChannel,
    private readonly done: (action: Action, wanted: Wanted) => Promise<Outcome>,
  ) {
    this.panel = new WebPanel(extensionUri, log, this);
    const refresh = () => {
      this.panel.refresh();
    };
    this.subscriptions = vscode.Disposable.from(server.onDidChangeProbes(refresh), server.onDidChangeState(refresh));
  }

  /** What it shows, where the user is in it. */
  get active(): Wanted | null {
    return this.panel.isActive ? this.asked : null;
  }

  /** @param isAside beside the source, where the keyboard stays */
  show(wanted: Wanted, isAside = false): void {
    this.asked = wanted;
    this.panel.show(isAside ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active, isAside);
    this.panel.refresh();
  }

  dispose(): void {
    this.subscriptions.dispose();
    this.panel.dispose();
  }

  failed(reason: string): Outcome {
    return { message: reason };
  }

  begin(): void {
    this.known = null;
  }

  act(action: Action): Promise<Outcome> {
    return this.done(action, this.asked);
  }

  async ask(): Promise<boolean> {
    const { state } = this.server;
    if (state.kind !== "running") {
      this.known = null;
      this.panel.tell(
        state.kind === "starting" || state.kind === "restarting"
          ? { state: "loading" }
          : { state: "off", reason: "reason" in state ? state.reason : "" },
      );
      return false; // until it is another state
    }
    const wanted = this.asked;
    const { probes, permission } = parseProbes(await this.server.request("linnix/probes"));
    const probe = chosenProbe(probes, wanted, isSameFile);
    if (this.asked !== wanted) {
      return true;
    }
    const uri = wanted.uri ?? probe?.uri ?? null;
    const document = uri === null ? null : (uri.split("/").at(-1) ?? null);
    this.panel.title = visible(document ?? probe?.name ?? "Probe", 40);
    const since = probe && this.known?.id === probe.id ? this.known.sequence : null;
    const answer =
      probe &&
      (await this.server.request("linnix/probe", { id: probe.id, ...(since === null ? {} : { since_event: since }) }));
    if (this.asked !== wanted || answer === undefined) {
      return true; // another is asked for by now, or there was no answer
    }
    const fields = asFields(answer);
    if (!probe || !fields) {
      this.known = null;
      this.panel.tell({ state: "idle", document: document === null ? null : decoded(document), permission });
      return true;
    }
    const last = asFields(list(fields.events, Infinity).at(-1))?.sequence;
    this.known = { id: probe.id, sequence: typeof last === "number" ? last : (since ?? 0) };
    this.panel.tell({
      state: "known",
      is_whole: since === null,
      answer,
      at_s: Date.now() / 1000,
      first_slot: slotsOf(probe.uri),
      permission,
    });
    return true;
  }
}

/** They come from the editor and from the server, which escape differently. */
export function isSameFile(one: string, other: string): boolean {
  return one === other || vscode.Uri.parse(one).toString() === vscode.Uri.parse(other).toString();
}

function slotsOf(uri: string | null): number | null {
  const document =
    uri === null ? undefined : vscode.workspace.textDocuments.find((each) => isSameFile(each.uri.toString(), uri));
  return document ? firstSlot(document.getText()) : null;
}

function decoded(name: string): string {
  return text(vscode.Uri.parse(`file:///${name}`).path.slice(1));
}
