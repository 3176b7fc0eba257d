// An explanation as a Markdown document. Knows nothing of VS Code.

import type { Explained, Finding } from "./protocol";
import { commandLine, markdown } from "./text";

export function explanationText(finding: Finding, explained: Explained | null): string {
  const words = explained?.explanation ?? finding.explanation;
  const lines = [`# ${markdown(words?.summary ?? `${finding.process.comm}: ${finding.kind}`)}`];
  const place = finding.location;
  if (place) {
    lines.push(`${markdown(place.path)}, line ${place.line}`);
  }
  if (words) {
    lines.push(markdown(words.why));
    if (words.fix.length > 0) {
      lines.push("## What to change", words.fix.map((step) => `- ${markdown(step)}`).join("\n"));
    }
    if (words.otherwise) {
      lines.push(markdown(words.otherwise));
    }
    if (words.note) {
      lines.push(`## Note by ${markdown(words.note.model)}`, markdown(words.note.text));
    }
  }
  if (explained?.note_problem) {
    lines.push(`*${markdown(explained.note_problem)}*`);
  }
  if (finding.evidence.length > 0) {
    lines.push(
      "## Evidence",
      ["| measured | value | source |", "|---|---|---|", ...finding.evidence.map(evidenceRow)].join("\n"),
    );
  }
  if (finding.test) {
    lines.push("## Test", markdown(finding.test));
  }
  lines.push(
    "## Processes",
    [finding.process, ...finding.ancestry]
      .map((each) => `- ${markdown(`${each.comm} (pid ${each.pid})`)}: ${markdown(commandLine(each.argv), 500)}`)
      .join("\n"),
  );
  return lines.join("\n\n") + "\n";
}

function evidenceRow(each: Finding["evidence"][number]): string {
  const value = `${each.value} ${each.unit}`.trim();
  return `| ${markdown(each.name.replaceAll("_", " "))} | ${markdown(value)} | ${markdown(each.source)} |`;
}
