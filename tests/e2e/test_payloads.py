"""The table of hostile texts (`tests.fuzz.test_surfaces`), as it arrives in real editors.

What an editor shows of it, by where, is a surface like those there, and the same must hold of it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import editors
from tests.fuzz.test_surfaces import PAYLOADS, no_controls, one_line

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

NEOVIM = {
    "diagnostic": one_line,
    "diagnostic_float": no_controls,
    "virtual_text": one_line,
    "quickfix": one_line,
    "hover": no_controls,
    "explanation": no_controls,
    "tree": one_line,
}
EMACS = {"diagnostic": one_line, "hover": no_controls}


def shown_by(folder, *command):
    """What an editor shows, by where."""
    source = folder / "source.txt"
    source.write_text("a line that is accused\n" * len(PAYLOADS))
    outcome = folder / "outcome.json"
    server = [sys.executable, "-m", "tests.e2e.scripted_server", str(source), "payloads"]
    words = {
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "SERVER": json.dumps(server),
        "N_FINDINGS": str(len(PAYLOADS)),
        "SOURCE_FILE": str(source),
        "OUTCOME": str(outcome),
    }
    done = subprocess.run(
        ["timeout", "120", *command],
        cwd=folder, env=os.environ | words, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert outcome.exists(), done.stderr
    seen = json.loads(outcome.read_text())
    assert "failed" not in seen, (seen, done.stderr)
    return seen


def holds(seen, surfaces):
    assert seen.keys() == surfaces.keys()
    for surface, must in surfaces.items():
        assert len(seen[surface]) >= len(PAYLOADS), surface
        for shown in seen[surface]:
            must(shown, None)
        assert any("evil.test" in shown for shown in seen[surface]), surface


@pytest.mark.parametrize("neovim", **editors.arguments(editors.NEOVIMS))
def test_what_is_hostile_is_text_in_neovim_wherever_it_is_shown(neovim, tmp_path):
    plugin = f"set runtimepath^={ROOT}/editors/neovim | runtime plugin/linnix.lua"
    script = f"luafile {ROOT}/tests/e2e/neovim_payloads.lua"
    command = [neovim, "--headless", "-n", "-u", "NONE", "-i", "NONE"]
    holds(shown_by(tmp_path, *command, "-c", plugin, "-c", script), NEOVIM)


@pytest.mark.parametrize("emacs", **editors.arguments(editors.EMACSES))
def test_what_is_hostile_is_text_in_emacs(emacs, tmp_path):
    script = ROOT / "tests/e2e/emacs_payloads.el"
    holds(shown_by(tmp_path, emacs, "--batch", "-l", script), EMACS)
