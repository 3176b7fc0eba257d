// What a table of events, or of a map, has in its columns: the fields of what is in it, those of
// structs within structs by themselves. Knows no DOM.

import { visible } from "../../src/text";
import type { Plain } from "./data";
import { isObject } from "./parse";

const MAX_CELL = 300;
const MAX_NAME = 80;
/** The time has a column of its own, and what identifies or pads says nothing to a reader. */
const LEFT_OUT = /(^|\.)(ktime|ktime_ns|\w*boottime_ns|_*pad\d*)$/;

export interface Column {
  /** Where the field is: `header.tgid`. */
  path: string;
  /** To be shown, as short as it is clear: `tgid`. */
  name: string;
}

/** Leaves of a value by their path; the value itself has the path "". */
export function leaves(value: Plain, path = ""): [string, Plain][] {
  return isObject(value)
    ? Object.entries(value).flatMap(([name, each]) => leaves(each, path === "" ? name : `${path}.${name}`))
    : [[path, value]];
}

/**
 * Of values with different fields those that most have. Names, which people read, are always among
 * them, and come first.
 *
 * @param paths how often each field has come, in the order of the source
 * @param texts those of them that hold text
 */
export function columnsOf(
  paths: ReadonlyMap<string, number>,
  most: number,
  texts: ReadonlySet<string> = new Set(),
): Column[] {
  const shown = [...paths].filter(([path]) => !LEFT_OUT.test(path));
  const chosen = new Set(
    [...shown]
      .sort(([p, a], [q, b]) => Number(texts.has(q)) - Number(texts.has(p)) || b - a)
      .slice(0, most)
      .map(([path]) => path),
  );
  const ends = new Map<string, number>();
  const endOf = (path: string) => path.slice(path.lastIndexOf(".") + 1);
  for (const path of chosen) {
    ends.set(endOf(path), (ends.get(endOf(path)) ?? 0) + 1);
  }
  return shown
    .filter(([path]) => chosen.has(path))
    .sort(([a], [b]) => Number(texts.has(b)) - Number(texts.has(a)))
    .map(([path]) => ({ path, name: visible(ends.get(endOf(path)) === 1 ? endOf(path) : path, MAX_NAME) }));
}

/** One line of text for a value, however deep it is. */
export function cell(value: Plain | undefined): string {
  switch (typeof value) {
    case "undefined":
      return "";
    case "string":
      return visible(value, MAX_CELL);
    case "object":
      return value === null ? "" : visible(JSON.stringify(value), MAX_CELL);
    default:
      return String(value);
  }
}
