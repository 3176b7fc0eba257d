// Runs as linnix/run tells of them, made up: for the page, its tests and its measurements.
// Nothing is left to chance, so that pictures can be compared.

type Fields = Record<string, unknown>;

interface Made {
  pid: number;
  parent: number | null;
  argv: string[];
  began_s: number;
  ended_s: number;
  cores: number;
  exit_code?: number;
  finding_ids?: string[];
}

export interface Sample {
  /** Until when it goes. */
  duration_s: number;
  /** linnix/run's answer at a moment; `since_s`: with what has changed from then on. */
  answer(at_s: number, since_s?: number): Fields;
}

const BEGAN_MS = Date.parse("2026-01-31T12:00:00.000Z");
const TICKS = 991_000;

export function key(pid: number): { pid: number; start_ticks: number } {
  return { pid, start_ticks: TICKS + pid };
}

/** A test run in which one of a few processes spins, from 3.2 s on. */
export function spinningTest(): Sample {
  const made: Made[] = [
    { pid: 4400, parent: null, argv: ["/usr/bin/python3", "-m", "pytest", "-q", "tests"], began_s: 0, ended_s: 60, cores: 0.12 },
    { pid: 4402, parent: 4400, argv: ["git", "rev-parse", "HEAD"], began_s: 0.3, ended_s: 0.34, cores: 0.6 },
    { pid: 4403, parent: 4400, argv: ["/bin/sh", "-c", "uname -a | tr a-z A-Z"], began_s: 0.5, ended_s: 0.62, cores: 0.2 },
    { pid: 4404, parent: 4403, argv: ["uname", "-a"], began_s: 0.52, ended_s: 0.55, cores: 0.5 },
    { pid: 4405, parent: 4403, argv: ["tr", "a-z", "A-Z"], began_s: 0.53, ended_s: 0.6, cores: 0.3 },
    { pid: 4410, parent: 4400, argv: ["python3", "server.py", "--port", "8080"], began_s: 1.1, ended_s: 60, cores: 0.05 },
    { pid: 4411, parent: 4410, argv: ["python3", "worker.py", "0"], began_s: 1.4, ended_s: 60, cores: 0.02 },
    { pid: 4412, parent: 4400, argv: ["python3", "pump.py", "--drain"], began_s: 2.1, ended_s: 60, cores: 0.94, finding_ids: ["f1"] },
    { pid: 4413, parent: 4412, argv: ["cat", "/dev/null"], began_s: 2.4, ended_s: 2.5, cores: 0.1 },
    { pid: 4420, parent: 4400, argv: ["node", "check.js"], began_s: 4.0, ended_s: 5.5, cores: 0.5, exit_code: 1 },
  ];
  return sample("task: test", made, 12.4, [spinFinding()]);
}

/** A build with many compilers, and one that takes memory without end. */
export function build(nFiles: number): Sample {
  const made: Made[] = [
    { pid: 100, parent: null, argv: ["make", "-j16"], began_s: 0, ended_s: 600, cores: 0.1 },
  ];
  for (let index = 0; index < nFiles; index += 1) {
    const pid = 1000 + index * 3;
    const began = 0.4 + Math.floor(index / 16) * 0.9 + noise(index) * 0.5;
    const length = 0.5 + noise(index * 7) * 0.9;
    const file = `src/part_${index}.cpp`;
    made.push(
      { pid, parent: 100, argv: ["g++", "-O2", "-c", file], began_s: began, ended_s: began + length, cores: 0.02, exit_code: index % 97 === 5 ? 1 : 0 },
      { pid: pid + 1, parent: pid, argv: ["/usr/lib/gcc/cc1plus", "-quiet", file], began_s: began + 0.02, ended_s: began + length - 0.05, cores: 0.85 },
      { pid: pid + 2, parent: pid, argv: ["as", "-o", `part_${index}.o`], began_s: began + length - 0.05, ended_s: began + length - 0.01, cores: 0.6 },
    );
  }
  return sample("bash: make -j16", made, 0.6 + Math.ceil(nFiles / 16) * 0.9 + 1, []);
}

/** A shell that starts programs which wait: all alive at once, with one that spins among them. */
export function manySleeps(count: number): Sample {
  const made: Made[] = [
    { pid: 100, parent: null, argv: ["bash", "start-many.sh"], began_s: 0, ended_s: 600, cores: 0.4 },
    { pid: 101, parent: 100, argv: ["python3", "pump.py", "--drain"], began_s: 1, ended_s: 600, cores: 0.97, finding_ids: ["f1"] },
  ];
  for (let index = 0; index < count - 2; index += 1) {
    const began_s = 0.2 + (index / count) * 8;
    made.push({ pid: 1000 + index, parent: 100, argv: ["sleep", "600"], began_s, ended_s: noise(index) < 0.2 ? began_s + 4 : 600, cores: 0 });
  }
  return sample(null, made, 20, [{ ...spinFinding(), process: { ...key(101), comm: "python3" } }]);
}

/** Programs of different names, in a tree, so that few can be drawn as one. */
export function mixed(count: number): Sample {
  const made: Made[] = [
    { pid: 100, parent: null, argv: ["ninja"], began_s: 0, ended_s: 600, cores: 0.3 },
  ];
  for (let index = 1; index < count; index += 1) {
    const parent = made[Math.floor(noise(index * 3) ** 2 * Math.min(index, 400))] ?? made[0];
    const from = parent?.began_s ?? 0;
    const began_s = from + noise(index) * Math.min(18 - from, 2);
    const isLong = noise(index * 5) < 0.04;
    const ended_s = Math.min(parent?.ended_s ?? 600, began_s + (isLong ? 600 : 0.02 + noise(index * 11)));
    const names = ["sh", "cc1", "ld", "python3", "sed", "awk", "cp", "test", "node", "gcc"];
    const name = names[Math.floor(noise(index * 13) * names.length)] ?? "sh";
    made.push({ pid: 100 + index, parent: parent?.pid ?? 100, argv: [name, `--number=${index}`], began_s, ended_s, cores: noise(index * 17) });
  }
  const guilty = made[Math.floor(count / 2)];
  if (guilty) {
    guilty.finding_ids = ["f1"];
    guilty.ended_s = 600;
  }
  const process = { ...key(guilty?.pid ?? 100), comm: "python3" };
  return sample("task: build", made, 20, [{ ...spinFinding(), process }]);
}

/** Names and texts that would like to be something else. */
export function hostile(): Sample {
  const nasty = '<img src=x onerror="window.taken=1">\u202e\u0007\n[x](command:workbench.action.quit)';
  const made: Made[] = [
    { pid: 1, parent: 2, argv: [nasty, nasty], began_s: 0, ended_s: 600, cores: 99, finding_ids: ["f1"] },
    { pid: 2, parent: 1, argv: [], began_s: 1, ended_s: 0.5, cores: 0 },
  ];
  const finding = spinFinding();
  const evil = { ...finding, process: { ...key(1), comm: nasty }, explanation: { summary: nasty, why: nasty, fix: [nasty], otherwise: nasty, cites: [], note: { model: nasty, text: nasty } } };
  return sample(nasty, made, 4, [evil]);
}

function spinFinding(): Fields {
  return {
    id: "f1",
    kind: "cpu_spin",
    cause: "busy_poll",
    severity: "warning",
    state: "raised",
    process: { ...key(4412), comm: "python3" },
    location: { uri: "file:///home/me/pump/pump.py", path: "/home/me/pump/pump.py", line: 41, function: "drain" },
    other_locations: [{ path: "/home/me/pump/tests/test_pump.py", line: 12, role: "test" }],
    test: "tests/test_pump.py::test_drain",
    onset_at: new Date(BEGAN_MS + 3200).toISOString(),
    ended_at: null,
    evidence: [
      { id: "e1", name: "on_cpu_cores", value: 0.986, unit: "cores", window_s: 2, source: "cpu_clock samples" },
      { id: "e2", name: "syscalls_per_s", value: 812345.2, unit: "calls/s", window_s: 2, source: "raw_syscalls" },
      { id: "e3", name: "share_of_samples_in_loop", value: 0.98, unit: "", window_s: 2, source: "python stacks" },
    ],
    explanation: {
      by: "rules",
      summary: "python3 asks an empty queue again and again, without waiting, in drain of pump.py",
      why: "In 2.0 s it made 1,624,690 calls of which none brought anything, and used 99 % of a CPU. A loop that waits would use none.",
      fix: ["Let queue.get wait: queue.get(timeout=0.1) in place of queue.get_nowait().", "End the loop when the producer has ended."],
      otherwise: "If the wait is short on purpose, say so with a comment and dismiss this.",
      cites: ["e1", "e2"],
      note: null,
    },
  };
}

function sample(label: string | null, made: readonly Made[], duration_s: number, findings: readonly Fields[]): Sample {
  const answer = (at_s: number, since_s = -1): Fields => {
    const begun = made.filter((each) => each.began_s <= at_s);
    const isChanged = ({ ended_s, cores }: Made) => ended_s > since_s && (cores > 0 || ended_s <= at_s);
    const told = begun.filter((each) => each.began_s > since_s || isChanged(each));
    const alive = begun.filter((each) => each.ended_s > at_s);
    const root = made[0];
    const known = findings.filter((each) => Date.parse(String(each.onset_at)) <= BEGAN_MS + (at_s - 1.5) * 1000);
    const curves = curvesOf(made, at_s);
    const rss = 40e6 + alive.length * 9e6;
    return {
      version: Math.round(at_s * 1000),
      run: {
        ...key(root?.pid ?? 1),
        label,
        source: "task",
        comm: nameOf(root?.argv ?? []),
        argv: root?.argv ?? [],
        cwd: "/home/me/pump",
        began_at: new Date(BEGAN_MS).toISOString(),
        ended_at: null,
        duration_s: at_s,
        has_ended: alive.length === 0,
        exit_code: alive.length === 0 ? 1 : null,
        term_signal: null,
        n_processes: begun.length,
        n_alive: alive.length,
        on_cpu_cores: alive.reduce((sum, each) => sum + each.cores, 0),
        cpu_s: begun.reduce((sum, each) => sum + each.cores * (Math.min(at_s, each.ended_s) - each.began_s), 0),
        rss_bytes: rss,
        peak_cores: Math.max(0, ...curves.cores),
        peak_processes: Math.max(0, ...curves.n_processes),
        peak_rss_bytes: Math.max(0, ...curves.rss_bytes),
        findings: known.map(({ id, kind, severity, state }) => ({ id, kind, severity, state })),
      },
      processes: told.map((each) => toldOf(each, at_s, known)),
      n_left_out: 0,
      curves,
      findings: known,
    };
  };
  return { duration_s, answer };
}

function toldOf(each: Made, at_s: number, known: readonly Fields[]): Fields {
  const hasEnded = each.ended_s <= at_s;
  const ids = known.map((finding) => finding.id);
  return {
    ...key(each.pid),
    parent: each.parent === null ? null : key(each.parent),
    comm: nameOf(each.argv),
    argv: each.argv,
    began_s: each.began_s,
    ended_s: hasEnded ? each.ended_s : null,
    exit_code: hasEnded ? (each.exit_code ?? 0) : null,
    term_signal: null,
    cpu_s: Math.max(0, Math.min(at_s, each.ended_s) - each.began_s) * each.cores,
    n_forks: 0,
    finding_ids: (each.finding_ids ?? []).filter((id) => ids.includes(id)),
  };
}

function nameOf(argv: readonly string[]): string {
  return (argv[0] ?? "unknown").split("/").at(-1)?.slice(0, 15) ?? "";
}

function curvesOf(made: readonly Made[], at_s: number) {
  const step = Math.max(0.1, at_s / 600);
  const at = Array.from({ length: Math.floor(at_s / step) + 1 }, (_, index) => index * step);
  const alive = at.map((moment) => made.filter((each) => each.began_s <= moment && each.ended_s > moment));
  return {
    at_s: at,
    cores: alive.map((each, index) => Math.min(16, each.reduce((sum, one) => sum + one.cores, 0)) * (0.94 + noise(index) * 0.06)),
    n_processes: alive.map((each) => each.length),
    rss_bytes: alive.map((each, index) => 40e6 + each.length * 9e6 + noise(index) * 2e6),
  };
}

/** Looks random, and is the same each time; from 0 to 1. */
function noise(seed: number): number {
  const value = Math.sin(seed * 12.9898 + 78.233) * 43758.5453;
  return value - Math.floor(value);
}
