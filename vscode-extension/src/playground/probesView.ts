// The view "Probes": asks for them while it is seen, and shows `probesTree`.

import * as vscode from "vscode";
import type { Permission, Probe, ProbeMap } from "../../webview/probes/data";
import { parseProbes, parseReading } from "../../webview/probes/parse";
import type { Server } from "../server";
import { reasonOf } from "../text";
import { TreeState } from "../treeState";
import { probesTree, type ProbeNode } from "./probesTree";

const PERIOD_MS = 1000;
/** No event has it: none is asked for. */
const NO_EVENTS = Number.MAX_SAFE_INTEGER;

export class ProbesView implements vscode.TreeDataProvider<ProbeNode>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<ProbeNode[] | undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<ProbeNode>;
  private readonly subscriptions: vscode.Disposable[];
  private readonly state = new TreeState<ProbeNode>((node) => node.context);
  /** Whose maps are looked at. */
  private readonly open = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
  private isAsking = false;

  constructor(
    private readonly server: Server,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.view = vscode.window.createTreeView("linnix.probes", { treeDataProvider: this });
    const poll = () => {
      this.poll();
    };
    this.subscriptions = [
      this.view,
      this.changed,
      this.view.onDidExpandElement(({ element }) => {
        this.toggled(element, true);
      }),
      this.view.onDidCollapseElement(({ element }) => {
        this.toggled(element, false);
      }),
      this.view.onDidChangeVisibility(poll),
      server.onDidChangeProbes(poll),
      server.onDidChangeState(poll),
    ];
  }

  get selected(): ProbeNode | undefined {
    return this.view.visible ? this.view.selection[0] : undefined;
  }

  getTreeItem(node: ProbeNode): vscode.TreeItem {
    const item = new vscode.TreeItem(
      node.label,
      node.kind === "probe" ? vscode.TreeItemCollapsibleState.Collapsed : vscode.TreeItemCollapsibleState.None,
    );
    item.id = node.id;
    item.description = node.description;
    item.tooltip = [node.label, node.description, node.tooltip].filter((words) => words !== "").join("\n");
    item.iconPath = new vscode.ThemeIcon(node.icon);
    item.contextValue = node.context;
    item.accessibilityInformation = {
      label: [node.kind, node.label, ...node.description.split(" · ")].join(", "),
      role: "treeitem",
    };
    item.command =
      node.kind === "probe"
        ? { command: "linnix.showProbe", title: "Show", arguments: [node] }
        : { command: "linnix.openProbeSource", title: "Open", arguments: [node] };
    return item;
  }

  getChildren(node?: ProbeNode): ProbeNode[] {
    return this.state.children(node);
  }

  getParent(node: ProbeNode): ProbeNode | undefined {
    return this.state.parent(node);
  }

  dispose(): void {
    clearTimeout(this.timer);
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  private toggled(node: ProbeNode, isOpen: boolean): void {
    this.state.toggled(node, isOpen);
    if (isOpen) {
      this.open.add(node.probe.id);
    } else {
      this.open.delete(node.probe.id);
    }
    this.poll();
  }

  private poll(): void {
    if (this.isAsking || !this.view.visible) {
      return;
    }
    if (this.server.state.kind !== "running") {
      this.show([], { may_load: false, why: null, fix: null }, new Map());
      return;
    }
    clearTimeout(this.timer);
    this.isAsking = true;
    void this.ask()
      .catch((error: unknown) => {
        this.log.error(`the view of probes: ${reasonOf(error)}`);
      })
      .finally(() => {
        this.isAsking = false;
        this.timer = setTimeout(() => {
          this.poll();
        }, PERIOD_MS);
      });
  }

  private async ask(): Promise<void> {
    const { probes, permission } = parseProbes(await this.server.request("linnix/probes"));
    const maps = new Map<string, ProbeMap[]>();
    for (const { id } of probes.filter((each) => this.open.has(each.id))) {
      const answer = await this.server.request("linnix/probe", { id, since_event: NO_EVENTS });
      maps.set(id, parseReading(answer)?.maps ?? []);
    }
    this.show(probes, permission, maps);
  }

  private show(probes: Probe[], permission: Permission, maps: ReadonlyMap<string, ProbeMap[]>): void {
    this.view.message = permission.why ?? "";
    const told = this.state.update(probesTree(probes, permission, maps));
    if (told === "all") {
      this.changed.fire(undefined);
    } else if (told.length > 0) {
      this.changed.fire(told);
    }
  }
}
