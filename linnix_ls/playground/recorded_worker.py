"""The process in which a probe is compiled and run on recorded events.

    python -m linnix_ls.playground.recorded_worker RECORDING

Source comes on stdin as JSON; a JSON object leaves on stdout: ``readings``, one for each time that
the recording was read at, or why there are none (``failed`` by the compiler, ``fault`` of a
program). What this process may do is in `sandbox`; it is confined before it sees any source.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from linnix_ls.playground import policy, sandbox
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.check_worker import limit
from linnix_ls.playground.recorded_machine import LAYOUT, Fault, Machine
from linnix_ls.playground.recording import CLOCK, Recording

HEADER = Path(__file__).with_name("recorded.h")
SOURCE_NAME = "probe.bpf.c"


class _NotCompiled(Exception):
    """Args: what the compiler said."""


def main() -> None:
    """Run what stdin says, and tell."""
    limit()
    recording = Recording.read(Path(sys.argv[1]))
    package = str(Path(__file__).parents[1])
    sandbox.confine(None, (sys.prefix, sys.base_prefix, package))
    source = json.load(sys.stdin)["source"]
    json.dump(run(source, recording), sys.stdout)


def run(source: str, recording: Recording) -> dict[str, Any]:
    """What is told of it; see the module."""
    parsed = CSource(source)
    try:
        machine = _machine(source, parsed, recording)
    except _NotCompiled as error:
        return {"failed": str(error)}
    except Fault as error:
        return {"fault": [error.rule, str(error)], "program": None}
    if refused := [helper for _, helper in policy.refused_calls(machine.code)]:
        name = policy.REFUSED_HELPERS[refused[0]].name
        return {
            "fault": ["policy", f"a probe of the playground only looks, and {name}() does more"]
        }
    clock = [name for name, kind in parsed.contexts.items() if kind == "bpf_perf_event_data"]
    for name in clock:
        machine.programs[CLOCK] = machine.programs[name]
    unknown = [
        name
        for name in machine.programs
        if name.startswith("tracepoint__") and name not in recording.programs
    ]
    if clock and CLOCK not in recording.programs:
        unknown += clock
    if unknown:
        known = ", ".join(map(_said, recording.programs))
        text = f"{_said(unknown[0])} was not recorded for this lesson, only {known}"
        return {"fault": ["recording", text]}
    readings = []
    moments = recording.moments()
    for n_before, n_until in pairwise((0, *recording.marks)):
        for moment in islice(moments, n_until - n_before):
            try:
                machine.run(moment)
            except Fault as error:
                return {"fault": [error.rule, str(error)], "program": _said(moment.program)}
        readings.append(machine.reading())
    return {"readings": readings}


def _said(program: str) -> str:
    category, _, event = program.removeprefix("tracepoint__").partition("__")
    return f"{category}:{event}" if event else "the CPU clock"


def _machine(source: str, parsed: CSource, recording: Recording) -> Machine:
    """
    Raises:
        _NotCompiled: clang does not take it.
        Fault: it cannot be run here.
    """
    carried: dict[str, list[str]] = {}
    variables: list[str] = []
    for name, kinds in parsed.records.items():
        for kind in kinds:
            carried.setdefault(name, []).append(f"{LAYOUT}{len(variables)}")
            variables.append(f"\n{kind} *{LAYOUT}{len(variables)} __attribute__((used));")
    text = f'#line 1 "{SOURCE_NAME}"\n{source}\n'
    compiled = _compiled(text + "".join(variables))
    if compiled.returncode and variables:  # a type that the end of the file does not know
        carried = {}
        compiled = _compiled(text)
    if compiled.returncode:
        raise _NotCompiled(compiled.stderr.decode(errors="replace"))
    return Machine(compiled.stdout, recording.n_cpus, carried)


def _compiled(text: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            [
                *("clang", "-target", "bpf", "-mcpu=v3", "-g", "-O2", "-x", "c", "-c", "-o", "-"),
                *("-Wno-everything", "-fno-crash-diagnostics", "-fno-color-diagnostics"),
                *("-include", str(HEADER), "-"),
            ],
            input=text.encode(errors="replace"),
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise _NotCompiled(f"clang cannot be run: {error.strerror}") from error


if __name__ == "__main__":
    # What is in the folder that we were started in is no module of ours.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
    main()
