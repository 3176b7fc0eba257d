// What the commands do. Whatever fails is told, because somebody has asked for it.

import { readFile } from "node:fs/promises";
import * as os from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import * as vscode from "vscode";
import type { Details } from "./details/details";
import type { Explanations } from "./explanations";
import type { Finding } from "./protocol";
import type { Server } from "./server";
import { statusReport } from "./statusText";
import { commandLine, reasonOf } from "./text";
import type { Node } from "./tree";

const PROMPT_MS = 500;
const PROMPT_LIMIT_MS = 3000;

export function registerCommands(
  context: vscode.ExtensionContext,
  server: Server,
  explanations: Explanations,
  details: Details,
  log: vscode.LogOutputChannel,
): vscode.Disposable {
  const ofFinding =
    (work: (finding: Finding) => Promise<unknown>) =>
    async (node?: Node): Promise<void> => {
      if (node?.finding) {
        await work(node.finding);
      }
    };
  const commands: Record<string, (node?: Node) => Promise<unknown>> = {
    start: () => server.start(),
    stop: () => server.stop(),
    restart: () => server.restart(),
    showLogs: () => {
      log.show();
      return Promise.resolve();
    },
    showPanel: () => Promise.resolve(vscode.commands.executeCommand("linnix.runs.focus")),
    showDetails: (argument) => details.show(argument),
    copyStatusReport: async () => {
      await vscode.env.clipboard.writeText(await report(context, server));
      vscode.window.setStatusBarMessage("linnix: status report copied", 3000);
    },
    enableTracing: () => enableTracing(server),
    "panel.explain": ofFinding((finding) => explanations.show(server, finding.id)),
    // The server asks before it does it.
    "panel.stopProcess": ofFinding((finding) =>
      server.execute("linnix.stopProcess", { finding_id: finding.id }),
    ),
    "panel.dismiss": ofFinding((finding) =>
      server.execute("linnix.dismiss", { finding_id: finding.id }),
    ),
    "panel.copyCommandLine": async (node) => {
      if (node?.argv) {
        await vscode.env.clipboard.writeText(commandLine(node.argv));
      }
    },
    "panel.goToLine": ofFinding(goToLine),
  };
  return vscode.Disposable.from(
    ...Object.entries(commands).map(([name, work]) =>
      vscode.commands.registerCommand(`linnix.${name}`, async (node?: Node) => {
        try {
          await work(node);
        } catch (error) {
          log.error(`${name}: ${reasonOf(error)}`);
          void vscode.window.showErrorMessage(`linnix: ${reasonOf(error)}`);
        }
      }),
    ),
  );
}

async function goToLine(finding: Finding): Promise<void> {
  const place = finding.location;
  if (!place) {
    return;
  }
  const uri = place.uri ? vscode.Uri.parse(place.uri) : vscode.Uri.file(place.path);
  const start = new vscode.Position(Math.max(0, place.line - 1), 0);
  await vscode.window.showTextDocument(uri, { selection: new vscode.Range(start, start) });
}

/** The command is typed into a terminal and not run: whoever presses Enter has read it, and a
 * password goes to sudo alone. */
async function enableTracing(server: Server): Promise<void> {
  const { command, status } = server;
  if (!command) {
    await vscode.commands.executeCommand("workbench.action.openSettings", "linnix.path");
    return;
  }
  if (server.state.kind === "running" && status?.state === "watching" && !status.degraded) {
    void vscode.window.showInformationMessage(`linnix: tracing is on (${status.tracer ?? ""})`);
    return;
  }
  const fix = status?.fix ?? "";
  const agent = commandLine([command.command, ...command.args, "agent"]);
  if (fix && !/\blinnix-ls agent\b/.test(fix)) {
    // Something else is missing, and an agent would not help.
    const copy = "Copy";
    const text = `linnix: ${status?.degraded ?? "not everything is seen"}. What helps: ${fix}`;
    if ((await vscode.window.showInformationMessage(text, copy)) === copy) {
      await vscode.env.clipboard.writeText(fix);
    }
    return;
  }
  const terminal = vscode.window.createTerminal({ name: "linnix: enable tracing" });
  terminal.show();
  await ready(terminal);
  terminal.sendText(`sudo ${agent}`, false);
}

/** What is typed before there is a prompt would be seen twice. */
async function ready(terminal: vscode.Terminal): Promise<void> {
  let subscription: vscode.Disposable | undefined;
  const integrated = new Promise<void>((resolve) => {
    subscription = vscode.window.onDidChangeTerminalShellIntegration((change) => {
      if (change.terminal === terminal) {
        resolve();
      }
    });
  });
  // It comes when the shell begins to set itself up, the prompt a little later.
  const prompted = integrated.then(() => pause(PROMPT_MS));
  await Promise.race([prompted, pause(PROMPT_LIMIT_MS)]);
  subscription?.dispose();
}

async function report(context: vscode.ExtensionContext, server: Server): Promise<string> {
  const { version } = context.extension.packageJSON as { version: string };
  const fresh = await server.request<NonNullable<Server["status"]>>("linnix/status");
  return statusReport({
    extensionVersion: version,
    editor: `${vscode.env.appName} ${vscode.version}${vscode.env.remoteName ? ` (${vscode.env.remoteName})` : ""}`,
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    command: server.command,
    server: server.state,
    status: fresh ?? server.status,
    findings: [...server.findings.values()],
    isTrusted: vscode.workspace.isTrusted,
    serverMemoryMb: await memoryMb(server),
  });
}

async function memoryMb(server: Server): Promise<number | null> {
  const { serverPid } = server;
  if (serverPid === undefined) {
    return null;
  }
  try {
    const status = await readFile(`/proc/${serverPid}/status`, "utf8");
    const kilobytes = /^VmRSS:\s+(\d+)/m.exec(status)?.[1];
    return kilobytes ? Math.round(Number(kilobytes) / 1024) : null;
  } catch {
    return null;
  }
}
