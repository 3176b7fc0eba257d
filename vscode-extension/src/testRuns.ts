// Tests that ran away, in the test explorer, with a profile that runs one again under linnix-ls.
// A profile can run its own controller's tests only: those of other extensions are run by them,
// and are watched all the same.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as vscode from "vscode";
import type { Finding } from "./protocol";
import type { Server } from "./server";
import { runOptions } from "./settings";
import { reasonOf } from "./text";
import { underLinnix } from "./underLinnix";
import { verdict, type Verdict } from "./verdict";

const MAX_TESTS = 100;

export class TestRuns implements vscode.Disposable {
  /** Made with the first of them: before, the test explorer is none of our business. */
  private controller: vscode.TestController | undefined;
  /** What runs a test again, by its name. */
  private readonly commands = new Map<string, string>();
  private readonly asked = new Set<string>();
  private readonly subscription: vscode.Disposable;

  constructor(
    private readonly server: Server,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.subscription = vscode.Disposable.from(
      server.onDidStart(() => {
        this.asked.clear();
      }),
      server.onDidChange(() => {
        for (const finding of server.findings.values()) {
          if (finding.test && !this.asked.has(finding.id)) {
            this.asked.add(finding.id);
            this.offer(finding, finding.test).catch((error: unknown) => {
              this.log.debug(`no way to run a test again: ${reasonOf(error)}`);
            });
          }
        }
      }),
    );
  }

  dispose(): void {
    this.subscription.dispose();
    this.controller?.dispose();
  }

  private async offer(finding: Finding, test: string): Promise<void> {
    const known = await this.server.execute<{ command: string } | null>("linnix.reproduce", {
      finding_id: finding.id,
      quiet: true,
    });
    if (!known || (this.commands.size >= MAX_TESTS && !this.commands.has(test))) {
      return;
    }
    this.commands.set(test, known.command);
    this.controller ??= this.create();
    const { location } = finding;
    const uri = location ? vscode.Uri.file(location.path) : undefined;
    const item = this.controller.createTestItem(test, test, uri);
    if (location) {
      item.range = lineRange(location.line);
    }
    this.controller.items.add(item);
  }

  private create(): vscode.TestController {
    const controller = vscode.tests.createTestController("linnix", "Tests That Ran Away");
    controller.createRunProfile(
      "Run under Linnix",
      vscode.TestRunProfileKind.Run,
      (request, token) => this.run(controller, request, token),
      true,
    );
    return controller;
  }

  private async run(
    controller: vscode.TestController,
    request: vscode.TestRunRequest,
    token: vscode.CancellationToken,
  ): Promise<void> {
    if (!vscode.workspace.isTrusted) {
      await vscode.commands.executeCommand("workbench.trust.manage");
      return;
    }
    const items = request.include ?? [...controller.items].map(([, item]) => item);
    const run = controller.createTestRun(request);
    items.forEach((item) => {
      run.enqueued(item);
    });
    try {
      for (const item of items) {
        if (token.isCancellationRequested) {
          run.skipped(item);
        } else {
          await this.runOne(run, item, token);
        }
      }
    } finally {
      run.end();
    }
  }

  private async runOne(
    run: vscode.TestRun,
    item: vscode.TestItem,
    token: vscode.CancellationToken,
  ): Promise<void> {
    const begin = Date.now();
    run.started(item);
    let answer: Verdict;
    try {
      answer = await this.judged(run, item, token);
    } catch (error) {
      answer = { result: "errored", problems: [{ text: reasonOf(error), path: null, line: 1 }] };
    }
    const { result, problems } = answer;
    const messages = problems.map(({ text, path, line }) => {
      const message = new vscode.TestMessage(text);
      if (path !== null) {
        message.location = new vscode.Location(vscode.Uri.file(path), lineRange(line));
      }
      return message;
    });
    if (token.isCancellationRequested) {
      run.skipped(item);
    } else if (result === "passed") {
      run.passed(item, Date.now() - begin);
    } else {
      run[result](item, messages, Date.now() - begin);
    }
  }

  private async judged(
    run: vscode.TestRun,
    item: vscode.TestItem,
    token: vscode.CancellationToken,
  ): Promise<Verdict> {
    const folder = await mkdtemp(join(tmpdir(), "linnix-"));
    const file = join(folder, "findings.json");
    try {
      const [program = "", ...args] = underLinnix(
        this.server.found(),
        this.commands.get(item.id) ?? "false",
        // What runs away would not let the test end.
        [...runOptions(), "--stop-runaways", "--json", file],
      );
      const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => {
          run.appendOutput(text.replace(/\r?\n/g, "\r\n"), undefined, item);
        });
      }
      const cancelled = token.onCancellationRequested(() => child.kill());
      const exitCode = await new Promise<number | null>((resolve, reject) => {
        child.on("error", reject).on("close", resolve);
      }).finally(() => {
        cancelled.dispose();
      });
      const document = await readFile(file, "utf8").catch(() => null);
      return verdict(document, exitCode);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

function lineRange(line: number): vscode.Range {
  const start = Math.max(0, line - 1);
  return new vscode.Range(start, 0, start, 0);
}
