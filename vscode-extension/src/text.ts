// Words and numbers for people. What processes are called and print is foreign: it is made
// visible before it is shown.

/** One line, with control and direction characters replaced, at most `limit` characters. */
export function visible(text: string, limit = 200): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\uFFFD");
  return line.length <= limit ? line : `${line.slice(0, limit - 1)}…`;
}

/** Foreign text as a part of Markdown that means nothing in it. */
export function markdown(text: string, limit = 2000): string {
  return visible(text, limit).replace(/[\\`*_{}[\]()#+\-.!|<>~&:@$]/g, "\\$&");
}

/** For a message box, in which VS Code makes links of [label](target), and runs commands by them. */
export function message(text: string): string {
  return visible(text, 1000).replaceAll("](", "] (");
}

/** A command line that a POSIX shell reads as exactly these words. */
export function commandLine(argv: readonly string[]): string {
  return argv.map(shellWord).join(" ");
}

function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) {
    return word;
  }
  // Control characters would do something to the terminal that they are pasted into.
  if (/[\p{Cc}\p{Cf}]/u.test(word)) {
    const escaped = [...new TextEncoder().encode(word)].map((byte) => {
      const character = String.fromCharCode(byte);
      return /[\w@%+=:,./ -]/.test(character) ? character : `\\x${byte.toString(16).padStart(2, "0")}`;
    });
    return `$'${escaped.join("")}'`;
  }
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** What to type, of what the server says helps; null where that is no command. */
export function fixCommand(fix: string): string | null {
  const [, command] = /^(sudo [^\p{Cc}\p{Cf}]*?)(?: {2,}\([^()]*\))?$/u.exec(fix) ?? [];
  return command ?? null;
}

export function duration(seconds: number): string {
  if (seconds < 60) {
    return `${Math.max(0, Math.floor(seconds))} s`;
  }
  if (seconds < 3600) {
    return `${Math.floor(seconds / 60)} min`;
  }
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function cpu(cores: number): string {
  return `${Math.round(cores * 100)} % CPU`;
}

export function bytes(count: number): string {
  const megabytes = count / (1 << 20);
  return megabytes < 1000 ? `${Math.round(megabytes)} MB` : `${(megabytes / 1024).toFixed(1)} GB`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** What went wrong, in one line, whatever was thrown. */
export function reasonOf(error: unknown): string {
  return visible(error instanceof Error ? error.message : String(error), 500);
}

export function pushTo<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list) {
    list.push(value);
  } else {
    lists.set(key, [value]);
  }
}
