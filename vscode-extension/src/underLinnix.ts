// Command lines of tasks, put behind `linnix-ls run --`. Knows nothing of VS Code.

import type { Command } from "./lookup";
import { commandLine } from "./text";

/** @param command its words, or one line for a shell */
export function underLinnix(
  server: Command,
  command: string | readonly string[],
  options: readonly string[] = [],
  shell = "/bin/sh",
): string[] {
  const words = typeof command === "string" ? [shell, "-c", command] : command;
  return [server.command, ...server.args, "run", ...options, "--", ...words];
}

interface Quoted {
  value: string;
}

/** What a shell is given for a program and its arguments; one alone is a line already. */
export function shellLine(command: string | Quoted, args: readonly (string | Quoted)[]): string {
  if (typeof command === "string" && args.length === 0) {
    return command;
  }
  return commandLine([command, ...args].map((word) => (typeof word === "string" ? word : word.value)));
}
