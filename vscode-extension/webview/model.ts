// The run as far as it has been told: updates bring what has changed. Knows no DOM.

import type { Curves, Finding, Run, Span } from "./data";
import { parseAnswer } from "./parse";

const NO_CURVES: Curves = { at_s: [], cores: [], n_processes: [], rss_bytes: [] };

export class RunModel {
  run: Run | null = null;
  readonly spans = new Map<string, Span>();
  curves = NO_CURVES;
  findings: Finding[] = [];
  nLeftOut = 0;

  /** Returns the findings that are new in it; null where the answer is none. */
  apply(answer: unknown, isWhole: boolean): Finding[] | null {
    const parsed = parseAnswer(answer);
    if (!parsed) {
      return null;
    }
    if (isWhole) {
      this.spans.clear();
    }
    for (const span of parsed.spans) {
      this.spans.set(span.id, span);
    }
    const known = new Set(this.findings.map((finding) => finding.id));
    this.run = parsed.run;
    this.curves = parsed.curves;
    this.nLeftOut = parsed.n_left_out;
    this.findings = inOrder(parsed.findings);
    return this.findings.filter((finding) => !known.has(finding.id));
  }
}

const STATES: Finding["state"][] = ["raised", "ended", "cleared"];

/** What runs away now comes first, then by the time it began. */
function inOrder(findings: readonly Finding[]): Finding[] {
  return [...findings].sort(
    (a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state) || (a.onset_s ?? 0) - (b.onset_s ?? 0),
  );
}
