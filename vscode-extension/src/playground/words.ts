// What is asked for about probes and lessons, and what came of it. Knows nothing of VS Code.

import { asFields, isWhole, list, text, textOrNull } from "../../webview/parse";
import type { Probe } from "../../webview/probes/data";
import { visible } from "../text";

/** Of linnix-ls's own probes those parts that are programs. */
export const PARTS = [
  { name: "lifecycle.bpf.c", sees: "each process that begins, runs another program, or ends" },
  { name: "syscalls.bpf.c", sees: "the system calls of what is suspected" },
  { name: "cpu_sampler.bpf.c", sees: "what is on a CPU" },
] as const;

export function isProbeSource(path: string): boolean {
  return path.endsWith(".bpf.c");
}

/** Which slot of a histogram has 0 and 1, by the function that the source counts slots with. */
export function firstSlot(source: string): number | null {
  if (/\bbpf_log2l\s*\(/.test(source)) {
    return 1; // BCC's adds one
  }
  return /\blog2l?(_\w+)?\s*\(|\bbpf_log2\s*\(/.test(source) ? 0 : null;
}

/**
 * The one that is of a document, that has the id, or, where none is asked for, the first of the
 * user's own making.
 *
 * @param same whether two URIs are of one file
 */
export function chosenProbe(
  probes: readonly Probe[],
  wanted: { uri: string | null; id: string | null },
  same: (one: string, other: string) => boolean,
): Probe | null {
  const { uri, id } = wanted;
  if (uri !== null) {
    return (
      probes.find((each) => each.uri !== null && same(each.uri, uri)) ??
      probes.find((each) => each.files.some((file) => same(file.uri, uri))) ??
      null
    );
  }
  if (id !== null) {
    return probes.find((each) => each.id === id) ?? null;
  }
  return probes.find((each) => !each.is_own) ?? probes[0] ?? null;
}

/** What a deed's answer says: to be told in passing, or as something that went wrong. */
export function outcomeOf(answer: unknown): { message: string; fix: string | null; isProblem: boolean } {
  const fields = asFields(answer);
  const outcome = text(fields?.outcome);
  return {
    message: visible(text(fields?.message) || outcome || "the server has not answered", 600),
    fix: textOrNull(fields?.fix),
    isProblem: outcome !== "running" && outcome !== "ended" && outcome !== "unchanged",
  };
}

export interface Lesson {
  number: number;
  title: string;
  summary: string;
  /** "3 of 4 checks". */
  progress: string;
  icon: string;
}

export function lessonsOf(answer: unknown): Lesson[] {
  return list(asFields(answer)?.lessons, 100).flatMap((each) => {
    const fields = asFields(each);
    if (!fields || !isWhole(fields.number)) {
      return [];
    }
    const state = text(fields.state);
    const canCheck = textOrNull(fields.why_not_recorded) === null || textOrNull(asFields(answer)?.problem) === null;
    return [
      {
        number: fields.number,
        title: visible(text(fields.title), 100),
        summary: visible(text(fields.summary), 200),
        progress: [
          state === "passed"
            ? "done"
            : state === "begun"
              ? `${isWhole(fields.n_passed) ? fields.n_passed : 0} of ${isWhole(fields.n_checks) ? fields.n_checks : 0} checks`
              : "",
          canCheck ? "" : "cannot be checked without the right to load probes",
        ]
          .filter((words) => words !== "")
          .join(", "),
        icon: state === "passed" ? "pass" : state === "begun" ? "circle-large-filled" : "circle-large-outline",
      },
    ];
  });
}
