// What the view "Probes" shows, as data: probes, with their programs and maps below them. Knows
// nothing of VS Code.

import { cell } from "../../webview/probes/columns";
import type { Permission, Probe, ProbeMap } from "../../webview/probes/data";
import {
  ageText, attachedTo, count, figures, mapTitle, perRun, programName, stateText,
} from "../../webview/probes/words";
import { visible } from "../text";
import type { TreeNode } from "../treeState";

export interface ProbeNode extends TreeNode<ProbeNode> {
  kind: "probe" | "program" | "map";
  probe: Probe;
  /** Of its source, counted from 1. */
  line: number | null;
  /** Words that the menus in package.json ask for. */
  context: string;
}

/** @param maps of probes by their id, as far as they were asked for */
export function probesTree(
  probes: readonly Probe[],
  permission: Permission,
  maps: ReadonlyMap<string, ProbeMap[]>,
): ProbeNode[] {
  return probes.map((probe) => ({
    id: `probe ${probe.id}`,
    kind: "probe",
    label: visible(probe.name, 80),
    description: [
      stateText(probe),
      ...(probe.state === "running" ? figures(probe).map(({ name, value }) => `${value} ${name}`) : []),
    ].join(" · "),
    tooltip: [ageText(probe), probe.problem ?? "", probe.note ?? ""]
      .filter((words) => words !== "")
      .map((words) => visible(words, 500))
      .join("\n"),
    icon: iconOf(probe),
    isOpen: false,
    children: [
      ...probe.programs.map((program): ProbeNode => ({
        id: `program ${probe.id} ${program.name}`,
        kind: "program",
        label: attachedTo(program),
        description: [
          ...(program.runs_per_s === null ? [] : [`${count(program.runs_per_s)} runs/s`]),
          ...(program.ns_per_run === null ? [] : [perRun(program.ns_per_run)]),
        ].join(" · "),
        tooltip: visible(`${programName(program)}, ${program.n_instructions} instructions`),
        icon: "symbol-event",
        isOpen: false,
        children: [],
        probe,
        line: program.line,
        context: "program",
      })),
      ...(maps.get(probe.id) ?? []).map((map): ProbeNode => ({
        id: `map ${probe.id} ${map.name}`,
        kind: "map",
        label: visible(map.name, 80),
        description: mapText(map),
        tooltip: "",
        icon: map.is_histogram ? "graph" : "symbol-array",
        isOpen: false,
        children: [],
        probe,
        line: map.line,
        context: "map",
      })),
    ],
    probe,
    line: null,
    context: contextOf(probe, permission),
  }));
}

function iconOf(probe: Probe): string {
  if (probe.problem !== null) {
    return "warning";
  }
  return probe.state === "running" ? "pulse" : "circle-slash";
}

/** Of a single number, the number itself. */
function mapText(map: ProbeMap): string {
  const [first] = map.entries;
  return map.n_entries === 1 && first && typeof first[1] === "number"
    ? `${cell(first[0])}: ${count(first[1])}`
    : mapTitle(map);
}

function contextOf(probe: Probe, permission: Permission): string {
  const hasSource = probe.uri !== null || probe.files.length > 0;
  const isRunning = probe.state === "running";
  return [
    "probe",
    ...(hasSource ? ["source"] : []),
    ...(hasSource && permission.may_load ? [isRunning ? "reloadable" : "runnable"] : []),
    ...(isRunning && !probe.is_own ? ["detachable"] : []),
    ...(probe.can_roll_back ? ["revertible"] : []),
    ...(probe.files.some((each) => each.is_edited) ? ["edited"] : []),
  ].join(" ");
}
