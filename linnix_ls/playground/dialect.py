"""What is known of probe source before any compiler sees it: its dialect, and where its lines are.

BCC rewrites the source before it compiles it, and its line numbers are those of the rewritten
text. `numbered` adds line directives that survive this.
"""

from __future__ import annotations

import enum
import re

# The name that BCC gives its main file; it prints source annotations for no other.
VIRTUAL_FILE = "/virtual/main.c"


class Dialect(enum.StrEnum):
    BCC = "bcc"
    LIBBPF = "libbpf"


_LIBBPF_SIGN = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]bpf/|\bSEC[ \t]*\(', re.MULTILINE)

# What is no code, or ends a line of it. A directive goes on after a backslash.
_TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*(?:\\\n[^\n]*)*|/\*.*?(?:\*/|\Z))
    |(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |(?P<unclosed>"(?:\\.|[^"\\\n])*+|'(?:\\.|[^'\\\n])*+)
    |(?P<directive>^[ \t]*\#(?:/\*.*?(?:\*/|\Z)|\\\n|[^\n])*+)
    |(?P<brace>[{}])
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


def dialect_of(source: str) -> Dialect:
    """By what it includes and how its programs are marked; BCC's is the native one."""
    return Dialect.LIBBPF if _LIBBPF_SIGN.search(without_comments(source)) else Dialect.BCC


def without_comments(source: str) -> str:
    """The same length and lines, with comments and what is in strings blanked."""

    def blank(match: re.Match[str]) -> str:
        text = match[0]
        if match["comment"]:
            return re.sub(r"[^\n]", " ", text)
        if match["string"]:
            return text[0] + " " * (len(text) - 2) + text[-1] if len(text) > 1 else text
        return text

    return _TOKEN.sub(blank, source)


def numbered(source: str) -> str:
    """With a line directive at the top and after each brace that opens or closes the top level,
    in front of the text that follows it.

    BCC puts lines of its own before the source, before each function and after opening braces.
    """
    parts = [f'#line 1 "{VIRTUAL_FILE}"\n']
    depth = done = 0
    line = 1
    for match in _TOKEN.finditer(source):
        if not match["brace"]:
            continue
        is_opening = match["brace"] == "{"
        depth = depth + 1 if is_opening else max(0, depth - 1)
        if depth == (1 if is_opening else 0):
            end = match.end()
            line += source.count("\n", done, end)
            parts.append(f'{source[done:end]}\n#line {line} "{VIRTUAL_FILE}"\n')
            done = end
    parts.append(source[done:])
    return "".join(parts)
