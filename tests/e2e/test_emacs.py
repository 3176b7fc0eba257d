"""The main story in Emacs, with eglot: the server, the agent, eBPF, pytest, a spin."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import editors
from tests.e2e.test_neovim import lines_of_the_spin, project  # noqa: F401

ROOT = Path(__file__).parents[2]


@pytest.fixture(**editors.of(editors.EMACSES))
def emacs(request):
    return request.param


@pytest.fixture
def init_el(tmp_path):
    """The set-up of docs/editors.md; its settings, with an agent of the test's own."""
    section = (ROOT / "docs" / "editors.md").read_text().partition("## Emacs, eglot\n")[2]
    set_up, settings = re.findall(r"```elisp\n(.*?)```", section, re.DOTALL)[:2]
    value = re.search(r"eglot-workspace-configuration \. (\(.*?\)\))\)\)", settings)[1]
    ours = f':tracer "bcc" :agent_socket "{tmp_path}/agent.sock"'
    value = value.replace(':min_severity "warning"', f':min_severity "warning" {ours}')
    assert ours in value
    path = tmp_path / "init.el"
    path.write_text(f"{set_up}\n(setq-default eglot-workspace-configuration '{value})\n")
    return path


@pytest.mark.e2e
@pytest.mark.ebpf
@pytest.mark.timeout(200)
def test_a_spinning_test_is_shown_in_emacs_and_stopped_from_there(
    emacs,
    project,  # noqa: F811
    init_el,
    tmp_path,
):
    # Eglot 1.17, of Emacs 30, takes diagnostics only for paths in ASCII.
    project = project.rename(tmp_path / "my project")
    source = project / "parcels" / "labels.py"
    outcome = tmp_path / "outcome.json"
    tests = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/test_labels.py"]
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TEST_COMMAND": f"cd {shlex.quote(str(project))} && {shlex.join(tests)}",
        "SOURCE_FILE": str(source),
        "OUTCOME": str(outcome),
    }
    done = subprocess.run(
        ["timeout", "150", emacs, "--batch", "-l", init_el, "-l", ROOT / "tests/e2e/emacs.el"],
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
    assert seen["line"] in lines_of_the_spin(source)
    assert "labels.py" in seen["message"]
    assert "processes:\n" in seen["hover"]
    assert any(title.startswith("Stop process") for title in seen["titles"])
    assert seen["explanation"].startswith("linnix: ")
    assert "Stop process" in seen["question"]
    assert seen["result"] == "stopped"
