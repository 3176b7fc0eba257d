"""The main story, with nothing replaced: Neovim, the server, the agent, eBPF, pytest, a spin."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import editors

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "examples" / "parcels"


@pytest.fixture(**editors.of(editors.NEOVIMS))
def nvim(request):
    return request.param


@pytest.fixture
def project(tmp_path):
    """The sample project, at a path that must be quoted, with time for a slow machine."""
    copy = tmp_path / "mein Projekt ü"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    tests = copy / "tests" / "test_labels.py"
    text = tests.read_text()
    assert "timeout=8" in text
    tests.write_text(text.replace("timeout=8", "timeout=100"))
    return copy


@pytest.fixture
def init_lua(tmp_path, nvim):
    """The set-up that docs/editors.md gives for this Neovim, with an agent of the test's own."""
    version = subprocess.run([nvim, "--version"], capture_output=True, text=True, check=True)
    minor = int(re.search(r"NVIM v0\.(\d+)", version.stdout)[1])
    heading = "Neovim 0.11 and later" if minor >= 11 else "Neovim 0.7 to 0.10"
    section = (ROOT / "docs" / "editors.md").read_text().partition(f"## {heading}\n")[2]
    snippet = re.search(r"```lua\n(.*?)```", section, re.DOTALL)[1]
    assert "linnix = {}" in snippet
    settings = f"linnix = {{ tracer = 'bcc', agent_socket = '{tmp_path}/agent.sock' }}"
    path = tmp_path / "init.lua"
    path.write_text(snippet.replace("linnix = {}", settings))
    return path


def lines_of_the_spin(source):
    """From `while` to the end of its body, counted from 1."""
    lines = source.read_text().splitlines()
    first = next(n for n, line in enumerate(lines, 1) if line.strip().startswith("while "))
    after = next(n for n, line in enumerate(lines, 1) if line.strip().startswith("return [*lines"))
    return range(first, after)


@pytest.fixture
def in_neovim(nvim, tmp_path):
    def run(script, project, source, tests):
        """What a script sees that runs `tests` in a terminal of Neovim, with `source` open."""
        outcome = tmp_path / "outcome.json"
        pytest_command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
        scripts = Path(sys.executable).parent
        environment = os.environ | {
            "PATH": f"{scripts}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "TEST_COMMAND": shlex.join([*pytest_command, tests]),
            "SOURCE_FILE": str(source),
            "OUTCOME": str(outcome),
        }
        command = ["timeout", "240", nvim, "--headless", "-n", "-u", tmp_path / "init.lua"]
        done = subprocess.run(
            [*command, "-c", f"luafile {ROOT}/tests/e2e/{script}"],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert outcome.exists(), done.stderr
        seen = json.loads(outcome.read_text())
        assert "failed" not in seen, (seen, done.stderr)
        assert done.returncode == 0
        # Its settings have reached the server: it has asked the agent that they name.
        assert (tmp_path / "agent.lock").exists()
        return seen

    return run


@pytest.mark.e2e
@pytest.mark.ebpf
@pytest.mark.timeout(300)
def test_a_spinning_test_is_shown_in_neovim_and_stopped_from_there(in_neovim, project, init_lua):
    source = project / "parcels" / "labels.py"
    seen = in_neovim("neovim.lua", project, source, "tests/test_labels.py")
    found = seen["diagnostic"]
    assert (found["source"], found["kind"]) == ("linnix", "cpu_spin")
    assert found["line"] in lines_of_the_spin(source)
    assert seen["was_running"]
    assert seen["lenses"] == ["cpu_spin: explain", "stop"]
    assert seen["action"].startswith(f"Stop process {found['pid']} (")
    assert seen["action"] in seen["question"]
    assert seen["result"] == {"outcome": "stopped"}
    # It ended because it was stopped, not because the test's own time had run out.
    assert "SIGTERM" in seen["terminal"]


@pytest.mark.e2e
@pytest.mark.ebpf
@pytest.mark.timeout(300)
# In one of them: what differs between versions is in the other tests, and a trial takes long.
@pytest.mark.parametrize("nvim", list(editors.NEOVIMS.values())[-1:], indirect=True)
def test_a_fix_is_tried_on_a_click_in_neovim_and_applied_once_it_is_verified(
    in_neovim, project, init_lua
):
    source = project / "parcels" / "supervisor.py"
    before = source.read_text()
    seen = in_neovim("neovim_fix.lua", project, source, "tests/test_supervisor.py")
    assert "keep_running() at supervisor.py:" in seen["diagnostic"]
    assert "starts printer-driver again and again" in seen["diagnostic"]
    assert "| | evidence | value | seen by |" in seen["hover"]
    assert "sleep" in seen["hover"]
    assert seen["result"]["outcome"] == "verified"
    assert "passed" in seen["result"]["message"] and "nothing ran away" in seen["result"]["message"]
    assert any(seen["result"]["message"] in message for message in seen["messages"])
    assert source.read_text() != before
    again = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    subprocess.run([*again, "tests/test_supervisor.py"], cwd=project, check=True)
