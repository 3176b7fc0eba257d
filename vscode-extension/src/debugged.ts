// Which process is debugged, from what a debug adapter tells. Knows nothing of VS Code.

interface ProcessEvent {
  type?: unknown;
  event?: unknown;
  body?: { systemProcessId?: unknown; isLocalProcess?: unknown };
}

/** By the adapter's `process` event; js-debug sends none, and has the pid in the session's name. */
export function debuggedPid(
  message: unknown,
  session: { name: string; type: string },
): number | null {
  const { type, event, body } = (message ?? {}) as ProcessEvent;
  if (type !== "event") {
    return null;
  }
  if (event === "process") {
    const pid = body?.systemProcessId;
    return body?.isLocalProcess !== false && isPid(pid) ? pid : null;
  }
  // "app.js [4711] « what the user calls it"
  const pid = Number(/^[^«]* \[(\d{1,10})\](?: «|$)/.exec(session.name)?.[1]);
  return session.type.includes("node") && isPid(pid) ? pid : null;
}

function isPid(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 1;
}
