// Whether a test that ran away does so again, from what `linnix-ls run --json` has written. Knows
// nothing of VS Code.

import { visible } from "./text";

export interface Verdict {
  result: "passed" | "failed" | "errored";
  problems: { text: string; path: string | null; line: number }[];
}

interface Document {
  findings: {
    kind: string;
    location: { path: string; line: number } | null;
    explanation: { summary: string; why: string } | null;
  }[];
}

const NOTHING: Document = { findings: [] };

/**
 * @param document null if there is none
 * @throws if it is none of the kind
 */
export function verdict(document: string | null, exitCode: number | null): Verdict {
  const { findings } = document === null ? NOTHING : (JSON.parse(document) as Document);
  if (findings.length > 0) {
    return {
      result: "failed",
      problems: findings.map(({ kind, location, explanation }) => ({
        text: visible(explanation ? `${explanation.summary} ${explanation.why}` : kind, 1000),
        path: location?.path ?? null,
        line: location?.line ?? 1,
      })),
    };
  }
  if (exitCode === 0) {
    return { result: "passed", problems: [] };
  }
  const text = `Nothing ran away; ended ${exitCode === null ? "by a signal" : `with ${exitCode}`}.`;
  return { result: document === null ? "errored" : "failed", problems: [{ text, path: null, line: 1 }] };
}
