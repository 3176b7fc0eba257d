// What the commands do. Whatever fails is told, because somebody has asked for it.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import * as os from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import * as vscode from "vscode";
import type { Details } from "./details/details";
import type { Explanations } from "./explanations";
import { memoryMb, memoryReport } from "./memory";
import type { Panel } from "./panel";
import type { Playground, Target } from "./playground/playground";
import type { Finding, Key, Status, Stopped } from "./protocol";
import { runSample } from "./sample";
import type { Server } from "./server";
import type { StackDocuments } from "./stacks";
import { statusReport } from "./statusText";
import type { Tasks } from "./tasks";
import { commandLine, fixCommand, message, reasonOf } from "./text";
import type { Node } from "./tree";

const PROMPT_MS = 500;
const PROMPT_LIMIT_MS = 3000;
const HELP_LIMIT_MS = 10_000;
const TOLD_MS = 3000;

/** What commands work on. */
export interface Parts {
  context: vscode.ExtensionContext;
  server: Server;
  panel: Panel;
  tasks: Tasks;
  stacks: StackDocuments;
  explanations: Explanations;
  details: Details;
  playground: Playground;
  log: vscode.LogOutputChannel;
}

export function registerCommands(parts: Parts): vscode.Disposable {
  const { context, server, panel, tasks, stacks, explanations, details, playground, log } = parts;
  const ofFinding = (work: (finding: Finding) => unknown) => (node?: Node) =>
    node?.finding && work(node.finding);
  const stop = async (node: Node | undefined, tree: boolean) => {
    const { process, finding } = node ?? {};
    const isAccused = finding?.state === "raised" && !tree;
    if (!process && !isAccused) {
      return;
    }
    // The server asks before it does it.
    const { outcome } = await server.execute<Stopped>(
      "linnix.stopProcess",
      isAccused ? { finding_id: finding.id } : { process, tree },
    );
    if (outcome === "already_gone" || outcome === "unknown_process" || outcome === "unknown_finding") {
      tell("it has ended already");
    }
  };
  const commands: Record<string, (node?: Node) => unknown> = {
    start: () => server.start(),
    stop: () => server.stop(),
    restart: () => server.restart(),
    showLogs: () => {
      log.show();
    },
    showPanel: () => vscode.commands.executeCommand("linnix.runs.focus"),
    showDetails: (argument) => details.show(argument),
    copyStatusReport: async () => {
      await vscode.env.clipboard.writeText(await report(context, server));
      tell("status report copied");
    },
    memoryUse: async () => {
      const copy = "Copy";
      const text = await memoryReport(server.serverPid);
      if ((await vscode.window.showInformationMessage(`linnix: ${text}`, copy)) === copy) {
        await vscode.env.clipboard.writeText(text);
      }
    },
    enableTracing: () => enableTracing(server),
    openWalkthrough: () =>
      vscode.commands.executeCommand(
        "workbench.action.openWalkthrough",
        `${context.extension.id}#linnix.start`,
        false,
      ),
    runSample: async () => {
      // Nobody would be watching its loop.
      if (server.state.kind === "missing") {
        await tellMissing();
      } else {
        await runSample(context);
      }
    },
    runTask: () => tasks.run(),
    filter: () => {
      panel.askForFilter();
    },
    clearFilter: () => {
      panel.clearFilter();
    },
    onlyFindings: () => {
      panel.toggleFilter("onlyFindings");
    },
    onlyLive: () => {
      panel.toggleFilter("onlyLive");
    },
    "panel.explain": ofFinding((finding) => explanations.show(server, finding.id)),
    "panel.stopProcess": (node) => stop(node, false),
    "panel.stopTree": (node) => stop(node, true),
    "panel.dismiss": ofFinding((finding) =>
      server.execute("linnix.dismiss", { finding_id: finding.id }),
    ),
    "panel.copyCommandLine": async (node) => {
      if (node?.argv) {
        await vscode.env.clipboard.writeText(commandLine(node.argv));
        tell("command line copied");
      }
    },
    "panel.goToLine": ofFinding(goToLine),
    "panel.showStack": (node) => node?.process && stacks.show(node.process, node.label),
    "panel.showDetails": (node) =>
      node?.run &&
      vscode.commands.executeCommand("linnix.showDetails", {
        run: node.run,
        ...(node.process ? { process: node.process } : {}),
        ...(node.finding ? { finding_id: node.finding.id } : {}),
      }),
  };
  const ofProbes: Record<string, (target: Target) => unknown> = {
    openProbe: () => playground.choose(),
    showProbe: (target) => {
      playground.show(target);
    },
    openProbeSource: (target) => playground.openSource(target),
    runProbe: (target) => playground.do("run", target),
    reloadProbe: (target) => playground.do("reload", target),
    detachProbe: (target) => playground.do("detach", target),
    rollBackProbe: (target) => playground.do("rollBack", target),
    compareProbe: (target) => playground.do("diff", target),
    explainProbe: (target) => playground.explain(target),
    resetProbe: (target) => playground.do("reset", target),
    openLesson: (number: unknown) => playground.openLesson(number),
  };
  // The server's quick fixes and lenses call these; nobody else has what they need.
  const byServer: Record<string, (argument: { finding_id: string; process: Key; id: string }) => unknown> = {
    revealProcess: ({ process, finding_id }) => panel.reveal(process, finding_id),
    revealProbe: ({ id }) => {
      playground.reveal(id);
    },
    copyReproduction: ({ finding_id }) => copyReproduction(server, finding_id),
  };
  const register = (name: string, work: (argument: never) => unknown) =>
    vscode.commands.registerCommand(`linnix.${name}`, async (argument: never) => {
      try {
        await work(argument);
      } catch (error) {
        log.error(`${name}: ${reasonOf(error)}`);
        void vscode.window.showErrorMessage(message(`linnix: ${reasonOf(error)}`));
      }
    });
  return vscode.Disposable.from(
    ...Object.entries(commands).map(([name, work]) =>
      // By a key of the keyboard, it is about what is selected.
      register(name, (node?: Node) => work(node ?? panel.selected)),
    ),
    ...Object.entries(ofProbes).map(([name, work]) => register(name, work)),
    ...Object.entries(byServer).map(([name, work]) => register(name, work)),
  );
}

function tell(text: string): void {
  vscode.window.setStatusBarMessage(`linnix: ${text}`, TOLD_MS);
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

async function copyReproduction(server: Server, findingId: string): Promise<void> {
  const answer = await server.execute<{ command: string } | null>("linnix.reproduce", {
    finding_id: findingId,
    quiet: true,
  });
  if (answer) {
    await vscode.env.clipboard.writeText(answer.command);
    tell("command copied");
  } else {
    void vscode.window.showInformationMessage("linnix: no command is known that runs it again");
  }
}

/** The command is typed into a terminal and not run: whoever presses Enter has read it, and a
 * password goes to sudo alone. */
async function enableTracing(server: Server): Promise<void> {
  const { command } = server;
  if (!command) {
    await vscode.commands.executeCommand("workbench.action.openSettings", "linnix.path");
    return;
  }
  // What was told last may be a moment old, and somebody acts on it.
  const status = (await server.request<Status>("linnix/status")) ?? server.status;
  if (server.state.kind === "running" && status?.state === "watching" && !status.degraded) {
    void vscode.window.showInformationMessage(`linnix: tracing is on (${status.tracer ?? ""})`);
    return;
  }
  const fix = status?.fix ?? "";
  if (fix && !/\blinnix-ls agent\b/.test(fix)) {
    // Something else is missing, and an agent would not help.
    await offerFix(status?.degraded ?? "not everything is seen", fix);
    return;
  }
  const agent = [command.command, ...command.args, "agent"];
  const chosen = (await canInstall(agent))
    ? await vscode.window.showQuickPick(
        [
          {
            label: "Install the agent",
            description: "permanent",
            detail: "Says what it will do, and asks. It is there after the next start of the machine too.",
            words: [...agent, "--install"],
          },
          {
            label: "Run the agent",
            description: "while you work",
            detail: "As long as its terminal is open.",
            words: agent,
          },
        ],
        { title: "Enable Tracing", placeHolder: "Types a command into a terminal, for you to read and run" },
      )
    : { words: agent };
  if (!chosen) {
    return;
  }
  await typeIntoTerminal(`sudo ${commandLine(chosen.words)}`);
}

/** As the server words it; of a command with a remark, the command alone is typed or copied. */
async function offerFix(problem: string, fix: string): Promise<void> {
  const command = fixCommand(fix);
  const type = "Type into Terminal";
  const copy = "Copy";
  const chosen = await vscode.window.showInformationMessage(
    message(`linnix: ${problem}. What helps: ${fix}`),
    ...(command === null ? [] : [type]),
    copy,
  );
  if (chosen === type && command !== null) {
    await typeIntoTerminal(command);
  } else if (chosen === copy) {
    await vscode.env.clipboard.writeText(command ?? fix);
  }
}

async function typeIntoTerminal(line: string): Promise<void> {
  const terminal = vscode.window.createTerminal({ name: "linnix: enable tracing" });
  terminal.show();
  await ready(terminal);
  terminal.sendText(line, false);
}

async function tellMissing(): Promise<void> {
  const setting = "Open the Setting";
  const chosen = await vscode.window.showInformationMessage(
    "linnix: linnix-ls is not installed where it is looked for. Install its package, or name its command.",
    setting,
  );
  if (chosen === setting) {
    await vscode.commands.executeCommand("workbench.action.openSettings", "linnix.path");
  }
}

/** Only where systemd would start it; and an older server cannot. */
async function canInstall([program = "", ...args]: string[]): Promise<boolean> {
  if (!existsSync("/run/systemd/system")) {
    return false;
  }
  try {
    const { stdout } = await promisify(execFile)(program, [...args, "--help"], { timeout: HELP_LIMIT_MS });
    return stdout.includes("--install");
  } catch {
    return false;
  }
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
  const fresh = await server.request<Status>("linnix/status");
  return statusReport({
    extensionVersion: version,
    editor: `${vscode.env.appName} ${vscode.version}${vscode.env.remoteName ? ` (${vscode.env.remoteName})` : ""}`,
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    command: server.command,
    server: server.state,
    status: fresh ?? server.status,
    findings: [...server.findings.values()],
    isTrusted: vscode.workspace.isTrusted,
    serverMemoryMb: await memoryMb(server.serverPid),
  });
}
