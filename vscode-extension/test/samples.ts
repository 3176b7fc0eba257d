// Findings, processes and runs for tests.

import type { Finding, Process, Run } from "../src/protocol";

export function aProcess(pid: number, changes: Partial<Process> = {}): Process {
  return {
    pid,
    start_ticks: pid * 10,
    parent: null,
    run: { pid: 1, start_ticks: 10 },
    comm: "cc1plus",
    argv: ["/usr/lib/cc1plus", `${pid}.cpp`],
    cwd: "/src",
    on_cpu_cores: 0.5,
    rss_bytes: 50 << 20,
    n_forks: 0,
    state: "running",
    age_s: 3,
    exit_code: null,
    term_signal: null,
    has_ended: false,
    finding_ids: [],
    ...changes,
  };
}

export function aFinding(changes: Partial<Finding> = {}): Finding {
  return {
    id: "f1",
    kind: "cpu_spin",
    cause: "busy_poll",
    severity: "warning",
    state: "raised",
    process: { pid: 7, start_ticks: 70, comm: "python3", argv: ["python3", "pump.py"], cwd: "/src" },
    ancestry: [{ pid: 1, comm: "pytest", argv: ["pytest", "-q"] }],
    run: { pid: 1, start_ticks: 10 },
    location: { uri: "file:///src/pump.py", path: "/src/pump.py", line: 41, function: "drain" },
    test: "tests/test_pump.py::test_drain",
    onset_at: "2026-01-31T12:00:00.000Z",
    evidence: [
      { id: "e1", name: "on_cpu_cores", value: 0.99, unit: "cores", window_s: 2, source: "samples" },
    ],
    explanation: null,
    ...changes,
  };
}

export function aRun(pid: number, changes: Partial<Run> = {}): Run {
  return {
    pid,
    start_ticks: pid * 10,
    label: null,
    source: "terminal",
    comm: "make",
    argv: ["make", "-j48"],
    cwd: "/src",
    began_at: "2026-01-31T12:00:00.000Z",
    duration_s: 12.3,
    has_ended: false,
    exit_code: null,
    term_signal: null,
    n_processes: 49,
    n_alive: 49,
    on_cpu_cores: 2,
    peak_cores: 2,
    peak_processes: 17,
    peak_rss_bytes: 3 * 2 ** 30,
    findings: [],
    ...changes,
  };
}
