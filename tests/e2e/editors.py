"""The editors that tests run: each in the version of the distribution, and in a current one.

TEST_NVIM or TEST_EMACS names one to be tried in their place.
"""

import os
import shutil
import sys
from pathlib import Path

# Not the environment's: it has a Neovim of its own, and is first on PATH where tests run.
SYSTEM = "/usr/local/bin:/usr/bin:/bin"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "linnix-ls")


def versions(name, current):
    """The programs to try, by what they are called in a test's name."""
    if chosen := os.environ.get(f"TEST_{name.upper()}"):
        return {"chosen": chosen}
    found = {"system": shutil.which(name, path=SYSTEM), "current": shutil.which(current)}
    return {label: program for label, program in found.items() if program} or {"none": name}


NEOVIMS = versions("nvim", Path(sys.executable).parent / "nvim")
EMACSES = versions("emacs", CACHE / "emacs-30" / "emacs")


def arguments(editors):
    """Arguments of `pytest.mark.parametrize`."""
    return {"argvalues": list(editors.values()), "ids": list(editors)}


def of(editors):
    """Arguments of `pytest.fixture`."""
    return {"params": list(editors.values()), "ids": list(editors)}
