// The processes as a tree of rows, for those who do not see the chart or want to read: the
// pattern "treegrid" of the ARIA practices. Only rows in view are in the page.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Finding } from "./data";
import { rows, type Row } from "./rows";
import type { DetailsState } from "./state";
import { barName, endOf, moment, seconds, shortCommand } from "./words";

const ROW_PX = 22;
const BEYOND = 8;
const COLUMNS = ["Process", "Pid", "Began", "Lived", "CPU time", "State"];

export function Table({ state, revision }: { state: DetailsState; revision: number }) {
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(400);
  const isFocused = useRef(false);
  const listed = rows(state.layout, state.closed);
  const selected = Math.max(0, indexOf(listed, state));

  useEffect(() => {
    const box = scroller.current;
    const size = new ResizeObserver(() => {
      setHeight(box?.clientHeight ?? 400);
    });
    if (box) {
      size.observe(box);
    }
    return () => {
      size.disconnect();
    };
  }, []);
  // What was just chosen is brought into view, and is where the keyboard is.
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box) {
      const from = selected * ROW_PX;
      if (from < box.scrollTop || from + 2 * ROW_PX > box.scrollTop + box.clientHeight) {
        box.scrollTop = Math.max(0, from - box.clientHeight / 3);
        setTop(box.scrollTop);
      }
    }
  }, [state.selected, state.nReveals]);
  useLayoutEffect(() => {
    if (isFocused.current) {
      scroller.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus({ preventScroll: true });
    }
  }, [state.selected, top, revision]);

  const first = Math.max(0, Math.floor(top / ROW_PX) - BEYOND);
  const last = Math.min(listed.length, Math.ceil((top + height) / ROW_PX) + BEYOND);
  const shown = listed.slice(first, last).map((row, index) => ({ row, index: first + index }));
  // The keyboard's row stays in the page when it is scrolled away: focus would be lost with it.
  const current = listed[selected];
  if (current && (selected < first || selected >= last)) {
    shown.push({ row: current, index: selected });
  }
  const sought = state.found && new Set(state.found);
  return (
    <div
      class="table"
      ref={scroller}
      role="treegrid"
      aria-label="Processes"
      aria-rowcount={listed.length + 1}
      aria-colcount={COLUMNS.length}
      onScroll={(event) => {
        setTop(event.currentTarget.scrollTop);
      }}
      onFocusIn={() => {
        isFocused.current = true;
      }}
      onFocusOut={(event) => {
        isFocused.current = event.currentTarget.contains(event.relatedTarget as Node | null);
      }}
      onKeyDown={(event) => {
        if (key(event.key, listed, selected, state, Math.floor(height / ROW_PX) - 1)) {
          event.preventDefault();
        }
      }}
    >
      <div class="row head" role="row" aria-rowindex={1}>
        {COLUMNS.map((name) => (
          <span key={name} role="columnheader">
            {name}
          </span>
        ))}
      </div>
      <div class="rows" role="rowgroup" style={{ height: `${listed.length * ROW_PX}px` }}>
        {shown.map(({ row, index }) => (
          <RowView
            key={row.id}
            row={row}
            index={index}
            state={state}
            isSelected={index === selected}
            isSought={sought !== null && row.bars.some((bar) => bar.members.some((each) => sought.has(each.id)))}
          />
        ))}
      </div>
    </div>
  );
}

function RowView(props: {
  row: Row;
  index: number;
  state: DetailsState;
  isSelected: boolean;
  isSought: boolean;
}) {
  const { row, index, state, isSelected, isSought } = props;
  const members = row.bars.flatMap((bar) => bar.members);
  const [first] = members;
  const now = state.now_s;
  if (!first) {
    return null;
  }
  const isOne = row.kind === "process";
  const nAlive = members.filter((each) => each.ended_s === null).length;
  const began = members.reduce((least, each) => Math.min(least, each.began_s), Infinity);
  const end = members.reduce((most, each) => Math.max(most, each.ended_s ?? now), 0);
  const used = members.reduce((sum, each) => sum + each.cpu_s, 0);
  const finding = isOne ? findingOf(first.finding_ids, state.model.findings) : undefined;
  const classes = ["row", isSelected ? "selected" : "", isSought ? "sought" : "", finding ? `guilty ${finding.severity}` : ""];
  return (
    <div
      class={classes.join(" ")}
      role="row"
      tabIndex={isSelected ? 0 : -1}
      style={{ transform: `translateY(${index * ROW_PX}px)` }}
      aria-rowindex={index + 2}
      aria-level={row.level}
      aria-posinset={row.position}
      aria-setsize={row.nSiblings}
      aria-selected={isSelected}
      {...(row.isOpen === null ? {} : { "aria-expanded": row.isOpen })}
      onClick={() => {
        state.select(row.id);
      }}
      onDblClick={() => {
        if (row.isOpen !== null) {
          setOpen(row, !row.isOpen, state);
        }
      }}
    >
      <span role="gridcell" class="name" style={{ paddingInlineStart: `${Math.min(row.level - 1, 30) * 12}px` }}>
        <span
          class="twisty"
          aria-hidden="true"
          onClick={(event) => {
            event.stopPropagation();
            if (row.isOpen !== null) {
              setOpen(row, !row.isOpen, state);
            }
          }}
        >
          {row.isOpen === null ? "" : row.isOpen ? "⌄" : "›"}
        </span>
        {isOne ? shortCommand(first) : barName(row.bars)}
      </span>
      <span role="gridcell">{isOne ? first.pid : ""}</span>
      <span role="gridcell">{moment(began, 0.01)}</span>
      <span role="gridcell">{seconds(end - began)}</span>
      <span role="gridcell">{seconds(used)}</span>
      <span role="gridcell">
        {finding ? "has a finding, " : ""}
        {isOne ? (first.ended_s === null ? "running" : endOf(first)) : `${nAlive} running`}
      </span>
    </div>
  );
}

function findingOf(ids: readonly string[], findings: readonly Finding[]): Finding | undefined {
  return findings.find((each) => ids.includes(each.id));
}

/** The row of what is selected, or of the fold that it is in. */
function indexOf(listed: readonly Row[], state: DetailsState): number {
  const exact = listed.findIndex((row) => row.id === state.selected);
  const bar = state.bar;
  return exact >= 0 || !bar ? exact : listed.findIndex((row) => row.bars.includes(bar));
}

function setOpen(row: Row, isOpen: boolean, state: DetailsState): void {
  if (row.kind === "process") {
    state.setClosed(row.id, !isOpen);
  } else {
    state.setOpen(row.id, isOpen);
  }
}

function key(name: string, listed: readonly Row[], at: number, state: DetailsState, page: number): boolean {
  const go = (index: number) => {
    const row = listed[Math.max(0, Math.min(index, listed.length - 1))];
    if (row) {
      state.select(row.id);
    }
    return true;
  };
  const row = listed[at];
  switch (name) {
    case "ArrowDown":
      return go(at + 1);
    case "ArrowUp":
      return go(at - 1);
    case "Home":
      return go(0);
    case "End":
      return go(listed.length - 1);
    case "PageDown":
      return go(at + page);
    case "PageUp":
      return go(at - page);
    case "ArrowRight":
      if (row?.isOpen === false) {
        setOpen(row, true, state);
        return true;
      }
      return row?.isOpen ? go(at + 1) : true;
    case "ArrowLeft": {
      if (row?.isOpen) {
        setOpen(row, false, state);
        return true;
      }
      for (let index = at - 1; row && index >= 0; index -= 1) {
        if ((listed[index]?.level ?? 0) < row.level) {
          return go(index);
        }
      }
      return true;
    }
    case "Enter":
      if (row?.isOpen != null) {
        setOpen(row, !row.isOpen, state);
      }
      return true;
    default:
      return false;
  }
}
