"""Which line of a script or recipe a command line came from.

The script has variables where the command line has values: what is written literally must be
found again, in its order.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from linnix_ls import procfs

MAX_COMMAND_CHARS = 16_384
MAX_CHILDREN = 64
# What the shell or make replaces: $(…) and ${…} with up to two more of them inside, `…`, $x, $@.
_NESTED = r"(?:[^(){}]|[({](?:[^(){}]|[({][^(){}]*[)}])*[)}])*"
_EXPANSION = re.compile(rf"\$[({{]{_NESTED}[)}}]|`[^`]*`|\$\w+|\$[@*#?<^+%!$|-]|[*?]|\{{\}}")
_QUOTES = re.compile(r"[\"'\\]")
_SPACE = re.compile(r"\s+")


def n_literal_characters_matched(template: str, command: str) -> int | None:
    """How many characters of `template`, expansions aside, `command` has in the same order; None
    when it does not begin, go on and end as the template says."""
    chunks = [_plain(chunk) for chunk in _EXPANSION.split(template[:MAX_COMMAND_CHARS])]
    text = _plain(command[:MAX_COMMAND_CHARS])
    if not any(chunk.strip() for chunk in chunks):
        return None
    first, last = chunks[0].lstrip(), chunks[-1].rstrip()
    if len(chunks) == 1:
        whole = first.rstrip()
        return len(whole) if text == whole else None
    if not text.startswith(first) or not text.endswith(last):
        return None
    position = len(first)
    for chunk in chunks[1:-1]:
        # An expansion may be nothing at all, and then the space around it goes too.
        position = text.find(chunk.strip(), position)
        if position < 0:
            return None
        position += len(chunk.strip())
    if position > len(text) - len(last):
        return None
    return sum(len(chunk.strip()) for chunk in chunks)


def best_match(templates: Iterable[str], commands: Sequence[str]) -> int | None:
    """The index of the template with the most literal characters in one of `commands`."""
    best: tuple[int, int] | None = None
    for index, template in enumerate(templates):
        for command in commands:
            n_matched = n_literal_characters_matched(template, command)
            if n_matched and (best is None or n_matched > best[0]):
                best = (n_matched, index)
    return best[1] if best else None


def commands_of_children(pid: int) -> list[str]:
    """The command lines of the living children, as a script would have them: the program by its
    name and by its path, and what a shell was given with -c."""
    commands: list[str] = []
    for child in procfs.children_of(pid)[:MAX_CHILDREN]:
        commands += spellings(procfs.read_argv(child))
    return commands


def spellings(argv: Sequence[str]) -> list[str]:
    """How a command line may have been written that became `argv`."""
    if not argv:
        return []
    found = _with_path_and_without(argv)
    for option, value in pairwise(argv[1:4]):
        if option.startswith("-") and not option.startswith("--") and option.endswith("c"):
            found.append(value)
    if len(argv) > 1 and not argv[1].startswith("-"):
        found += _with_path_and_without(argv[1:])  # an interpreter from the script's first line
    return found


def _with_path_and_without(argv: Sequence[str]) -> list[str]:
    return [" ".join(argv), " ".join([os.path.basename(argv[0]), *argv[1:]])]


def _plain(text: str) -> str:
    return _SPACE.sub(" ", _QUOTES.sub("", text))
