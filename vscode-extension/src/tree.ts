// What the panel shows, as data: findings on top, then runs with their processes, equal ones
// folded ("48 × cc1plus"). Knows nothing of VS Code.

import type { Finding, Key, Process } from "./protocol";
import { keyText } from "./protocol";
import { commandLine, cpu, duration, plural, visible } from "./text";

export interface Node {
  /** Stays the same while it is the same thing, so that the view keeps what is open in it. */
  id: string;
  kind: "finding" | "run" | "process" | "fold" | "rest";
  label: string;
  description: string;
  tooltip: string;
  icon: string;
  isOpen: boolean;
  children: Node[];
  finding?: Finding;
  argv?: readonly string[];
}

/** As many leaves of the same program are one line. */
const FOLD_FROM = 4;
/** Of a fold or a parent no more are listed. */
const MAX_LISTED = 200;
const BUSY_CORES = 0.5;

/**
 * @param labels what runs are called, by `keyText` of a process that was told to the server
 */
export function tree(
  processes: readonly Process[],
  findings: readonly Finding[],
  labels: ReadonlyMap<string, string>,
): Node[] {
  const rank = (finding: Finding) => (finding.state === "raised" ? 0 : 1);
  return [
    ...[...findings].sort((a, b) => rank(a) - rank(b)).map(findingNode),
    ...runs(processes, new Map(findings.map((finding) => [finding.id, finding])), labels),
  ];
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
    tooltip: [
      finding.explanation?.why ?? "",
      finding.test ? `Test: ${finding.test}` : "",
      place ? `${place.path}:${place.line}` : "",
      commandLine(finding.process.argv),
    ]
      .filter((line) => line)
      .map((line) => visible(line, 1000))
      .join("\n"),
    icon: isOpen ? severityIcon(finding.severity) : "pass",
    isOpen: false,
    children: [],
    finding,
    argv: finding.process.argv,
  };
}

function severityIcon(severity: Finding["severity"]): string {
  return severity === "error" ? "error" : severity === "warning" ? "warning" : "info";
}

function runs(
  processes: readonly Process[],
  findings: ReadonlyMap<string, Finding>,
  labels: ReadonlyMap<string, string>,
): Node[] {
  const byRun = new Map<string, { key: Key; members: Process[] }>();
  for (const process of processes) {
    if (process.run) {
      const text = keyText(process.run);
      const run = byRun.get(text) ?? { key: process.run, members: [] };
      run.members.push(process);
      byRun.set(text, run);
    }
  }
  // What runs away first, then what has a name, then what an editor starts for itself as well.
  const rank = ({ icon }: Node, isNamed: boolean) => (icon === "warning" ? 0 : isNamed ? 1 : 2);
  const listed = [...byRun.values()].map(({ key, members }) => ({
    isOver: members.every((member) => member.has_ended && member.finding_ids.length === 0),
    isNamed: members.some((member) => labels.has(keyText(member))),
    age: Math.max(...members.map((member) => member.age_s)),
    node: runNode(key, members, findings, labels),
  }));
  listed.sort((a, b) => rank(a.node, a.isNamed) - rank(b.node, b.isNamed) || a.age - b.age);
  const over = listed.filter((run) => run.isOver).map((run) => run.node);
  const going = listed.filter((run) => !run.isOver).map((run) => run.node);
  return over.length > 0 ? [...going, endedNode(over)] : going;
}

function endedNode(children: Node[]): Node {
  return {
    id: "ended",
    kind: "fold",
    label: "Just ended",
    description: plural(children.length, "run"),
    tooltip: "",
    icon: "history",
    isOpen: false,
    children,
  };
}

function runNode(
  key: Key,
  members: readonly Process[],
  findings: ReadonlyMap<string, Finding>,
  labels: ReadonlyMap<string, string>,
): Node {
  const known = new Set(members.map(keyText));
  const below = new Map<string, Process[]>();
  const tops: Process[] = [];
  for (const member of members) {
    const parent = member.parent ? keyText(member.parent) : "";
    if (parent !== keyText(member) && known.has(parent)) {
      below.set(parent, [...(below.get(parent) ?? []), member]);
    } else {
      tops.push(member);
    }
  }
  const root = members.find((member) => keyText(member) === keyText(key));
  const live = members.filter((member) => !member.has_ended);
  const cores = live.reduce((sum, member) => sum + member.on_cpu_cores, 0);
  const label = labels.get(keyText(key)) ?? (root?.parent && labels.get(keyText(root.parent)));
  const said = root ? commandLine(root.argv) || root.comm : `run of pid ${key.pid}`;
  const others = tops.filter((top) => top !== root);
  const inside = root ? [...(below.get(keyText(root)) ?? []), ...others] : others;
  const hasFinding = members.some((member) => member.finding_ids.length > 0);
  const age = Math.max(...members.map((member) => member.age_s));
  const finding = root?.finding_ids.map((id) => findings.get(id)).find((each) => each);
  return {
    id: `run ${keyText(key)}`,
    kind: "run",
    label: visible(label ?? said, 100),
    description:
      live.length > 0
        ? `${plural(live.length, "process", "processes")} · ${cpu(cores)} · ${duration(age)}`
        : ended(root),
    tooltip: visible(said, 2000) + (root?.cwd ? `\nin ${visible(root.cwd, 500)}` : ""),
    icon: hasFinding ? "warning" : live.length > 0 ? "play-circle" : "circle-outline",
    isOpen: hasFinding || members.length <= 12,
    children: folded(inside, { below, shapes: new Map(), findings }, 0),
    ...(finding ? { finding } : {}),
    ...(root ? { argv: root.argv } : {}),
  };
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
    groups.set(shape, [...(groups.get(shape) ?? []), process]);
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

function processNode(
  process: Process,
  run: RunTree,
  depth: number,
): Node {
  const said = commandLine(process.argv) || process.comm;
  const finding = process.finding_ids.map((id) => run.findings.get(id)).find((each) => each);
  return {
    id: `process ${keyText(process)}`,
    kind: "process",
    label: visible(shortCommand(process), 100),
    description: process.has_ended
      ? ended(process)
      : `pid ${process.pid} · ${cpu(process.on_cpu_cores)} · ${duration(process.age_s)}`,
    tooltip: visible(said, 2000) + (process.cwd ? `\nin ${visible(process.cwd, 500)}` : ""),
    icon:
      process.finding_ids.length > 0
        ? "warning"
        : process.has_ended
          ? "circle-outline"
          : process.on_cpu_cores >= BUSY_CORES
            ? "flame"
            : "circle-filled",
    isOpen: true,
    children: folded(run.below.get(keyText(process)) ?? [], run, depth + 1),
    argv: process.argv,
    ...(finding ? { finding } : {}),
  };
}

function ended(process: Process | undefined): string {
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
