"""Processes that make it hard to look at them are found by a whole `linnix-ls run`, and the next
one is as well: nothing of the service has broken."""

import json
import subprocess
import sys
import time

import pytest

from tests.locate.programs import needs
from tests.locate.test_hostile import JAVA_SPIN, NATIVE_THREADS, RENAMING, SPIN, write_renamer

pytestmark = [pytest.mark.e2e, pytest.mark.ebpf]

# `linnix-ls run` with an agent of its own: one that others of this machine use tells nothing of us.
RUN = """
import sys
from linnix_ls import app
from linnix_ls.cli import main, run

def open_feed(settings, *, on_progress):
    private = settings.model_copy(update={"agent_socket": sys.argv[1]})
    return app.open_feed(private, on_progress=on_progress)

args = main._parser().parse_args(["run", *sys.argv[2:]])
args.command = args.command[1:]
sys.exit(run.run(args, open_feed))
"""

# Under a name of its own, in front of one that spins for all to see.
NATIVE = """\
#include <stdio.h>
#include <unistd.h>

static volatile int stopped;

static void spin(void) {
    while (!stopped)
        ;
}

int main(int n, char **v) {
    unlink(v[0]);
    spin();
}
"""


def the_finding(folder, *command, options=()):
    [finding] = findings(folder, *command, options=options)
    assert finding["kind"] == "cpu_spin"
    return finding


def findings(folder, *command, options=()):
    subprocess.run(
        [sys.executable, "-c", RUN, folder / "agent.sock", "--tracer", "bcc",
         "--json", "findings.json", "--stop-runaways", *options, "--", *map(str, command)],
        cwd=folder, capture_output=True, timeout=150, check=False,
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while (folder / "agent.sock").exists():  # its agent goes after it
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return json.loads((folder / "findings.json").read_text())["findings"]


def python(folder, script, *before):
    (folder / "pump.py").write_text(script)
    return ["timeout", "60", *before, sys.executable, "-S", folder / "pump.py"]


LARGE_ENVIRONMENT = """\
import os, sys
if "V9" not in os.environ:
    os.environ.update({f"V{n}": "x" * 100_000 for n in range(10)})
    os.execv(sys.executable, [sys.executable, "-S", __file__])
"""

HOSTILE = {
    "renames itself": (RENAMING, []),
    "has a large environment": (LARGE_ENVIRONMENT, []),
    "has changed its user": ("import os\nos.setgid(65534)\nos.setuid(65534)\n", []),
    "is in another mount namespace": ("", ["unshare", "-m"]),
    "is in another pid namespace": ("", ["unshare", "-p", "-f", "--mount-proc"]),
    "is traced": ("", ["strace", "-f", "-o", "/dev/null"]),
}


@pytest.mark.parametrize(("script", "before"), HOSTILE.values(), ids=HOSTILE)
def test_it_is_found_at_its_line(tmp_path, script, before):
    tmp_path.chmod(0o755)
    write_renamer(tmp_path)
    text = script + SPIN + "spin()\n"
    finding = the_finding(tmp_path, *python(tmp_path, text, *before))
    location = finding["location"]
    assert location, finding
    assert location["path"] == str(tmp_path / "pump.py")
    first = text.splitlines().index("    while True:", text[: text.index("def spin")].count("\n"))
    assert location["line"] in (first + 1, first + 2)


def test_one_of_2_000_threads_is_found(tmp_path):
    (tmp_path / "pump.c").write_text(NATIVE_THREADS)
    subprocess.run(["cc", "-g", "-pthread", "-o", "pump", "pump.c"], cwd=tmp_path, check=True)
    finding = the_finding(tmp_path, "timeout", "60", tmp_path / "pump")
    assert finding["location"]["path"] == str(tmp_path / "pump.c")
    assert finding["location"]["line"] in (17, 18)


def test_a_program_that_deletes_its_own_binary_is_found(tmp_path):
    (tmp_path / "pump.c").write_text(NATIVE)
    subprocess.run(["cc", "-g", "-o", "pump", "pump.c"], cwd=tmp_path, check=True)
    finding = the_finding(tmp_path, "timeout", "60", tmp_path / "pump")
    assert finding["location"]["path"] == str(tmp_path / "pump.c")
    assert finding["location"]["line"] in (7, 8)


def test_of_a_script_that_deletes_its_own_source_no_line_is_made_up(tmp_path):
    """Its registers alone may convict it, or not."""
    script = f"import os\nos.unlink(__file__)\n{SPIN}spin()\n"
    found = findings(tmp_path, *python(tmp_path, script))
    assert [finding["location"] for finding in found] in ([], [None])


@needs("java")
def test_a_jvm_is_found_without_being_attached_to(tmp_path):
    (tmp_path / "Spin.java").write_text(JAVA_SPIN)
    finding = the_finding(
        tmp_path, "timeout", "60", "java", "Spin.java", options=["--no-attach-to-jvm"]
    )
    assert finding["location"]["path"] == str(tmp_path / "Spin.java")
    assert "linnix.attach_to_jvm is off" in finding["location"]["reason"]
