"""In which language the line to change is written, and advice that depends on it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from linnix_ls.core.findings import Finding, Kind

# What to do, by language; "" for languages without words of their own.
Advice = Mapping[str, tuple[str, ...]]

_SUFFIXES = {
    **dict.fromkeys(("py", "pyw", "pyx"), "python"),
    **dict.fromkeys(("js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"), "node"),
    "java": "java",
    "c": "c",
    **dict.fromkeys(("cc", "cpp", "cxx", "c++", "hpp", "hh", "hxx", "ipp"), "cpp"),
    "rs": "rust",
    **dict.fromkeys(("sh", "bash", "bats", "ksh"), "shell"),
    "mk": "make",
    **dict.fromkeys(("pl", "pm", "t"), "perl"),
}
_NAMES = {"makefile": "make", "gnumakefile": "make", "package.json": "npm"}
_PROGRAMS = {
    **dict.fromkeys(("python", "pypy"), "python"),
    **dict.fromkeys(("node", "nodejs", "bun", "deno"), "node"),
    "java": "java",
    **dict.fromkeys(("sh", "bash", "dash", "ksh"), "shell"),
    **dict.fromkeys(("make", "gmake"), "make"),
    "perl": "perl",
}

_STARTED_HERE = re.compile(r"process (?:(\d{1,9}) started it here|that started it)")


def language_of(finding: Finding) -> str:
    """By the file's name, or by what runs it; empty when neither tells."""
    location = finding.location
    # Of a program whose own line is not known, the language of who started it says nothing.
    is_elsewhere = finding.kind in (Kind.CPU_SPIN, Kind.MEMORY_RUNAWAY) and is_spawn_site(finding)
    if location is not None and not is_elsewhere:
        name = location.path.rsplit("/", 1)[-1].lower()
        suffix = name.rpartition(".")[2] if "." in name else ""
        if suffix == "h":
            others = [other.path.lower() for other in finding.other_locations]
            is_cpp = "::" in (location.function or "") or any(
                _SUFFIXES.get(path.rpartition(".")[2]) == "cpp" for path in others
            )
            return "cpp" if is_cpp else "c"
        if language := _NAMES.get(name) or _SUFFIXES.get(suffix):
            return language
        # A script without a suffix, if it is what the process runs.
        if suffix or not any(word.lower().endswith(name) for word in finding.process.argv[1:]):
            return ""
    program = (finding.process.argv or (finding.process.exe or finding.process.comm,))[0]
    name = program.rsplit("/", 1)[-1].removeprefix("-")
    return _PROGRAMS.get(name.rstrip("0123456789."), "")


def is_spawn_site(finding: Finding) -> bool:
    """Whether the place is where the process was started, and not in what it runs itself. Tells by
    the reasons that `locate` and `attribution` give for a place."""
    reason = finding.location.reason if finding.location else ""
    if match := _STARTED_HERE.search(reason):
        return match[1] is None or int(match[1]) != finding.process.key.pid
    return "call that starts" in reason and finding.kind is not Kind.FORK_STORM


def advice_for(advice: Advice, language: str, *, instead: Advice | None = None) -> tuple[str, ...]:
    """The lines for that language, or those for any.

    Args:
        instead: asked for that language before the lines for any are taken.
    """
    languages = (language, "c") if language == "cpp" else (language,)
    for table in (advice, instead or {}):
        for name in languages:
            if name in table:
                return table[name]
    return advice[""]
