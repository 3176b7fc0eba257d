// Which process a shell has put into the foreground of its terminal, from /proc/PID/stat.

/** The leader of the foreground job, or null while the shell itself has the terminal. */
export function foregroundJob(stat: string): number | null {
  // The name, in parentheses, may have spaces and parentheses in it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const group = Number(fields[2]);
  const foreground = Number(fields[5]);
  return Number.isInteger(foreground) && foreground > 1 && foreground !== group ? foreground : null;
}
