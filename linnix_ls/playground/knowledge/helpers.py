"""The kernel's BPF helpers: prototype, text and number, and whether the playground refuses them.

From the comments of the kernel's header ``linux/bpf.h``, from which the manual page bpf-helpers(7)
is made too. The list is closed since Linux 6.1: what is new comes as kfuncs. Without that header
(Debian: linux-libc-dev), the names alone, from the kernel's types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from linnix_ls.playground.knowledge.btf import Btf
from linnix_ls.playground.policy import REFUSED_HELPERS

HEADER = Path("/usr/include/linux/bpf.h")
_BLOCK = re.compile(r"Start of BPF helper function descriptions:(.*?)\*/", re.DOTALL)
_PROTOTYPE = re.compile(r"^ \* (?P<type>[\w ]+?[ *]+)(?P<name>bpf_\w+)\((?P<arguments>.*)\)\s*$")
_NUMBERED = re.compile(r"\bFN\((\w+)(?:,\s*(\d+))?")
_ROLE = re.compile(r"\*\*(.+?)\*\*|(?<![\w*])\*(\w[^*\n]*?)\*(?![\w*])")


# BCC adds the size of the text by itself.
_IN_BCC = {"bpf_trace_printk": ("const char *fmt", "...")}


@dataclass(frozen=True, slots=True)
class Helper:
    """One helper.

    Attributes:
        number: in enum bpf_func_id; None where it is not known.
        arguments: as declarations; None where only the name is known.
        text: what it does and what it returns, in plain words.
        refused: what it does that a probe of the playground may not do; None if it may be called.
        callers: the program types that may call it, of those that the playground allows; None
            where nobody has tried.
    """

    name: str
    number: int | None
    return_type: str
    arguments: tuple[str, ...] | None
    text: str
    refused: str | None
    callers: tuple[str, ...] | None = None

    @property
    def prototype(self) -> str:
        if self.arguments is None:
            return f"{self.name}(…)"
        space = "" if self.return_type.endswith("*") else " "
        return f"{self.return_type}{space}{self.name}({', '.join(self.arguments) or 'void'})"


def read_helpers(
    btf: Btf | None,
    callers: Mapping[str, Iterable[str]] | None = None,
    header: Path = HEADER,
) -> dict[str, Helper]:
    """All that are known, by name.

    Args:
        callers: helpers by program type, as `bpftool feature probe` tells.
    """
    try:
        text = header.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    helpers = parse_header(text)
    numbers = btf.constants("bpf_func_id") if btf else {}
    for constant, number in numbers.items():
        name = constant.replace("BPF_FUNC_", "bpf_", 1)
        if name not in helpers and name.startswith("bpf_") and name != "bpf_unspec":
            helpers[name] = Helper(name, number, "long", None, "", _refused(number))
    if callers:
        helpers = {name: _with_callers(helper, callers) for name, helper in helpers.items()}
    return helpers


def as_bcc_has_them(helpers: dict[str, Helper]) -> dict[str, Helper]:
    """With the arguments that they take in BCC's dialect."""
    return helpers | {
        name: replace(helpers[name], arguments=arguments)
        for name, arguments in _IN_BCC.items()
        if name in helpers
    }


def _with_callers(helper: Helper, callers: Mapping[str, Iterable[str]]) -> Helper:
    who = sorted(kind for kind, names in callers.items() if helper.name in names)
    return replace(helper, callers=tuple(who))


def parse_header(text: str) -> dict[str, Helper]:
    """The helpers that a ``linux/bpf.h`` describes, by name."""
    block = _BLOCK.search(text)
    if block is None:
        return {}
    numbers = {
        f"bpf_{match[1]}": int(match[2]) if match[2] else index
        for index, match in enumerate(_NUMBERED.finditer(text, block.end()))
    }
    found: dict[str, Helper] = {}
    lines: list[str] = []
    head: re.Match[str] | None = None

    def keep() -> None:
        if head is None:
            return
        arguments = [each.strip() for each in head["arguments"].split(",")]
        number = numbers.get(head["name"])
        found[head["name"]] = Helper(
            head["name"],
            number,
            " ".join(head["type"].split()),
            () if arguments in (["void"], [""]) else tuple(arguments),
            _plain(lines),
            _refused(number),
        )

    for line in block[1].splitlines():
        if match := _PROTOTYPE.match(line):
            keep()
            head, lines = match, []
        else:
            lines.append(line.removeprefix(" *").removeprefix(" ").expandtabs(8))
    keep()
    return found


def _refused(number: int | None) -> str | None:
    refused = REFUSED_HELPERS.get(number) if number is not None else None
    return refused.does if refused else None


def _plain(lines: list[str]) -> str:
    """reStructuredText, as the header has it, as paragraphs of plain text."""
    paragraphs: list[str] = []
    is_new = True
    for line in lines:
        text = line.strip()
        if text in ("Description", "Return", ""):
            if text == "Return":
                paragraphs.append("Returns:")
                is_new = False
            else:
                is_new = True
            continue
        text = _ROLE.sub(lambda match: match[1] or match[2], text).replace("\\ ", "")
        if is_new or not paragraphs:
            paragraphs.append(text)
            is_new = False
        else:
            paragraphs[-1] += " " + text
    return "\n\n".join(each for each in paragraphs if each != "Returns:")
