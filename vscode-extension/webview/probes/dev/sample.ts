// Probes as linnix/probe tells of them, made up: for the page, its tests and its measurements.
// Nothing is left to chance, so that pictures can be compared.

type Fields = Record<string, unknown>;

export interface Sample {
  /** linnix/probe's answer after so many seconds, with the events after `since_event`. */
  answer(at_s: number, since_event?: number): Fields;
}

const NAMES = ["sh", "git", "cc1", "python3", "sed", "node", "make", "ld"];
const MAX_KEPT = 1000;

/** linnix-ls's own probes, edited once. */
export function own(per_s = 12): Sample {
  return {
    answer: (at_s, since_event = 0) => {
      const generation = at_s < 60 ? 1 : at_s < 140 ? 2 : 3;
      const n_events = Math.floor(at_s * per_s);
      return {
        summary: summary({
          id: "own",
          name: "linnix-ls's own probes",
          is_own: true,
          files: [
            { name: "lifecycle.bpf.c", uri: "file:///home/me/.config/linnix-ls/bpf/lifecycle.bpf.c", is_edited: true, is_outdated: false },
          ],
          generation,
          programs: [
            program("tracepoint__sched__sched_process_fork", "tracepoint sched:sched_process_fork", 42, per_s * 1.1, 640),
            program("tracepoint__sched__sched_process_exec", "tracepoint sched:sched_process_exec", 86, per_s, 3100),
            program("tracepoint__sched__sched_process_exit", "tracepoint sched:sched_process_exit", 131, per_s * 1.1, 720),
            program("tracepoint__raw_syscalls__sys_exit", "tracepoint raw_syscalls:sys_exit", 20, per_s * 340, 88),
            program("on_cpu_clock", "perf event cpu-clock, 49 a second", 17, 49, 950),
          ],
          cpu_share: 0.0003 + noise(Math.floor(at_s)) * 0.0004 + (generation === 3 ? 0.0006 : 0),
          events_per_s: per_s * (0.7 + noise(Math.floor(at_s) * 3) * 0.6),
          age_s: at_s,
          can_roll_back: true,
        }),
        maps: [
          map("watched", "hash", 1204, pairs(40, (index) => [4000 + index * 3, 1])),
          map("watched_uids", "hash", 1, [[1000, 1]]),
          map("lost", "percpu_array", 2, [[0, 0], [1, 0]], [[0, 0], [0, 0]]),
          map("syscall_counts", "hash", 3, [
            [{ tgid: 4412, syscall: 0 }, { n_calls: 91234, n_errors: 0, n_zero: 91234, total_result: 0 }],
            [{ tgid: 4412, syscall: 232 }, { n_calls: 412, n_errors: 3, n_zero: 0, total_result: 9 }],
            [{ tgid: 4410, syscall: 1 }, { n_calls: 12, n_errors: 0, n_zero: 0, total_result: 12044 }],
          ]),
        ],
        events: events(n_events, since_event, generation, at_s, ownFields),
        n_events,
      };
    },
  };
}

/** A lesson's probe: how long processes live. */
export function histogram(per_s = 4): Sample {
  return {
    answer: (at_s, since_event = 0) => {
      const n_events = Math.floor(at_s * per_s);
      return {
        summary: summary({
          id: "p1",
          uri: "file:///home/me/playground/04-how-long/probe.bpf.c",
          name: "probe.bpf.c",
          generation: 1,
          programs: [
            program("tracepoint__sched__sched_process_exec", "tracepoint sched:sched_process_exec", 20, 40, 410),
            program("tracepoint__sched__sched_process_exit", "tracepoint sched:sched_process_exit", 31, 41, 520),
          ],
          cpu_share: 0.00004,
          events_per_s: per_s,
          age_s: at_s,
          ttl_s: 1800 - at_s,
        }),
        maps: [
          map("began", "hash", 17, pairs(17, (index) => [5000 + index, 123456789012 + index * 1000])),
          { ...map("lived_ms", "array", 12, pairs(12, (index) => [index + 1, Math.round(900 * Math.exp(-((index - 5) ** 2) / 5))])), is_histogram: true },
        ],
        events: events(n_events, since_event, 1, at_s, (index) => ({ pid: 5000 + index, comm: NAMES[index % NAMES.length], lived_ms: Math.floor(noise(index) * 400) })),
        n_events,
      };
    },
  };
}

/** Texts that would be something in a page, in a shell or in a terminal. */
export function hostile(): Sample {
  const evil = '<img src=x onerror="window.taken=1">\u202e\u001b[31m';
  return {
    answer: (at_s) => ({
      summary: summary({
        id: "p2",
        uri: "file:///tmp/x.bpf.c",
        name: evil,
        generation: 1,
        programs: [program(evil, evil, 1, 1, 1), 7, null],
        cpu_share: "x",
        events_per_s: 1,
        age_s: at_s,
        ttl_s: -1,
        problem: evil,
        note: evil.repeat(1000),
      }),
      maps: [
        map(evil, evil, 1, [[{ [evil]: evil, __proto__: 1 }, { constructor: evil }]]),
        { ...map("h", "array", 3, [["x", 1], [1e12, 1], [-4, 2]]), is_histogram: true },
        "none",
      ],
      events: [
        { sequence: 1, ktime_ns: evil, map: evil, generation: "x", fields: { [evil]: [evil, { deep: { deeper: evil } }] } },
        { sequence: "2" },
      ],
      n_events: -4,
    }),
  };
}

function ownFields(index: number): Fields {
  const comm = NAMES[Math.floor(noise(index) * NAMES.length)];
  const header = { ktime_ns: "0", start_boottime_ns: "91234567890", tgid: 4000 + (index % 900), tid: 4000 + (index % 900), uid: 1000 };
  switch (index % 3) {
    case 0:
      return { header: { ...header, kind: 1 }, parent_tgid: 4400, comm };
    case 1:
      return { header: { ...header, kind: 2 }, parent_tgid: 4400, comm, filename: `/usr/bin/${comm ?? ""}`, argv: `${comm ?? ""} --number ${index}` };
    default:
      return { header: { ...header, kind: 3 }, wait_status: index % 7 === 2 ? 256 : 0, comm };
  }
}

function events(n_events: number, since: number, generation: number, at_s: number, fields: (index: number) => Fields): Fields[] {
  const first = Math.max(since, n_events - MAX_KEPT) + 1;
  return Array.from({ length: Math.max(0, n_events - first + 1) }, (_, offset) => {
    const sequence = first + offset;
    const ktime_ns = (1_234_567_890_123n + BigInt(Math.floor((at_s * 1e9 * sequence) / n_events))).toString();
    return { sequence, ktime_ns, map: "events", generation, fields: fields(sequence) };
  });
}

function summary(more: Fields): Fields {
  return {
    uri: null, is_own: false, files: [], state: "running", n_lost: 0, ttl_s: null, problem: null, note: null, can_roll_back: false,
    ...more,
  };
}

function program(name: string, attached_to: string, line: number, runs_per_s: number, ns_per_run: number): Fields {
  return { name, attached_to, line, runs_per_s, ns_per_run, n_instructions: 180 + line };
}

function map(name: string, type: string, n_entries: number, entries: unknown[], per_cpu: unknown[] = []): Fields {
  return { name, type, n_entries, is_histogram: false, line: 9, entries, per_cpu };
}

function pairs(n: number, make: (index: number) => [unknown, unknown]): [unknown, unknown][] {
  return Array.from({ length: n }, (_, index) => make(index));
}

function noise(seed: number): number {
  const value = Math.sin(seed * 12.9898 + 78.233) * 43758.5453;
  return value - Math.floor(value);
}
