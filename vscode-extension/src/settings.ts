// The settings of the workspace, with what an untrusted one may not say taken out.

import * as vscode from "vscode";
import { replaced } from "./replaced";

interface Manifest {
  capabilities: { untrustedWorkspaces: { restrictedConfigurations: string[] } };
}

/** The setting, or the user's own where the workspace is not trusted. */
function setting(name: string): unknown {
  const configuration = vscode.workspace.getConfiguration("linnix");
  if (vscode.workspace.isTrusted) {
    return configuration.get(name);
  }
  const said = configuration.inspect(name);
  return said?.globalValue ?? said?.defaultValue;
}

export function isOn(name: "inline_text" | "label_runs"): boolean {
  return setting(name) !== false;
}

/** Empty where it is not set; what is no list of words is none. */
export function wordsOf(name: "path" | "interpreter"): string[] {
  const value = setting(name);
  return Array.isArray(value) && value.every((word) => typeof word === "string") ? value : [];
}

/** Options of `linnix-ls run` that stand for settings. */
export function runOptions(): string[] {
  const socket = setting("agent_socket");
  return typeof socket === "string" && socket ? ["--agent-socket", socket] : [];
}

/**
 * What the server gets. VS Code itself leaves out restricted settings of an untrusted workspace,
 * but only by their full names: in an object around them they would come through.
 */
export function serverSettings(extension: vscode.Extension<unknown>): Record<string, unknown> {
  const raw: unknown = vscode.workspace.getConfiguration("linnix");
  const settings = JSON.parse(JSON.stringify(raw)) as Record<string, unknown>;
  if (vscode.workspace.isTrusted) {
    return settings;
  }
  const { capabilities } = extension.packageJSON as Manifest;
  const names = capabilities.untrustedWorkspaces.restrictedConfigurations.map((id) =>
    id.replace(/^linnix\./, ""),
  );
  return replaced(settings, new Map(names.map((name) => [name, setting(name)])));
}
