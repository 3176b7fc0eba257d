// Settings with some of them replaced, by their dotted names, however they were written.

type Settings = Record<string, unknown>;

export function replaced(settings: Settings, values: ReadonlyMap<string, unknown>): Settings {
  const copy = structuredClone(settings);
  for (const [name, value] of values) {
    const steps = name.split(".");
    const last = steps.pop() ?? name;
    let inner = copy;
    for (const step of steps) {
      inner = inner[step] = asObject(inner[step]);
    }
    inner[last] = value ?? null;
  }
  return copy;
}

function asObject(value: unknown): Settings {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Settings) : {};
}
