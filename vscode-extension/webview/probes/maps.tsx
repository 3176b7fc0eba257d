// The maps: histograms as bars with their ranges, the others as tables of their first entries.

import { useState } from "preact/hooks";
import { visible } from "../../src/text";
import { cell, columnsOf, leaves } from "./columns";
import type { Plain, ProbeMap } from "./data";
import { histograms, type Histogram } from "./histogram";
import type { ProbeState } from "./state";
import { Place, type Act } from "./view";
import { count, mapTitle } from "./words";

const FIRST_ROWS = 12;
const MAX_COLUMNS = 6;
const MAX_CPUS = 8;

export function Maps({ state, act }: { state: ProbeState; act: Act }) {
  const canOpen = state.probe?.uri !== null;
  // What holds something first: that is what there is to see.
  const maps = state.maps.filter(({ type }) => !isOfEvents(type)).sort((a, b) => rank(b) - rank(a));
  return (
    <>
      {maps.map((map) => (
        <section key={map.name} class="map" aria-label={`Map ${visible(map.name)}`}>
          <h3>
            <Place line={canOpen ? map.line : null} name={visible(map.name)} act={act} />{" "}
            <span class="muted">{mapTitle(map)}</span>
          </h3>
          {map.is_histogram ? (
            histograms(map, state.first_slot).map((each) => <Bars key={each.of} histogram={each} />)
          ) : (
            <Entries map={map} />
          )}
        </section>
      ))}
    </>
  );
}

/** What goes through it is shown as events. */
function isOfEvents(type: string): boolean {
  return /ring buffer|perf buffer/.test(type);
}

function rank(map: ProbeMap): number {
  const isBlank = map.entries.every(([, value]) => leaves(value).every(([, each]) => isNothing(each)));
  return isBlank ? 0 : map.is_histogram ? 2 : 1;
}

/** Zero, no text, or a list of that. */
function isNothing(value: Plain): boolean {
  return Array.isArray(value) ? value.every(isNothing) : cell(value) === "" || cell(value) === "0";
}

function Bars({ histogram }: { histogram: Histogram }) {
  return (
    <table class="histogram">
      {histogram.of !== "" && <caption>{histogram.of}</caption>}
      <thead class="for-readers">
        <tr>
          <th scope="col">from – to</th>
          <th scope="col">how often</th>
        </tr>
      </thead>
      <tbody>
        {histogram.bars.map(({ label, n, share }) => (
          <tr key={label}>
            <th scope="row">{label}</th>
            <td>{count(n)}</td>
            <td class="bar" aria-hidden="true">
              <span style={{ width: `${share * 100}%` }} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Entries({ map }: { map: ProbeMap }) {
  const [isWhole, setWhole] = useState(false);
  if (map.entries.length === 0) {
    return <p class="muted">empty</p>;
  }
  const isList = map.type.includes("array");
  const rows = map.entries.map(([key, value], index) => ({
    keys: new Map(leaves(key)),
    values: new Map(leaves(value)),
    size: sizeOf(value),
    cpus: map.per_cpu[index] ?? [],
    id: JSON.stringify(key),
  }));
  if (!isList) {
    rows.sort((a, b) => b.size - a.size);
  }
  const keys = columnsOf(pathsOf(rows.map((each) => each.keys)), MAX_COLUMNS);
  const values = columnsOf(pathsOf(rows.map((each) => each.values)), MAX_COLUMNS);
  const hasCpus = rows.some(({ cpus }) => cpus.length > 0 && cpus.length <= MAX_CPUS && typeof cpus[0] !== "object");
  const shown = isWhole ? rows : rows.slice(0, FIRST_ROWS);
  return (
    <>
      <div class="scrolled">
        <table class="entries">
          <thead>
            <tr>
              {keys.map(({ path, name }) => (
                <th key={path} scope="col">
                  {path === "" ? "key" : name}
                </th>
              ))}
              {values.map(({ path, name }) => (
                <th key={path} scope="col">
                  {path === "" ? "value" : name}
                </th>
              ))}
              {hasCpus && <th scope="col">by CPU</th>}
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <tr key={row.id}>
                {keys.map(({ path }) => (
                  <th key={path} scope="row">
                    {cell(row.keys.get(path))}
                  </th>
                ))}
                {values.map(({ path }) => (
                  <td key={path}>{shownValue(row.values.get(path))}</td>
                ))}
                {hasCpus && <td class="muted">{row.cpus.map(cell).join(" + ")}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > shown.length && (
        <button
          type="button"
          class="link"
          onClick={() => {
            setWhole(true);
          }}
        >
          {`Show ${rows.length}`}
          {map.n_entries > rows.length ? ` of ${count(map.n_entries)}` : ""}
        </button>
      )}
    </>
  );
}

function shownValue(value: Plain | undefined): string {
  return typeof value === "number" ? value.toLocaleString("en-US") : cell(value);
}

/** By which entries are ordered: the largest number first. */
function sizeOf(value: Plain): number {
  const first = leaves(value).find(([, each]) => typeof each === "number" || /^\d+$/.test(cell(each)));
  return first ? Number(first[1]) : 0;
}

function pathsOf(all: readonly ReadonlyMap<string, Plain>[]): Map<string, number> {
  const paths = new Map<string, number>();
  for (const each of all) {
    for (const path of each.keys()) {
      paths.set(path, (paths.get(path) ?? 0) + 1);
    }
  }
  return paths;
}
