// What of the runs, processes and findings is shown when somebody looks for something. Knows
// nothing of VS Code.

import type { Finding, Process, Run } from "./protocol";
import { keyText } from "./protocol";
import { plural, visible } from "./text";

/** All that the panel knows. */
export interface Facts {
  processes: readonly Process[];
  runs: readonly Run[];
  findings: readonly Finding[];
}

export interface Filter {
  /** Words that all have to be in a command line, a name, a pid or a finding. */
  text: string;
  onlyFindings: boolean;
  onlyLive: boolean;
}

export const NO_FILTER: Filter = { text: "", onlyFindings: false, onlyLive: false };

export function isFiltering(filter: Filter): boolean {
  return filter.text.trim() !== "" || filter.onlyFindings || filter.onlyLive;
}

/** With a process stay those above it, and with the name of a run all of its processes. */
export function filtered(facts: Facts, filter: Filter): Facts {
  if (!isFiltering(filter)) {
    return facts;
  }
  const words = filter.text.toLowerCase().split(/\s+/).filter((word) => word);
  const says = (...texts: (string | null)[]) => {
    const text = texts.join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  };
  const isNamed = (run: Run) => says(run.label, run.source, run.comm, ...run.argv, `${run.pid}`);
  const named = new Set(facts.runs.filter(isNamed).map(keyText));
  const isMeant = (process: Process) =>
    (!filter.onlyFindings || process.finding_ids.length > 0) &&
    (!filter.onlyLive || !process.has_ended) &&
    (named.has(process.run ? keyText(process.run) : "") ||
      says(process.comm, ...process.argv, `${process.pid}`));

  const byKey = new Map(facts.processes.map((process) => [keyText(process), process]));
  const kept = new Set<Process>();
  for (const process of facts.processes.filter(isMeant)) {
    let each: Process | undefined = process;
    while (each && !kept.has(each)) {
      kept.add(each);
      each = each.parent ? byKey.get(keyText(each.parent)) : undefined;
    }
  }
  const going = new Set([...kept].map((process) => (process.run ? keyText(process.run) : "")));
  return {
    processes: facts.processes.filter((process) => kept.has(process)),
    runs: facts.runs.filter(
      (run) =>
        going.has(keyText(run)) ||
        (!(filter.onlyLive && run.n_alive === 0) &&
          !(filter.onlyFindings && run.findings.length === 0) &&
          (named.has(keyText(run)) || run.findings.some((finding) => says(finding.summary)))),
    ),
    findings: facts.findings.filter(
      (finding) =>
        !(filter.onlyLive && finding.state !== "raised") &&
        says(
          finding.kind.replaceAll("_", " "),
          finding.explanation?.summary ?? null,
          finding.test,
          finding.location?.path ?? null,
          finding.process.comm,
          ...finding.process.argv,
          `${finding.process.pid}`,
        ),
    ),
  };
}

/** What stands above the tree, so that nobody wonders where the rest is. */
export function filterWords(filter: Filter, shown: Facts, all: Facts): string | undefined {
  if (!isFiltering(filter)) {
    return undefined;
  }
  const wanted = [
    ...(filter.text.trim() ? [`“${visible(filter.text.trim(), 60)}”`] : []),
    ...(filter.onlyFindings ? ["with findings"] : []),
    ...(filter.onlyLive ? ["live"] : []),
  ];
  const count = `${shown.processes.length} of ${plural(all.processes.length, "process", "processes")}`;
  return `Only ${wanted.join(", ")}: ${count}`;
}
