"""What is tried inside a virtual machine: start the agent, find runaways, leave nothing attached.

    python -m bench.kernels.guest CASE[,CASE]...      of the corpus, and of LESSONS

Says each fact in a line of JSON as soon as it is known, so that whoever waits knows how far it
came. Nothing is waited for without end, but the machine that this runs in has the last word.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.accuracy import CORPUS, run_under
from bench.kernels import virtual
from bench.machine import LINNIX_LS
from bench.scoring import Case, score
from linnix_ls.tracer.kernel_headers import find_bpftool

AGENT_END_TIMEOUT_S = 60.0
# The kernel frees what nobody holds a little later.
FREED_TIMEOUT_S = 20.0
CASE_GRACE_S = 120.0

LESSON = "01-count-execs"
LESSONS = {"user-probe": "reference", "refusal": "no-check"}  # by the answer that is given
LESSON_TIMEOUT_S = 300.0

KINDS = ("prog", "map", "link")


def say(**facts: Any) -> None:
    """A line for who waits outside."""
    print(json.dumps(facts), flush=True)


def _now_s() -> float:
    """Since this machine was started."""
    return round(time.clock_gettime(time.CLOCK_BOOTTIME), 1)


def bpf_objects() -> dict[str, int]:
    """How many there are in the kernel, by kind."""
    counts = {}
    for kind in KINDS:
        shown = subprocess.run(
            [find_bpftool() or "bpftool", "--json", kind, "show"],
            capture_output=True,
            check=False,
            timeout=60,
        )
        counts[kind] = len(json.loads(shown.stdout or "[]")) if shown.returncode == 0 else -1
    return counts


def start_agent(socket: Path, errors: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """The agent, and what it said when it was ready or gave up."""
    ready, tell = os.pipe()
    began_s = time.monotonic()
    with errors.open("wb") as error_file:
        agent = subprocess.Popen(
            [str(LINNIX_LS), "agent", "--socket", str(socket), "--ready-fd", str(tell)],
            pass_fds=[tell],
            stderr=error_file,
        )
    os.close(tell)
    with open(ready, "rb") as answer:
        line = answer.readline()
    facts = json.loads(line or "{}")
    return agent, {"is_ready": False, **facts, "start_s": round(time.monotonic() - began_s, 1)}


def end_agent(agent: subprocess.Popen[bytes], before: dict[str, int]) -> dict[str, Any]:
    """Ask it to end; what is left in the kernel then."""
    agent.terminate()
    try:
        agent.wait(AGENT_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        agent.kill()
        agent.wait()
        return {"is_detached": False, "why": "the agent did not end"}
    give_up_s = time.monotonic() + FREED_TIMEOUT_S
    while (left := bpf_objects()) != before and time.monotonic() < give_up_s:
        time.sleep(0.5)
    return {"is_detached": left == before, "left": left}


def try_case(name: str, socket: Path) -> dict[str, Any]:
    """Run a case under watch, and judge what was said of it."""
    folder = next(CORPUS.glob(f"**/{name}/case.toml")).parent
    case = Case.read(folder)
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch, "findings.json")
        tool = [
            *(str(LINNIX_LS), "run", "--tracer", "bcc", "--agent-socket", str(socket)),
            *("--json", str(output), "--"),
        ]
        run = run_under(
            tool, output, folder, case, Path(sys.prefix), is_agent_given=True, grace_s=CASE_GRACE_S
        )
        document = json.loads(output.read_text()) if run.is_measured else None
    judged = score(case, run.reports)
    return {
        "case": name,
        "label": case.label,
        "detection": judged.detection,
        "place": judged.place,
        "said": judged.said,
        "flagged_s": judged.flagged_s,
        "false_reports": judged.false_reports,
        "tracer": run.tracer,
        "n_lost": run.n_lost,
        "problem": run.problem,
        "events": document["events"] if document else None,
    }


def try_lesson(name: str) -> dict[str, Any]:
    """Check an answer to the first lesson: a probe that a user wrote is compiled, loaded and
    read, or refused."""
    lesson = virtual.CHECKOUT / "playground" / LESSON
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, LESSON, "probe.bpf.c")
        command = [str(LINNIX_LS), "playground", "--folder", folder]
        subprocess.run([*command, "open", "1"], check=True, stdout=subprocess.DEVNULL)
        shutil.copy(lesson / "solutions" / f"{LESSONS[name]}.bpf.c", answer)
        checked = subprocess.run(
            [*command, "--json", "check", "1"],
            capture_output=True,
            text=True,
            check=False,
            timeout=LESSON_TIMEOUT_S,
        )
    try:
        result = json.loads(checked.stdout)
    except ValueError:
        return {"case": name, "problem": checked.stderr[-500:]}
    return {
        "case": name,
        "is_passed": result["is_passed"],
        "summary": result["summary"],
        "how": result["how"],
        "found": [f"{one['span']['line']}: {one['code']}" for one in result["problems"]],
        "messages": [one["message"] for one in result["problems"]],
    }


def main() -> None:
    """All of it, in order."""
    [names] = sys.argv[1:]
    say(
        kernel=platform.release(),
        boot_s=_now_s(),
        has_btf=Path("/sys/kernel/btf/vmlinux").exists(),
    )
    before = bpf_objects()
    socket = Path("/run/agent.sock")
    errors = Path("/run/agent.errors")
    agent, started = start_agent(socket, errors)
    say(agent={**started, "objects": bpf_objects(), "before": before})
    if started["is_ready"]:
        for name in filter(None, names.split(",")):
            say(trying=name, at_s=_now_s())
            result = try_lesson(name) if name in LESSONS else try_case(name, socket)
            say(result=result, at_s=_now_s())
    say(end=end_agent(agent, before), errors=errors.read_text(errors="replace")[-2000:])
    say(is_complete=True)


if __name__ == "__main__":
    main()
