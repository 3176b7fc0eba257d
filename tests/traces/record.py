"""Records the traces of this folder anew, from real runs with eBPF. Needs root.

    python -m tests.traces.record [NAME ...]             the cases below: two minutes
    python -m tests.traces.record --corpus [ID ...]      those of bench/corpus: twelve minutes
    python -m tests.traces.record --corpus --missing     of these, what is not there, or no more so

Each run happens in a folder of its own under /tmp, which is removed: what a trace tells must not
depend on it. What live said is kept in findings.json (corpus/findings.json), and replay must say
the same. A run that does not say what it shall is not kept: try again on a quieter machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import accuracy, machine
from bench.progress import Steps
from bench.scoring import BENIGN, GRAVE, score
from bench.scoring import Case as Label
from linnix_ls.core.engine import Engine
from linnix_ls.core.findings import Finding, State
from linnix_ls.tracer.trace_file import Trace, read_trace
from tests.traces import compact

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
FINDINGS = HERE / "findings.json"
CORPUS_TRACES = HERE / "corpus"
CORPUS_FINDINGS = CORPUS_TRACES / "findings.json"
WORKPLACE = Path("/tmp/linnix-traces")
SCRATCH = WORKPLACE / "scratch"
EXAMPLES = CHECKOUT / "examples"
MAX_TRACE_BYTES = 200_000
MAX_CORPUS_BYTES = 3_000_000  # all together
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "TMPDIR": str(SCRATCH),
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONPATH": str(CHECKOUT),
}
# What recordings call the places that are only this machine's.
NAMES = {
    re.escape(f"{SCRATCH}/") + r"runcase-\w+": str(SCRATCH),
    re.escape(str(machine.cache_folder())) + r"/\w+": str(WORKPLACE / "venv"),
    re.escape(str(CHECKOUT)): str(WORKPLACE / "checkout"),
    r"/tmp/(linnix-recording|pytest-of)-\w+": str(SCRATCH),
}

# An agent of our own: one that runs already may be of another version.
_RUN = """
import sys
from linnix_ls import app
from linnix_ls.cli import main, run

def open_feed(settings, *, on_progress):
    private = settings.model_copy(update={"agent_socket": sys.argv[1], "tracer": "bcc"})
    return app.open_feed(private, on_progress=on_progress)

args = main._parser().parse_args(["run", "--record", sys.argv[2], "--json", sys.argv[3]])
args.command = sys.argv[4:]
sys.exit(run.run(args, open_feed))
"""


@dataclass(frozen=True)
class Case:
    """One run.

    Attributes:
        command: what runs, in its folder.
        files: what is there.
        example: a folder of examples/ that is copied there first.
        kinds: of the findings that must come of it.
    """

    command: str
    files: dict[str, str] = field(default_factory=dict)
    example: str | None = None
    kinds: tuple[str, ...] = ()


_PIPE = """\
import subprocess
import sys

CHILD = "import sys; sys.stdout.write('x' * 1_000_000); sys.stdin.read()"


def convert():
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    child.wait()


convert()
"""

_SERVER = """\
import http.server
import os
import threading

threading.Timer(20, os._exit, [0]).start()
http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler).serve_forever()
"""

_START_SERVER = """\
import subprocess
import sys
import time


def start():
    return subprocess.Popen([sys.executable, "serve.py"])


start()
time.sleep(2)
"""

_RING = """\
struct ring { volatile int head, tail; };

static struct ring ring;

static void wait_for_room(struct ring *r) {
    while (r->head - r->tail >= 0)
        ;
}

int main(void) {
    wait_for_room(&ring);
}
"""

# Two hundred and some instances, to keep a compiler busy for a few seconds.
_TEMPLATES = """\
#include <algorithm>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <vector>
template <int N> struct Table {
    std::map<std::string, std::vector<int>> rows;
    std::function<int(int)> at = [](int i) { return i * N; };
    int total() { int n = at(N); for (auto &row : rows) for (int v : row.second) n += v; return n; }
};
template <int N> int sum() { Table<N> t; return t.total() + sum<N - 1>(); }
template <> int sum<0>() { return 0; }
int main() {
    std::regex word("[a-z]+");
    return sum<220>() + std::regex_match("abc", word);
}
"""

_QUEENS = """\
def n_placements(n, row=0, columns=frozenset(), rising=frozenset(), falling=frozenset()):
    if row == n:
        return 1
    return sum(
        n_placements(n, row + 1, columns | {c}, rising | {c + row}, falling | {c - row})
        for c in range(n)
        if c not in columns and c + row not in rising and c - row not in falling
    )


print(n_placements(13))
"""

_SUITE = """\
import subprocess
import sys

import pytest

PROGRAMS = ["echo", "printf", "basename", "dirname", "expr", "seq", "true", "uname", "id", "date"]


@pytest.mark.parametrize("n", range(150))
def test_a_program(n):
    program = PROGRAMS[n % len(PROGRAMS)]
    subprocess.run([program, *(["1"] if n % 10 < 6 else [])], check=False, capture_output=True)
"""

_UNITS = """\
UNITS = $(patsubst %.c,%.o,$(wildcard unit*.c))

all: $(UNITS)
"""

CASES = {
    "parcels-labels": Case(
        "{python} -m pytest -q -p no:cacheprovider tests/test_labels.py",
        example="parcels",
        kinds=("cpu_spin",),
    ),
    "parcels-supervisor": Case(
        "{python} -m pytest -q -p no:cacheprovider tests/test_supervisor.py",
        example="parcels",
        kinds=("fork_storm",),
    ),
    "c-ring": Case(
        "sh -c 'cc -g -O1 -o ring ring.c && timeout 5 ./ring'",
        {"ring.c": _RING},
        kinds=("cpu_spin",),
    ),
    "pipe": Case("timeout 9 {python} convert.py", {"convert.py": _PIPE}, kinds=("stuck",)),
    "server": Case(
        "{python} start.py",
        {"start.py": _START_SERVER, "serve.py": _SERVER},
        kinds=("leaked_child",),
    ),
    "innocent-compile": Case("c++ -std=c++17 -O2 -c table.cpp", {"table.cpp": _TEMPLATES}),
    "innocent-make": Case(
        "make -j4",
        {"Makefile": _UNITS}
        | {
            f"unit{n}.c": f"#include <stdio.h>\nint unit{n}(void) {{ return {n}; }}\n"
            for n in range(200)
        },
    ),
    "innocent-queens": Case("{python} queens.py", {"queens.py": _QUEENS}),
    "innocent-suite": Case(
        "{python} -m pytest -q -p no:cacheprovider test_programs.py", {"test_programs.py": _SUITE}
    ),
}


def record(name: str, case: Case) -> list[dict[str, object]]:
    """One run; what was found. The trace is kept only if that is as it should be."""
    folder = WORKPLACE / name
    shutil.rmtree(folder, ignore_errors=True)
    if case.example:
        shutil.copytree(EXAMPLES / case.example, folder)
    folder.mkdir(parents=True, exist_ok=True)
    SCRATCH.mkdir(exist_ok=True)
    for path, text in case.files.items():
        (folder / path).write_text(text)
    command = case.command.format(python=sys.executable)
    try:
        with tempfile.TemporaryDirectory(prefix="linnix-recording-") as scratch:
            trace, live, socket = (Path(scratch, end) for end in ("trace", "json", "sock"))
            subprocess.run(
                [sys.executable, "-c", _RUN, socket, trace, live, *shlex.split(command)],
                cwd=folder, check=False, env=ENVIRONMENT,
            )  # fmt: skip
            document = json.loads(live.read_text())
            found = [_in_short(finding, folder) for finding in document["findings"]]
            if tuple(finding["kind"] for finding in found) != case.kinds:
                raise SystemExit(f"{name}: found {found}, wanted {case.kinds}")
            if document["events"]["lost"] or document["degraded"]:
                raise SystemExit(f"{name}: lost events, or degraded")
            small = Path(scratch, "small")
            compact.write(compact.compact(read_trace(trace)), small, NAMES)
            again = [in_short(finding, folder) for finding in replayed(read_trace(small))]
            if again != found:
                raise SystemExit(f"{name}: replay does not say what live did")
            if small.stat().st_size > MAX_TRACE_BYTES:
                raise SystemExit(f"{name}: {small.stat().st_size} bytes are too many")
            shutil.copy(small, HERE / f"{name}.trace")
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(SCRATCH)
    return found


def record_of_corpus(folder: Path, label: Label, venv: Path) -> list[dict[str, object]]:
    """One run of a case of bench/corpus, within its bounds; as `record`.

    Raises:
        NotKept: it was not found for what it is.
    """
    workdir = WORKPLACE / label.id
    shutil.rmtree(workdir, ignore_errors=True)
    SCRATCH.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"TMPDIR": str(SCRATCH)}  # run_case.py makes its folder there
    try:
        with tempfile.TemporaryDirectory(prefix="linnix-recording-", dir="/tmp") as scratch:
            trace, live, socket = (Path(scratch, end) for end in ("trace", "json", "sock"))
            tool = [sys.executable, "-c", _RUN, str(socket), str(trace), str(live)]
            run = accuracy.run_under(
                tool, live, folder, label, venv, workdir=workdir, environment=environment
            )
            if run.problem:
                raise NotKept(run.problem)
            judged = score(label, run.reports)
            grave = score(label, run.reports, only_grave=True)
            if grave.false_reports:
                raise NotKept(f"false: {', '.join(grave.false_reports)}")
            if label.label != BENIGN and not (
                judged.detection == "detected" and judged.is_cause_right and judged.place != "miss"
            ):
                raise NotKept(
                    f"{judged.detection}, cause {judged.cause}, place {judged.said} {judged.place}"
                )
            found = [
                _in_short(finding, workdir)
                for finding in json.loads(compact.renamed(live.read_text(), NAMES))["findings"]
                if label.label != BENIGN or finding["severity"] in GRAVE
            ]
            small = Path(scratch, "small")
            compact.write(compact.compact(read_trace(trace)), small, NAMES)
            if found_again(small, label, workdir) != found:
                raise NotKept("replay does not say what live did")
            CORPUS_TRACES.mkdir(exist_ok=True)
            shutil.copy(small, CORPUS_TRACES / f"{label.id}.trace")
    finally:
        shutil.rmtree(workdir, ignore_errors=True)
        shutil.rmtree(SCRATCH, ignore_errors=True)
    return found


class NotKept(Exception):
    """Why a run's recording is no use."""


def replayed(trace: Trace) -> list[Finding]:
    """What an engine finds in a recording."""
    engine = Engine()
    for event in trace.events:
        engine.receive(event)
    return [finding for finding in engine.findings.values() if finding.state is not State.CLEARED]


def found_again(path: Path, label: Label, folder: Path) -> list[dict[str, object]]:
    """What replay says of a case of the corpus. Of innocents, less than a warning may be said."""
    return [
        in_short(finding, folder)
        for finding in replayed(read_trace(path))
        if label.label != BENIGN or finding.severity in GRAVE
    ]


def in_short(finding: Finding, folder: Path) -> dict[str, object]:
    """What replay must say as live did: what it is, and where."""
    location = finding.location
    return {
        "kind": str(finding.kind),
        "cause": str(finding.cause),
        "file": _relative(location.path, folder) if location else None,
        "line": location.line if location else None,
        "function": location.function if location else None,
        "test": finding.test,
    }


def _in_short(finding: dict[str, Any], folder: Path) -> dict[str, object]:
    """The same of a findings document."""
    location = finding["location"] or {"path": None, "line": None, "function": None}
    return {
        "kind": finding["kind"],
        "cause": finding["cause"],
        "file": _relative(location["path"], folder),
        "line": location["line"],
        "function": location["function"],
        "test": finding["test"],
    }


def _relative(path: str | None, folder: Path) -> str | None:
    if path is None or not Path(path).is_relative_to(folder):
        return path
    return str(Path(path).relative_to(folder))


def _save(found: dict[str, Any], order: Iterable[str], path: Path) -> None:
    text = json.dumps({key: found[key] for key in order if key in found}, indent=2)
    path.write_text(text + "\n")


def corpus_folders() -> dict[str, Path]:
    return {path.parent.name: path.parent for path in accuracy.CORPUS.glob("runaway/*/case.toml")}


def _is_good(label: Label, found: dict[str, Any]) -> bool:
    """Whether there is a recording, and replay says today what live said then."""
    path = CORPUS_TRACES / f"{label.id}.trace"
    if label.id not in found or not path.exists():
        return False
    return found_again(path, label, WORKPLACE / label.id) == found[label.id]


def record_corpus(names: Iterable[str], *, only_missing: bool) -> list[str]:
    """Record cases; those that are not kept, with the reason. What is there stays if it is good."""
    folders = dict(sorted(corpus_folders().items()))
    found = json.loads(CORPUS_FINDINGS.read_text()) if CORPUS_FINDINGS.exists() else {}
    labels = {name: Label.read(folders[name]) for name in names or folders}
    if only_missing:
        labels = {name: label for name, label in labels.items() if not _is_good(label, found)}
    venv = accuracy.venv_of(accuracy.CORPUS)
    not_kept = []
    with Steps(len(labels)) as steps:
        for name, label in labels.items():
            steps.begin(name)
            try:
                found[name] = record_of_corpus(folders[name], label, venv)
                size = (CORPUS_TRACES / f"{name}.trace").stat().st_size
                places = [f"{one['file']}:{one['line']}" for one in found[name]]
                steps.say(f"{name:24}{label.label:16}{size:8} bytes  {', '.join(places)}")
            except NotKept as error:
                is_good = _is_good(label, found)
                if not is_good:
                    found.pop(name, None)
                    (CORPUS_TRACES / f"{name}.trace").unlink(missing_ok=True)
                not_kept.append(f"{name} ({label.label}): {error}")
                earlier = "; the earlier one stays" if is_good else ""
                steps.say(f"{name:24}{label.label:16}NOT KEPT  {error}{earlier}")
            _save(found, folders, CORPUS_FINDINGS)
    return not_kept


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.traces.record", description="Record traces.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")
    parser.add_argument("--corpus", action="store_true", help="of the cases of bench/corpus")
    parser.add_argument("--missing", action="store_true", help="of the corpus: what is not there")
    options = parser.parse_args()
    unknown = set(options.names) - (corpus_folders() if options.corpus else CASES).keys()
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if options.corpus:
        not_kept = record_corpus(options.names, only_missing=options.missing)
        if not_kept:
            sys.exit("\n".join(["", "not kept:", *not_kept]))
        return
    found = json.loads(FINDINGS.read_text()) if FINDINGS.exists() else {}
    for name in options.names or CASES:
        found[name] = record(name, CASES[name])
        _save(found, CASES, FINDINGS)


if __name__ == "__main__":
    main()
