// The view "Runs and Findings": asks for the processes while it is seen, and shows `tree`.

import * as vscode from "vscode";
import type { Process } from "./protocol";
import type { Server } from "./server";
import { tree, type Node } from "./tree";

const PERIOD_MS = 1000;

export class Panel implements vscode.TreeDataProvider<Node>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<Node>;
  private readonly subscriptions: vscode.Disposable[];
  private nodes: Node[] = [];
  private shown = "";
  private processes: Process[] = [];
  private timer: NodeJS.Timeout | undefined;
  private isAsking = false;

  /** @param labels what runs are called, by `keyText` */
  constructor(
    private readonly server: Server,
    private readonly labels: ReadonlyMap<string, string>,
  ) {
    this.view = vscode.window.createTreeView("linnix.runs", {
      treeDataProvider: this,
      showCollapseAll: true,
    });
    this.subscriptions = [
      this.view,
      this.changed,
      this.view.onDidChangeVisibility(() => {
        this.show();
        this.poll();
      }),
      server.onDidChange(() => {
        if (server.state.kind !== "running") {
          this.processes = [];
        }
        this.show();
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
    item.tooltip = node.tooltip;
    item.iconPath = new vscode.ThemeIcon(node.icon, color(node));
    item.contextValue = contextOf(node);
    if (node.finding?.location) {
      item.command = { command: "linnix.panel.goToLine", title: "Go to Line", arguments: [node] };
    }
    return item;
  }

  getChildren(node?: Node): Node[] {
    return node ? node.children : this.nodes;
  }

  dispose(): void {
    clearTimeout(this.timer);
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  private poll(): void {
    if (this.isAsking || !this.view.visible || this.server.state.kind !== "running") {
      return;
    }
    clearTimeout(this.timer);
    this.isAsking = true;
    void this.server.processes().then((answer) => {
      this.isAsking = false;
      this.processes = answer?.processes ?? this.processes;
      this.show();
      clearTimeout(this.timer);
      this.timer = setTimeout(() => {
        this.poll();
      }, PERIOD_MS);
    });
  }

  /** Only what is different is drawn: the view would lose what is hovered otherwise. */
  private show(): void {
    const findings = [...this.server.findings.values()];
    this.nodes = this.view.visible ? tree(this.processes, findings, this.labels) : this.nodes;
    const nOpen = findings.filter((finding) => finding.state === "raised").length;
    this.view.badge =
      nOpen > 0 ? { value: nOpen, tooltip: `${nOpen} running away` } : undefined;
    const shown = JSON.stringify(this.nodes);
    if (shown !== this.shown) {
      this.shown = shown;
      this.changed.fire(undefined);
    }
  }
}

function color(node: Node): vscode.ThemeColor | undefined {
  switch (node.icon) {
    case "error":
      return new vscode.ThemeColor("list.errorForeground");
    case "warning":
    case "flame":
      return new vscode.ThemeColor("list.warningForeground");
    default:
      return undefined;
  }
}

/** Words that the menus in package.json ask for. */
function contextOf(node: Node): string {
  const words: string[] = [node.kind];
  if (node.finding && node.kind !== "finding") {
    words.push("finding");
  }
  if (node.finding?.state === "raised") {
    words.push("stoppable");
  }
  if (node.finding?.location) {
    words.push("place");
  }
  if (node.argv && node.argv.length > 0) {
    words.push("command");
  }
  return words.join(" ");
}
