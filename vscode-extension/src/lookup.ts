// Which command starts the server: settings first, then what came with the extension, then the
// environment. Knows nothing of VS Code.

import { accessSync, constants, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

export interface Command {
  command: string;
  args: string[];
  /** Why this one, for the log and the status report. */
  origin: string;
}

export interface Places {
  /** linnix.path and linnix.interpreter; empty where they are not set. */
  path: readonly string[];
  interpreter: readonly string[];
  extensionFolder: string;
  /** Empty unless the workspace is trusted: what lies in it may be anything. */
  workspaceFolders: readonly string[];
  environment: Readonly<Record<string, string | undefined>>;
}

const NAME = "linnix-ls";

/** The command, or null if the server is in none of the places. What a setting names is not
 * replaced by anything else, so that a wrong one is seen. */
export function findServer(places: Places, isProgram = isExecutable): Command | null {
  const [configured, ...args] = places.path.map(withHome);
  if (configured) {
    return { command: configured, args, origin: "linnix.path" };
  }
  const [interpreter, ...options] = places.interpreter.map(withHome);
  if (interpreter) {
    return {
      command: interpreter,
      args: [...options, "-m", "linnix_ls.cli.main"],
      origin: "linnix.interpreter",
    };
  }
  for (const [origin, candidate] of candidates(places)) {
    if (isProgram(candidate)) {
      return { command: candidate, args: [], origin };
    }
  }
  return null;
}

function* candidates(places: Places): Generator<[string, string]> {
  yield ["bundled", join(places.extensionFolder, "bundled", "bin", NAME)];
  for (const folder of places.workspaceFolders) {
    yield [`environment of ${folder}`, join(folder, ".venv", "bin", NAME)];
  }
  const active = places.environment.VIRTUAL_ENV;
  if (active) {
    yield ["VIRTUAL_ENV", join(active, "bin", NAME)];
  }
  for (const folder of (places.environment.PATH ?? "").split(delimiter)) {
    // A relative entry of PATH would mean whatever folder is the current one.
    if (folder.startsWith("/")) {
      yield ["PATH", join(folder, NAME)];
    }
  }
  yield ["home", join(places.environment.HOME ?? homedir(), ".local", "bin", NAME)];
}

function withHome(word: string): string {
  return word.startsWith("~/") ? join(homedir(), word.slice(2)) : word;
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
