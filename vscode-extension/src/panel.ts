// The view "Runs and Findings": asks for processes and runs while it is seen, and shows `tree`.

import * as vscode from "vscode";
import { filtered, filterWords, isFiltering, NO_FILTER, type Facts, type Filter } from "./filter";
import { keyText, type Key } from "./protocol";
import type { Server } from "./server";
import { reasonOf } from "./text";
import { contextOf, menuOf, tree, type Node } from "./tree";
import { TreeState } from "./treeState";

const PERIOD_MS = 1000;
/** Findings may change many times a second; nobody reads as fast. */
const SOON_MS = 200;
const SEEN_LIMIT_MS = 2000;

export class Panel implements vscode.TreeDataProvider<Node>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<Node[] | undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<Node>;
  private readonly subscriptions: vscode.Disposable[];
  private readonly state = new TreeState<Node>(menuOf);
  private facts: Facts = { processes: [], runs: [], findings: [] };
  private filter = NO_FILTER;
  private timer: NodeJS.Timeout | undefined;
  private soon: NodeJS.Timeout | undefined;
  private isAsking = false;

  constructor(
    private readonly server: Server,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.view = vscode.window.createTreeView("linnix.runs", {
      treeDataProvider: this,
      showCollapseAll: true,
    });
    const toggled =
      (isOpen: boolean) =>
      ({ element }: vscode.TreeViewExpansionEvent<Node>) => {
        this.state.toggled(element, isOpen);
      };
    this.subscriptions = [
      this.view,
      this.changed,
      this.view.onDidExpandElement(toggled(true)),
      this.view.onDidCollapseElement(toggled(false)),
      this.view.onDidChangeVisibility(() => {
        this.show();
        this.poll();
      }),
      server.onDidChange(() => {
        if (server.state.kind !== "running") {
          this.facts = { processes: [], runs: [], findings: [] };
        }
        this.showSoon();
        this.poll();
      }),
    ];
    this.poll();
  }

  getTreeItem(node: Node): vscode.TreeItem {
    const item = new vscode.TreeItem(
      node.label,
      node.children.length === 0
        ? vscode.TreeItemCollapsibleState.None
        : node.isOpen
          ? vscode.TreeItemCollapsibleState.Expanded
          : vscode.TreeItemCollapsibleState.Collapsed,
    );
    item.id = node.id;
    item.description = node.description;
    item.tooltip = node.tooltip ? `${node.label}\n${node.description}\n${node.tooltip}` : "";
    item.iconPath = new vscode.ThemeIcon(node.icon, color(node));
    item.contextValue = contextOf(node);
    item.accessibilityInformation = { label: spoken(node), role: "treeitem" };
    if (node.finding?.location) {
      item.command = { command: "linnix.panel.goToLine", title: "Go to Line", arguments: [node] };
    } else if (node.kind === "past") {
      item.command = { command: "linnix.panel.showDetails", title: "Details", arguments: [node] };
    }
    return item;
  }

  getChildren(node?: Node): Node[] {
    return this.state.children(node);
  }

  getParent(node: Node): Node | undefined {
    return this.state.parent(node);
  }

  /** For commands that come from the keyboard and name no node. */
  get selected(): Node | undefined {
    return this.view.selection[0];
  }

  async reveal(process: Key, findingId: string): Promise<void> {
    await vscode.commands.executeCommand("linnix.runs.focus");
    await this.seen();
    await this.ask();
    const text = keyText(process);
    // The first process of a run is the run's line.
    const ids = [`process ${text}`, `run ${text}`, `finding ${findingId}`];
    const find = () => ids.map((id) => this.state.find(id)).find((node) => node);
    let node = find();
    if (!node && isFiltering(this.filter)) {
      this.setFilter(NO_FILTER);
      node = find();
    }
    if (node) {
      await this.view.reveal(node, { select: true, focus: true, expand: true });
    }
  }

  /** The view is open before it knows that it is seen, and until then it shows nothing. */
  private seen(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        subscription.dispose();
        resolve();
      };
      const timer = setTimeout(done, SEEN_LIMIT_MS);
      const subscription = this.view.onDidChangeVisibility(done);
      if (this.view.visible) {
        done();
      }
    });
  }

  /** Shows while it is typed; Escape leaves what was before. */
  askForFilter(): void {
    const before = this.filter;
    const input = vscode.window.createInputBox();
    input.title = "Filter Runs and Processes";
    input.placeholder = "Words of a command line, a name, a pid or a finding";
    input.value = before.text;
    const showButtons = () => {
      input.buttons = [
        toggle("warning", "Only with findings", this.filter.onlyFindings),
        toggle("pulse", "Only what is live", this.filter.onlyLive),
      ];
    };
    showButtons();
    let isAccepted = false;
    input.onDidChangeValue((text) => {
      this.setFilter({ ...this.filter, text });
    });
    input.onDidTriggerButton((button) => {
      const isFindings = button === input.buttons[0];
      this.toggleFilter(isFindings ? "onlyFindings" : "onlyLive");
      showButtons();
    });
    input.onDidAccept(() => {
      isAccepted = true;
      input.hide();
    });
    input.onDidHide(() => {
      if (!isAccepted) {
        this.setFilter(before);
      }
      input.dispose();
    });
    input.show();
  }

  toggleFilter(which: "onlyFindings" | "onlyLive"): void {
    this.setFilter({ ...this.filter, [which]: !this.filter[which] });
  }

  clearFilter(): void {
    this.setFilter(NO_FILTER);
  }

  dispose(): void {
    clearTimeout(this.timer);
    clearTimeout(this.soon);
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  private setFilter(filter: Filter): void {
    this.filter = filter;
    void vscode.commands.executeCommand("setContext", "linnix.isFiltering", isFiltering(filter));
    this.show();
  }

  private poll(): void {
    if (this.isAsking || !this.view.visible || this.server.state.kind !== "running") {
      return;
    }
    clearTimeout(this.timer);
    this.isAsking = true;
    void this.ask()
      .catch((error: unknown) => {
        this.log.error(`the view: ${reasonOf(error)}`);
      })
      .finally(() => {
        this.isAsking = false;
        clearTimeout(this.timer);
        this.timer = setTimeout(() => {
          this.poll();
        }, PERIOD_MS);
      });
  }

  private async ask(): Promise<void> {
    const [tree, history] = await Promise.all([this.server.processes(), this.server.runs()]);
    this.facts = {
      processes: tree?.processes ?? this.facts.processes,
      runs: history?.runs ?? this.facts.runs,
      findings: [],
    };
    this.show();
  }

  private showSoon(): void {
    this.soon ??= setTimeout(() => {
      this.show();
    }, SOON_MS);
  }

  private show(): void {
    clearTimeout(this.soon);
    this.soon = undefined;
    const findings = [...this.server.findings.values()];
    const nOpen = findings.filter((finding) => finding.state === "raised").length;
    this.view.badge =
      nOpen > 0 ? { value: nOpen, tooltip: `${nOpen} running away` } : undefined;
    if (!this.view.visible) {
      return;
    }
    const all = { ...this.facts, findings };
    const shown = filtered(all, this.filter);
    this.view.message = filterWords(this.filter, shown, all) ?? "";
    const told = this.state.update(tree(shown));
    if (told === "all") {
      this.changed.fire(undefined);
    } else if (told.length > 0) {
      this.changed.fire(told);
    }
  }
}

function toggle(icon: string, words: string, isOn: boolean): vscode.QuickInputButton {
  return {
    iconPath: new vscode.ThemeIcon(icon, isOn ? new vscode.ThemeColor("charts.blue") : undefined),
    tooltip: `${words}: ${isOn ? "on" : "off"}`,
  };
}

function color(node: Node): vscode.ThemeColor | undefined {
  switch (node.icon) {
    case "error":
      return new vscode.ThemeColor("list.errorForeground");
    case "warning":
    case "flame":
      return new vscode.ThemeColor("list.warningForeground");
    case "pass":
      return new vscode.ThemeColor("testing.iconPassed");
    default:
      return undefined;
  }
}

const KINDS: Record<Node["kind"], string> = {
  finding: "Finding",
  run: "Run",
  past: "Past run",
  process: "Process",
  fold: "",
  rest: "",
};

/** What a screen reader says: an icon alone tells it nothing. */
function spoken(node: Node): string {
  const isAccused = node.icon === "warning" && node.kind !== "finding";
  return [
    KINDS[node.kind],
    node.label,
    ...(isAccused ? [node.kind === "past" ? "with findings" : "runs away"] : []),
    ...node.description.split(" · "),
  ]
    .filter((words) => words)
    .join(", ");
}
