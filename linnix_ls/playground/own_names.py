"""Takes the kernel's declarations out of the way of a BCC source's own.

All types of the kernel are declared before the source (`tracer.kernel_headers`), and a probe's
``struct event`` would be the second of that name. Nobody who writes one means the kernel's, so
the kernel's is called something else while this source is compiled.
"""

from __future__ import annotations

import re

from linnix_ls.playground.dialect import without_comments

_TAG = re.compile(r"\b(?:struct|union|enum)\s+(\w+)\s*\{")
_ENUM = re.compile(r"\benum\b[^{};]*\{([^{}]*)\}")
_ENUMERATOR = re.compile(r"(\w+)[^,]*(?:,|$)")
# At file scope, what stands before these is declared: a typedef, a variable, a function.
_NAME = re.compile(r"\b(\w+)\s*(?:\[[^\]]*\]\s*)*(?:[;=]|\([^;{}]*\)\s*\{)")
_VALUE = re.compile(r"=[^;{]*;")
_MAP = re.compile(r"^[ \t]*BPF_\w+\s*\(\s*(\w+)", re.MULTILINE)


def renamed(declarations: str, source: str) -> str | None:
    """The kernel's declarations with other names for what the source declares itself; None where
    nothing clashes."""
    code = without_comments(source)
    tags = _declared(set(_TAG.findall(code)), r"^(?:struct|union|enum) ({}) \{{", declarations)
    enumerators = {name for body in _ENUM.findall(code) for name in _ENUMERATOR.findall(body)}
    outside = _VALUE.sub("=;", _file_scope(code))
    others = set(_MAP.findall(code)) | set(_NAME.findall(outside)) | enumerators
    constants = _declared(others, r"^\t({})(?: = -?\w+)?,$", declarations)
    types = _declared(others, r"^(?:typedef .*\b|\}} )({});$", declarations)
    if not (tags or constants or types):
        return None
    for names, pattern in (
        (tags, r"\b(?:struct|union|enum) \b(?:{})\b"),
        (constants, r"^\t(?:{})\b(?=(?: = -?\w+)?,$)"),
        (types, r"^(?:typedef .*\b|\}} )(?:{})(?=;$)"),
        (types, r"(?<!struct )(?<!union )(?<!enum )\b(?:{})\b(?=[ )]*[\w*(])"),
    ):
        if names:
            declarations = re.sub(
                pattern.format("|".join(sorted(names))),
                r"\g<0>___of_the_kernel",
                declarations,
                flags=re.MULTILINE,
            )
    return declarations


def _file_scope(code: str) -> str:
    """Without what is in braces."""
    kept, depth, start = [], 0, 0
    for match in re.finditer(r"[{}]", code):
        if match[0] == "{":
            if depth == 0:
                kept.append(code[start : match.end()])
            depth += 1
        else:
            depth = max(0, depth - 1)
            start = match.start() if depth == 0 else start
    return "".join([*kept, code[start:] if depth == 0 else ""])


def _declared(names: set[str], pattern: str, declarations: str) -> set[str]:
    """Those that the kernel has, too."""
    if not names:
        return set()
    expression = pattern.format("|".join(sorted(names)))
    return set(re.findall(expression, declarations, re.MULTILINE))
