// How much memory the parts of linnix-ls have, from /proc. Knows nothing of VS Code.

import { readdir, readFile } from "node:fs/promises";

/** Resident memory, or null where it cannot be read. */
export async function memoryMb(pid: number | undefined): Promise<number | null> {
  try {
    const kilobytes = /^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1];
    return kilobytes ? Math.round(Number(kilobytes) / 1024) : null;
  } catch {
    return null;
  }
}

/** Of the privileged part, whoever has started it: the agent, and what holds the probes. */
export async function agentPids(folder = "/proc"): Promise<number[]> {
  const names = (await readdir(folder)).filter((name) => /^\d+$/.test(name));
  const pids = await Promise.all(
    names.map(async (name) => {
      try {
        const argv = (await readFile(`${folder}/${name}/cmdline`, "utf8")).split("\0");
        return isAgent(argv) ? [Number(name)] : [];
      } catch {
        return []; // it has ended meanwhile, or is somebody else's
      }
    }),
  );
  return pids.flat();
}

function isAgent(argv: readonly string[]): boolean {
  const at = argv.findIndex((word) => /(^|\/)linnix-ls$|^linnix_ls\.cli\.main$|\/linnix_ls\/cli\/main\.py$/.test(word));
  return (at >= 0 && argv[at + 1] === "agent") || argv.includes("linnix_ls.tracer.bcc_worker");
}

export async function memoryReport(serverPid: number | undefined): Promise<string> {
  const agents = await Promise.all((await agentPids()).map(memoryMb));
  const known = agents.filter((megabytes) => megabytes !== null);
  const host = process.memoryUsage();
  const megabytes = (count: number | null) => (count === null ? "not running" : `${count} MB`);
  const shared = known.length > 0 ? `${known.reduce((sum, each) => sum + each)} MB` : "none seen";
  return [
    `server ${megabytes(await memoryMb(serverPid))}`,
    `agent, for all editors of this machine ${shared}`,
    `extension host, with all its extensions ${Math.round(host.rss / (1 << 20))} MB ` +
      `(heap ${Math.round(host.heapUsed / (1 << 20))} MB)`,
  ].join("; ");
}
