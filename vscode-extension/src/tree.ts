// What the panel shows, as data: findings on top, then runs with their processes, equal ones
// folded ("48 × cc1plus"), then what the editor runs for itself, and past runs. Knows nothing of
// VS Code.

import type { Facts } from "./filter";
import type { Finding, Key, Process, ProcessState, Run, Source } from "./protocol";
import { keyText } from "./protocol";
import { bytes, commandLine, cpu, duration, plural, pushTo, visible } from "./text";
import type { TreeNode } from "./treeState";

export interface Node extends TreeNode<Node> {
  kind: "finding" | "run" | "past" | "process" | "fold" | "rest";
  finding?: Finding | undefined;
  argv?: readonly string[] | undefined;
  /** Of a process that can be looked at and stopped. */
  process?: Key | undefined;
  run?: Key | undefined;
}

/** Words that the menus in package.json ask for. */
export function contextOf(node: Node): string {
  const words: string[] = [node.kind];
  if (node.finding && node.kind !== "finding") {
    words.push("finding");
  }
  if (node.process) {
    words.push("alive");
  }
  if (node.run) {
    words.push("details");
  }
  if (node.finding?.location) {
    words.push("place");
  }
  if (node.argv && node.argv.length > 0) {
    words.push("command");
  }
  return words.join(" ");
}

/** Also where it leads. */
export function menuOf(node: Node): string {
  return [contextOf(node), node.finding?.state, node.finding?.location?.uri].join(" ");
}

/** As many leaves of the same program are one line. */
const FOLD_FROM = 4;
/** Of a fold or a parent no more are listed. */
const MAX_LISTED = 200;
const BUSY_CORES = 0.5;

export function tree({ processes, runs, findings }: Facts): Node[] {
  const rank = (finding: Finding) => (finding.state === "raised" ? 0 : 1);
  const known = new Map(runs.map((run) => [keyText(run), run]));
  const past = runs.filter((run) => isPast(run) && !isHelper(run));
  const going: Node[] = [];
  const helpers: Node[] = [];
  for (const [text, { key, members }] of byRun(processes)) {
    const run = known.get(text);
    const hasFinding = members.some((member) => member.finding_ids.length > 0);
    // What is over is told as a past run, as soon as the server says so.
    const isOver = run ? isPast(run) : !hasFinding && members.every((member) => member.has_ended);
    if (!isOver) {
      const isAside = run !== undefined && !hasFinding && isHelper(run);
      (isAside ? helpers : going).push(runNode(key, members, run, findings));
    }
  }
  // What runs away first; beyond that, as they were started.
  going.sort((a, b) => Number(b.icon === "warning") - Number(a.icon === "warning"));
  return [
    ...[...findings].sort((a, b) => rank(a) - rank(b)).map(findingNode),
    ...going,
    ...group("helpers", "Helpers of the editor", "extensions", helpers),
    ...group("past", "Past runs", "history", past.map(pastNode)),
  ];
}

/** Also what the first process of it has left behind has ended. */
function isPast(run: Run): boolean {
  return run.n_alive === 0;
}

/** Started by an extension for itself, as it seems: a language server, a look at the versions. */
function isHelper(run: Run): boolean {
  return (run.source === "extension" || run.source === "editor") && run.findings.length === 0;
}

function byRun(processes: readonly Process[]): Map<string, { key: Key; members: Process[] }> {
  const runs = new Map<string, { key: Key; members: Process[] }>();
  for (const process of processes) {
    if (process.run) {
      const text = keyText(process.run);
      const run = runs.get(text) ?? { key: process.run, members: [] };
      run.members.push(process);
      runs.set(text, run);
    }
  }
  return runs;
}

function group(id: string, label: string, icon: string, children: Node[]): Node[] {
  const description = plural(children.length, "run");
  const node: Node = { id, kind: "fold", label, description, tooltip: "", icon, isOpen: false, children };
  return children.length > 0 ? [node] : [];
}

function findingNode(finding: Finding): Node {
  const place = finding.location;
  const isOpen = finding.state === "raised";
  const where = place ? `${baseName(place.path)}:${place.line}` : "no line";
  return {
    id: `finding ${finding.id}`,
    kind: "finding",
    label: visible(finding.explanation?.summary ?? `${finding.process.comm}: ${words(finding.kind)}`),
    description: visible(`${where} · ${isOpen ? `pid ${finding.process.pid}` : "ended"}`),
    tooltip: lines(
      finding.explanation?.why ?? "",
      finding.test ? `Test: ${finding.test}` : "",
      place ? `${place.path}:${place.line}` : "",
      commandLine(finding.process.argv),
    ),
    // Not a tick: that it has ended does not mean that it is well.
    icon: isOpen ? severityIcon(finding.severity) : "circle-outline",
    isOpen: false,
    children: [],
    finding,
    argv: finding.process.argv,
    ...(isOpen ? { process: keyOf(finding.process) } : {}),
    ...(finding.run ? { run: finding.run } : {}),
  };
}

function severityIcon(severity: Finding["severity"]): string {
  return severity === "error" ? "error" : severity === "warning" ? "warning" : "info";
}

const SOURCE_ICONS: Record<Source, string> = {
  task: "checklist",
  terminal: "terminal",
  debug: "debug-alt",
  test: "beaker",
  extension: "extensions",
  editor: "window",
  folder: "folder",
  other: "play-circle",
};

/** What started it, unless its name says so. */
function sourceWord(run: Run | undefined, label: string): string[] {
  const isSaid = !run || run.source === "other" || label.toLowerCase().includes(run.source);
  return isSaid ? [] : [run.source];
}

function runNode(
  key: Key,
  members: readonly Process[],
  run: Run | undefined,
  findings: readonly Finding[],
): Node {
  const known = new Set(members.map(keyText));
  const below = new Map<string, Process[]>();
  const tops: Process[] = [];
  for (const member of members) {
    const parent = member.parent ? keyText(member.parent) : "";
    if (parent !== keyText(member) && known.has(parent)) {
      pushTo(below, parent, member);
    } else {
      tops.push(member);
    }
  }
  const root = members.find((member) => keyText(member) === keyText(key));
  const live = members.filter((member) => !member.has_ended);
  const cores = live.reduce((sum, member) => sum + member.on_cpu_cores, 0);
  const memory = live.reduce((sum, member) => sum + (member.rss_bytes ?? 0), 0);
  const { argv, comm, cwd } = root ?? run ?? { argv: [], comm: `run of pid ${key.pid}`, cwd: null };
  const said = commandLine(argv) || comm;
  const label = visible(run?.label ?? said, 100);
  const others = tops.filter((top) => top !== root);
  const inside = root ? [...(below.get(keyText(root)) ?? []), ...others] : others;
  const hasFinding = members.some((member) => member.finding_ids.length > 0);
  const age = run?.duration_s ?? Math.max(...members.map((member) => member.age_s));
  const byId = new Map(findings.map((finding) => [finding.id, finding]));
  const finding = findingOf(root, byId);
  return {
    id: `run ${keyText(key)}`,
    kind: "run",
    label,
    description: [
      ...sourceWord(run, label),
      ...(live.length > 0
        ? [
            plural(live.length, "process", "processes"),
            cpu(cores),
            ...(memory > 0 ? [bytes(memory)] : []),
            duration(age),
          ]
        : [ended(root ?? run)]),
    ].join(" · "),
    tooltip: lines(said, cwd ? `in ${cwd}` : "", run ? peaks(run) : ""),
    icon: hasFinding ? "warning" : live.length > 0 ? SOURCE_ICONS[run?.source ?? "other"] : "circle-outline",
    isOpen: hasFinding || members.length <= 12,
    children: folded(inside, { below, shapes: new Map(), findings: byId }, 0),
    run: key,
    ...(finding ? { finding } : {}),
    ...(argv.length > 0 ? { argv } : {}),
    ...(root && !root.has_ended ? { process: keyOf(root) } : {}),
  };
}

function pastNode(run: Run): Node {
  const said = commandLine(run.argv) || run.comm;
  const label = visible(run.label ?? said, 100);
  const hasFinding = run.findings.length > 0;
  return {
    id: `run ${keyText(run)}`,
    kind: "past",
    label,
    description: [
      ...sourceWord(run, label),
      duration(run.duration_s),
      ended(run),
      `peak ${cpu(run.peak_cores)}, ${plural(run.peak_processes, "process", "processes")}`,
      ...(hasFinding ? [plural(run.findings.length, "finding")] : []),
    ].join(" · "),
    tooltip: lines(
      said,
      run.cwd ? `in ${run.cwd}` : "",
      `began at ${run.began_at}`,
      peaks(run),
      ...run.findings.map((finding) => finding.summary),
    ),
    icon: hasFinding ? "warning" : run.exit_code === 0 ? "pass" : SOURCE_ICONS[run.source],
    isOpen: false,
    children: [],
    run: keyOf(run),
    argv: run.argv,
  };
}

function peaks(run: Run): string {
  return (
    `${plural(run.n_processes, "process", "processes")} in all, at most ${run.peak_processes} at once; ` +
    `at most ${cpu(run.peak_cores)}` + (run.peak_rss_bytes === null ? "" : ` and ${bytes(run.peak_rss_bytes)}`)
  );
}

/** What is known of all processes of a run. */
interface RunTree {
  below: ReadonlyMap<string, readonly Process[]>;
  /** As far as they have been asked for. */
  shapes: Map<string, string | null>;
  findings: ReadonlyMap<string, Finding>;
}

// Deeper trees are cut: a process recursion may be a thousand deep, and nobody opens that.
const MAX_DEPTH = 60;

function folded(
  siblings: readonly Process[],
  run: RunTree,
  depth: number,
): Node[] {
  if (depth >= MAX_DEPTH) {
    const [first] = siblings;
    return first ? [restNode(`below ${keyText(first)}`, siblings.length)] : [];
  }
  const over = siblings.filter((process) => isOver(process, run, depth));
  const known = new Set(over);
  const areFolded = over.length >= FOLD_FROM && over.length < siblings.length;
  const groups = new Map<string, Process[]>();
  for (const process of siblings) {
    if (areFolded && known.has(process)) {
      continue;
    }
    // What has a finding stands for itself.
    const shape = shapeOf(process, run, depth) ?? keyText(process);
    pushTo(groups, shape, process);
  }
  const nodes: Node[] = [];
  const nFolds = new Map<string, number>();
  for (const group of groups.values()) {
    const single = (process: Process) => processNode(process, run, depth);
    if (group.length < FOLD_FROM) {
      nodes.push(...group.map(single));
    } else {
      const comm = group[0]?.comm ?? "";
      const number = (nFolds.get(comm) ?? 0) + 1;
      nFolds.set(comm, number);
      nodes.push(foldNode(group, number, group.slice(0, MAX_LISTED).map(single)));
    }
  }
  if (areFolded) {
    const key = over[0]?.parent ?? over[0]?.run;
    nodes.push({
      ...foldNode(over, 0, folded(over, run, depth)),
      id: `ended ${key ? keyText(key) : ""}`,
      label: `${over.length} ended`,
      icon: "history",
      description: "",
    });
  }
  if (nodes.length > MAX_LISTED) {
    const listed = nodes.slice(0, MAX_LISTED);
    return [...listed, restNode(`beside ${listed[0]?.id ?? ""}`, nodes.length - MAX_LISTED)];
  }
  return nodes;
}

/** Whether nothing of it goes on, and nothing is said of it. */
function isOver(process: Process, run: RunTree, depth: number): boolean {
  return (
    process.has_ended &&
    process.finding_ids.length === 0 &&
    (depth >= MAX_DEPTH ||
      (run.below.get(keyText(process)) ?? []).every((child) => isOver(child, run, depth + 1)))
  );
}

/** The same for processes that look alike with all that is below them; null with a finding. */
function shapeOf(
  process: Process,
  run: RunTree,
  depth: number,
): string | null {
  const known = run.shapes.get(keyText(process));
  if (known !== undefined) {
    return known;
  }
  let shape: string | null = process.finding_ids.length > 0 ? null : `${process.comm}\0`;
  if (shape !== null && depth < MAX_DEPTH) {
    const inner = (run.below.get(keyText(process)) ?? []).map((child) =>
      shapeOf(child, run, depth + 1),
    );
    shape = inner.includes(null) ? null : `${shape}(${[...new Set(inner)].sort().join()})`;
  }
  // Deep chains would make this long, and alike only at their top is alike enough.
  shape = shape === null ? null : shape.slice(0, 500);
  run.shapes.set(keyText(process), shape);
  return shape;
}

function foldNode(group: readonly Process[], number: number, children: Node[]): Node {
  const [first] = group;
  const cores = group.reduce((sum, each) => sum + (each.has_ended ? 0 : each.on_cpu_cores), 0);
  const nEnded = group.filter((each) => each.has_ended).length;
  const missing = number > 0 ? group.length - children.length : 0;
  // By the parent, so that it stays open when the first of its processes has gone.
  const owner = first?.parent ?? first?.run;
  const id = `fold ${owner ? keyText(owner) : ""} ${first?.comm ?? ""} ${number}`;
  return {
    id,
    kind: "fold",
    label: `${group.length} × ${visible(first?.comm ?? "", 50)}`,
    description: nEnded === group.length ? "ended" : cpu(cores),
    tooltip: `${plural(group.length, "process", "processes")}, ${nEnded} of them ended`,
    icon: "layers",
    isOpen: false,
    children: missing > 0 ? [...children, restNode(id, missing)] : children,
  };
}

function restNode(id: string, count: number): Node {
  return {
    id: `rest of ${id}`,
    kind: "rest",
    label: `and ${count} more`,
    description: "",
    tooltip: "",
    icon: "ellipsis",
    isOpen: false,
    children: [],
  };
}

const STATES: Record<ProcessState, string> = {
  running: "running",
  sleeping: "sleeping",
  uninterruptible: "waiting for a device",
  stopped: "suspended",
  zombie: "ended, not yet collected",
  ended: "ended",
  unknown: "",
};

function processNode(
  process: Process,
  run: RunTree,
  depth: number,
): Node {
  const said = commandLine(process.argv) || process.comm;
  const finding = findingOf(process, run.findings);
  const facts = [
    cpu(process.on_cpu_cores),
    process.rss_bytes === null ? "" : bytes(process.rss_bytes),
    process.n_forks > 0 ? plural(process.n_forks, "fork") : "",
    duration(process.age_s),
    STATES[process.state],
    `pid ${process.pid}`,
  ].filter((fact) => fact);
  return {
    id: `process ${keyText(process)}`,
    kind: "process",
    label: visible(shortCommand(process), 100),
    description: process.has_ended ? ended(process) : facts.join(" · "),
    tooltip: lines(said, process.cwd ? `in ${process.cwd}` : ""),
    icon:
      process.finding_ids.length > 0
        ? "warning"
        : process.has_ended
          ? "circle-outline"
          : process.on_cpu_cores >= BUSY_CORES
            ? "flame"
            : "circle-filled",
    isOpen: !process.has_ended || process.finding_ids.length > 0,
    children: folded(run.below.get(keyText(process)) ?? [], run, depth + 1),
    argv: process.argv,
    ...(process.has_ended ? {} : { process: keyOf(process) }),
    ...(process.run ? { run: process.run } : {}),
    ...(finding ? { finding } : {}),
  };
}

function findingOf(
  process: Process | undefined,
  findings: ReadonlyMap<string, Finding>,
): Finding | undefined {
  return process?.finding_ids.map((id) => findings.get(id)).find((each) => each);
}

function keyOf({ pid, start_ticks }: Key): Key {
  return { pid, start_ticks };
}

function ended(process: Pick<Process, "exit_code" | "term_signal"> | undefined): string {
  if (process?.term_signal) {
    return `ended by signal ${process.term_signal}`;
  }
  return process?.exit_code == null ? "ended" : `ended with ${process.exit_code}`;
}

/** The program without its folder, and its arguments. */
function shortCommand(process: Process): string {
  const [program, ...rest] = process.argv;
  return program ? commandLine([baseName(program) || program, ...rest]) : process.comm;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function words(kind: string): string {
  return kind.replaceAll("_", " ");
}

/** Each of them one line, whatever is in it; empty ones are left out. */
function lines(...texts: string[]): string {
  return texts
    .filter((text) => text)
    .map((text) => visible(text, 1000))
    .join("\n");
}
