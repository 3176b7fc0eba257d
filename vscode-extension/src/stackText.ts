// The stacks of a process as plain text, and where in it places in files are. Knows nothing of
// VS Code.

import type { Process, Stacks } from "./protocol";
import { plural, visible } from "./text";

/** A place in a file, and where in the text it stands. */
export interface Link {
  textLine: number;
  start: number;
  end: number;
  /** As the server writes it; null where it only has the path. */
  uri: string | null;
  path: string;
  line: number;
}

/** Plain text, in which foreign names can mean nothing. Innermost frames are first. */
export function stackText(
  process: Pick<Process, "pid"> & { name: string },
  stacks: Stacks,
  at: string,
): { text: string; links: Link[] } {
  const lines = [
    `${visible(process.name, 200)} (pid ${process.pid})`,
    `${plural(stacks.threads.length, "thread")} at ${at}, read in ${stacks.took_s.toFixed(2)} s; ` +
      "lines of your own code are marked with >",
  ];
  if (stacks.problem) {
    lines.push("", visible(stacks.problem, 500));
  }
  const links: Link[] = [];
  for (const { tid, is_running, frames } of stacks.threads) {
    const doing = is_running === null ? "" : is_running ? ", on a CPU" : ", waiting";
    lines.push("", `Thread ${tid}${doing}`);
    for (const { function: name, path, uri, line, is_user_code } of frames) {
      const before = `  ${is_user_code ? ">" : " "} ${visible(name ?? "?", 200)}`;
      if (path === null) {
        lines.push(before);
        continue;
      }
      const place = visible(path, 500) + (line === null ? "" : `:${line}`);
      const text = `${before}  ${place}`;
      if (path.startsWith("/")) {
        links.push({
          textLine: lines.length,
          start: text.length - place.length,
          end: text.length,
          uri,
          path,
          line: line ?? 1,
        });
      }
      lines.push(text);
    }
    if (frames.length === 0) {
      lines.push("    no stack could be read");
    }
  }
  return { text: lines.join("\n") + "\n", links };
}
