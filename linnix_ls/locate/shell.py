"""Shell scripts. bash reads its script as it goes, and the file offset of its descriptor says
how far it has come; other shells read ahead, so of those only the script is known."""

from __future__ import annotations

import os
import re

from linnix_ls.core.examination import PlaceHint, ProcessFacts
from linnix_ls.core.tree import SHELLS, script_argument
from linnix_ls.locate.base import Reading
from linnix_ls.locate.source import MAX_SOURCE_BYTES, is_user_file, read_lines, resolve

# Where bash keeps the script open (bash's source, shell.c: open_shell_script, fd 255).
_BASH_SCRIPT_FD = 255
_LOOP_START = re.compile(r"^\s*(while|until|for|select)\b|[;&|]\s*(while|until|for|select)\b")
_LOOP_END = re.compile(r"^\s*done\b|[;&]\s*done\b")


class ShellReader:
    """See `locate.base.LanguageReader`."""

    language = "shell"

    def recognises(self, facts: ProcessFacts) -> bool:
        names = {
            os.path.basename(name).lstrip("-") for name in (facts.exe, *facts.argv[:1]) if name
        }
        return bool(names & SHELLS) and script_argument(facts.argv) is not None

    async def read(self, facts: ProcessFacts, *, n_looks: int, interval_s: float) -> Reading:
        path = resolve(script_argument(facts.argv) or "", facts.cwd)
        if path is None or not is_user_file(path):
            return Reading(self.language)
        lines = read_lines(path)
        offset = _bash_offset(facts.key.pid, path)
        if offset is None or not lines:
            hint = PlaceHint(path, 1, None, 0.4, "the script that it runs")
        else:
            last = _line_before(path, offset)
            first = _loop_start(lines, last)
            hint = PlaceHint(
                path,
                first,
                None,
                0.7 if first == last else 0.8,
                "how far bash has read the script",
                end_line=last if last != first else None,
            )
        return Reading(self.language, hints=(hint,))


def _bash_offset(pid: int, script: str) -> int | None:
    try:
        if not os.path.samefile(f"/proc/{pid}/fd/{_BASH_SCRIPT_FD}", script):
            return None
        with open(f"/proc/{pid}/fdinfo/{_BASH_SCRIPT_FD}", encoding="ascii") as file:
            match = re.search(r"^pos:\s*(\d+)", file.read(), re.MULTILINE)
    except OSError:
        return None
    return int(match[1]) if match else None


def _line_before(path: str, offset: int) -> int:
    """The line of the last command that was read: the offset stands just behind it."""
    with open(path, "rb") as file:
        read = file.read(min(offset, MAX_SOURCE_BYTES))
    return max(1, read.rstrip().count(b"\n") + 1)


def _loop_start(lines: list[str], last: int) -> int:
    """Where the loop begins that ends on line `last`; `last` itself when none does."""
    if last > len(lines) or not _LOOP_END.search(lines[last - 1]):
        return last
    n_open = 0
    for number in range(last, 0, -1):
        text = lines[number - 1]
        n_open += len(_LOOP_END.findall(text)) - len(_LOOP_START.findall(text))
        if n_open <= 0:
            return number
    return last
