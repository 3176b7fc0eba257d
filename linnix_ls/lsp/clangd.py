"""Whether clangd looks after a file as well. A server is not told who else is there."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Literal

from linnix_ls.playground.base import CLANGD_MARK
from linnix_ls.sources import read_source

ClangdChoice = Literal["auto", "on", "off"]
_MAX_FOLDERS = 40


def is_attached(choice: ClangdChoice, path: str) -> bool:
    """By the setting `playground.clangd`; ``auto``: where clangd would find a configuration of
    ours for the file at `path`, someone wants it to be used."""
    if choice != "auto":
        return choice == "on"
    return any(
        (content := read_source(os.path.join(folder, ".clangd"))) is not None
        and content.startswith(CLANGD_MARK.encode())
        for folder in PurePath(path).parents[:_MAX_FOLDERS]
    )
