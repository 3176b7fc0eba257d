"""The main story, with nothing replaced: Neovim, the server, the agent, eBPF, pytest, a spin."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "examples" / "parcels"


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


def lines_of_the_spin(source):
    """From `while` to the end of its body, counted from 1."""
    lines = source.read_text().splitlines()
    first = next(n for n, line in enumerate(lines, 1) if line.strip().startswith("while "))
    after = next(n for n, line in enumerate(lines, 1) if line.strip().startswith("return [*lines"))
    return range(first, after)


@pytest.mark.e2e
@pytest.mark.ebpf
@pytest.mark.timeout(300)
def test_a_spinning_test_is_shown_in_neovim_and_stopped_from_there(project, tmp_path):
    source = project / "parcels" / "labels.py"
    outcome = tmp_path / "outcome.json"
    test_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = os.environ | {
        "LINNIX_LS": json.dumps([sys.executable, "-m", "linnix_ls.cli.main"]),
        "TEST_COMMAND": shlex.join([*test_command, "tests/test_labels.py"]),
        "SOURCE_FILE": str(source),
        "AGENT_SOCKET": str(tmp_path / "agent.sock"),
        "OUTCOME": str(outcome),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [
            "timeout",
            "240",
            "nvim",
            "--headless",
            "--clean",
            "-c",
            f"luafile {ROOT}/tests/e2e/neovim.lua",
        ],
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
    assert seen["diagnostic"]["source"] == "linnix"
    assert seen["diagnostic"]["code"] == "cpu_spin"
    assert seen["diagnostic"]["line"] in lines_of_the_spin(source)
    assert seen["was_running"]
    pid = seen["diagnostic"]["pid"]
    assert seen["action"].startswith(f"Stop process {pid} (")
    assert seen["action"] in seen["question"][0]
    assert seen["outcome"] == {"outcome": "stopped"}
    # It ended because it was stopped, not because the test's own time had run out.
    assert "SIGTERM" in seen["terminal"]
