"""Records the traces of this folder anew, from real runs with eBPF: ``python -m tests.traces.record
[NAME ...]``. Needs root; takes two minutes.

Each run happens in a folder of its own under /tmp, which is removed: what a trace tells must not
depend on it. What live said is kept in findings.json, and replay must say the same. A run that
does not say what it shall is not kept: try again on a quieter machine.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
FINDINGS = HERE / "findings.json"
WORKPLACE = Path("/tmp/linnix-traces")
EXAMPLES = HERE.parents[1] / "examples"
MAX_TRACE_BYTES = 200_000
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONPATH": str(HERE.parents[1]),
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
    for path, text in case.files.items():
        (folder / path).write_text(text)
    command = case.command.format(python=sys.executable)
    try:
        with tempfile.TemporaryDirectory() as scratch:
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
            if trace.stat().st_size > MAX_TRACE_BYTES:
                raise SystemExit(f"{name}: {trace.stat().st_size} bytes are too many")
            shutil.copy(trace, HERE / f"{name}.trace")
    finally:
        shutil.rmtree(folder)
    return found


def _in_short(finding: dict[str, object], folder: Path) -> dict[str, object]:
    """What replay must say too: what it is, and where."""
    location = finding["location"]
    assert isinstance(location, dict)
    return {
        "kind": finding["kind"],
        "cause": finding["cause"],
        "file": str(Path(location["path"]).relative_to(folder)),
        "line": location["line"],
        "function": location["function"],
        "test": finding["test"],
    }


def main() -> None:
    found = json.loads(FINDINGS.read_text()) if FINDINGS.exists() else {}
    for name in sys.argv[1:] or CASES:
        found[name] = record(name, CASES[name])
        text = json.dumps({key: found[key] for key in CASES if key in found}, indent=2)
        FINDINGS.write_text(text + "\n")


if __name__ == "__main__":
    main()
