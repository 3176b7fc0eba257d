// The words of the status item and of the status report. Knows nothing of VS Code.

import type { Command } from "./lookup";
import type { Finding, Status } from "./protocol";
import { commandLine, markdown, plural, visible } from "./text";

/** How the server is, as the extension sees it from outside. */
export type ServerState =
  | { kind: "starting" }
  | { kind: "running" }
  | { kind: "restarting"; reason: string }
  | { kind: "stopped" }
  | { kind: "missing" }
  | { kind: "failed"; reason: string };

export type Health = "watching" | "loading" | "degraded" | "off" | "missing";

export interface Shown {
  health: Health;
  text: string;
  /** Markdown. */
  tooltip: string;
  isProblem: boolean;
}

export function health(server: ServerState, status: Status | null): Health {
  if (server.kind === "missing") {
    return "missing";
  }
  if (server.kind === "stopped" || server.kind === "failed") {
    return "off";
  }
  if (server.kind !== "running" || !status || status.state === "loading") {
    return "loading";
  }
  if (status.state === "off") {
    return "off";
  }
  return status.degraded ? "degraded" : "watching";
}

const ICONS: Record<Health, string> = {
  watching: "eye",
  loading: "loading~spin",
  degraded: "eye",
  off: "eye-closed",
  missing: "eye-closed",
};

export function statusShown(
  server: ServerState,
  status: Status | null,
  findings: readonly Finding[],
): Shown {
  const state = health(server, status);
  const nOpen = findings.filter((finding) => finding.state === "raised").length;
  const suffix = state === "degraded" ? " degraded" : state === "off" || state === "missing" ? " off" : "";
  const lines = [`**linnix**: ${markdown(sentence(server, status, state))}`];
  if (nOpen > 0) {
    lines.push(`${plural(nOpen, "process runs away", "processes run away")}.`);
  }
  if (state !== "missing" && server.kind === "running" && status) {
    if (status.fix && (state === "degraded" || state === "off")) {
      lines.push(`What helps: ${markdown(status.fix)}`);
    }
    if (status.events.lost > 0) {
      lines.push(`${plural(status.events.lost, "event")} lost of ${status.events.received}.`);
    }
    if (status.explain?.problem) {
      lines.push(`Notes by a model: ${markdown(status.explain.problem)}`);
    }
  }
  return {
    health: state,
    text: `$(${ICONS[state]}) linnix${suffix}${nOpen > 0 ? ` $(warning) ${nOpen}` : ""}`,
    tooltip: lines.join("\n\n"),
    isProblem: server.kind === "failed" || nOpen > 0,
  };
}

function sentence(server: ServerState, status: Status | null, state: Health): string {
  switch (server.kind) {
    case "starting":
      return "starting";
    case "restarting":
      return `starting again: ${server.reason}`;
    case "stopped":
      return "off: the server was stopped";
    case "missing":
      return "off: linnix-ls was not found; install it or set linnix.path";
    case "failed":
      return `off: ${server.reason}`;
    case "running":
      if (state === "watching" && status) {
        return `watching, by ${status.tracer ?? "nothing"}`;
      }
      return state === "loading" ? "loading" : `${state}: ${status?.degraded ?? "nothing is watched"}`;
  }
}

/** What helps somebody else to see what is wrong here. It has no source and no environment. */
export function statusReport(facts: {
  extensionVersion: string;
  editor: string;
  system: string;
  command: Command | null;
  server: ServerState;
  status: Status | null;
  findings: readonly Finding[];
  isTrusted: boolean;
  serverMemoryMb: number | null;
}): string {
  const { command, server, status, findings } = facts;
  const rows: [string, string][] = [
    ["extension", facts.extensionVersion],
    ["editor", facts.editor],
    ["system", facts.system],
    ["workspace trusted", facts.isTrusted ? "yes" : "no"],
    [
      "server command",
      command
        ? `${commandLine([command.command, ...command.args])} (${command.origin})`
        : "not found",
    ],
    ["server", "reason" in server ? `${server.kind}: ${server.reason}` : server.kind],
    ["server memory", facts.serverMemoryMb === null ? "unknown" : `${facts.serverMemoryMb} MB`],
  ];
  if (status) {
    const { received, lost, processes } = status.events;
    rows.push(
      ["version", status.version],
      ["state", status.state],
      ["tracer", status.tracer ?? "none"],
      ["degraded", status.degraded ?? "no"],
      ["what helps", status.fix ?? "nothing needed"],
      ["events", `${received} received, ${lost} lost`],
      ["processes", String(processes)],
    );
    if (status.explain) {
      rows.push(["explanations", `${status.explain.source}, ${status.explain.problem ?? "well"}`]);
    }
  }
  rows.push([
    "findings",
    findings.map((finding) => `${finding.kind}/${finding.cause} ${finding.state}`).join(", ") ||
      "none",
  ]);
  return rows.map(([name, value]) => `${name}: ${visible(value, 500)}`).join("\n") + "\n";
}
