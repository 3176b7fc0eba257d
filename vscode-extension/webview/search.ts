// Which processes a search is after. Knows no DOM.

import type { Span } from "./data";

/** All words of it are in the command line, or one is the pid. Null where nothing is searched. */
export function found(spans: Iterable<Span>, query: string): Span[] | null {
  const words = query.toLowerCase().split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) {
    return null;
  }
  const matching: Span[] = [];
  for (const span of spans) {
    const said = `${span.pid}\n${span.comm}\n${span.argv.join(" ")}`.toLowerCase();
    if (words.every((word) => said.includes(word))) {
      matching.push(span);
    }
  }
  return matching.sort((a, b) => a.began_s - b.began_s || a.pid - b.pid);
}
