"""Whether what a probe attaches to is there, by what the kernel says of itself.

Loading tells nothing of it: a program for a tracepoint that does not exist loads, and fails only
when it is attached. Nothing is attached here.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from linnix_ls.playground.base import Problem, Severity, Span
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.knowledge.tracepoints import TRACEFS_FOLDERS, event_record_bytes

BTF = Path("/sys/kernel/btf/vmlinux")

_BCC = re.compile(
    r"\b(?P<macro>TRACEPOINT_PROBE|RAW_TRACEPOINT_PROBE|KFUNC_PROBE|KRETFUNC_PROBE)\s*\("
    r"\s*(?P<first>\w+)\s*(?:,\s*(?P<second>\w+))?|\b(?P<prefix>k(?:ret)?probe__)(?P<function>\w+)\s*\("
)
# Not one that a macro puts together of parts: SEC("tp/syscalls/sys_enter_" #NAME).
_SECTION = re.compile(r'\bSEC\s*\(\s*"\??(?P<kind>[a-z_.]+)(?:/(?P<target>[^"]*))?"\s*\)')
_TRACEPOINTS = ("tp", "tracepoint")
_RAW = ("raw_tp", "raw_tracepoint", "raw_tp.w", "raw_tracepoint.w", "tp_btf")
_KPROBES = ("kprobe", "kretprobe", "kprobe.multi", "kretprobe.multi", "ksyscall", "kretsyscall")
_TRAMPOLINES = ("fentry", "fexit", "fentry.s", "fexit.s", "fmod_ret", "fmod_ret.s")


@dataclass(frozen=True)
class Kernel:
    """What this kernel has.

    Attributes:
        tracepoints: "category:event"; None where they cannot be read.
        raw_tracepoints: their names; None where the kernel does not describe its types.
        has_kprobes, has_trampolines: whether programs of that kind can be attached.
    """

    tracepoints: frozenset[str] | None
    raw_tracepoints: frozenset[str] | None
    has_kprobes: bool
    has_trampolines: bool


@functools.cache
def this_kernel() -> Kernel:
    """Read once: 2 ms."""
    tracefs = next((each for each in TRACEFS_FOLDERS if _can_list(each / "events")), None)
    tracepoints = None
    if tracefs is not None:
        try:
            tracepoints = frozenset((tracefs / "available_events").read_text().split())
        except OSError:
            tracepoints = None
    try:
        raw = frozenset(
            name.decode() for name in re.findall(rb"\0btf_trace_(\w+)(?=\0)", BTF.read_bytes())
        )
    except OSError:
        raw = frozenset()
    return Kernel(
        tracepoints,
        raw or None,
        has_kprobes=os.path.exists("/sys/bus/event_source/devices/kprobe"),
        has_trampolines=tracefs is not None and (tracefs / "available_filter_functions").exists(),
    )


def _can_list(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def record_bytes(section: str) -> int | None:
    """How long the record is of a tracepoint, ``tp/category/event``; None where it is not known."""
    kind, _, target = section.lstrip("?").partition("/")
    if kind not in _TRACEPOINTS or not re.fullmatch(r"\w+/\w+", target):
        return None
    return event_record_bytes(*target.split("/"))


def problems(source: CSource, kernel: Kernel) -> list[Problem]:
    """Of each target that is not there, in words."""
    found = []
    for span, kind, target in _targets(source):
        if message := _missing(kind, target, kernel):
            found.append(Problem(span, Severity.ERROR, "attach/no-such-target", message))
    return found


def _targets(source: CSource) -> Iterator[tuple[Span, str, str]]:
    for line in range(1, len(source.lines) + 1):
        code = source.code(line)
        for match in _BCC.finditer(code):
            span = Span(line, match.start() + 1, match.end() + 1)
            if match["prefix"]:
                yield span, "kprobe", match["function"]
            elif match["macro"] == "TRACEPOINT_PROBE" and match["second"]:
                yield span, "tp", f"{match['first']}/{match['second']}"
            elif match["macro"] == "RAW_TRACEPOINT_PROBE":
                yield span, "raw_tp", match["first"]
            elif match["macro"].startswith("K"):
                yield span, "fentry", match["second"] or match["first"]
        if "SEC" in code:
            for match in _SECTION.finditer(source.lines[line - 1]):
                yield (
                    Span(line, match.start() + 1, match.end() + 1),
                    match["kind"],
                    match["target"] or "",
                )


def _missing(kind: str, target: str, kernel: Kernel) -> str | None:
    if kind in _KPROBES and not kernel.has_kprobes:
        return (
            "this kernel is built without kprobes: nothing can be attached to its functions."
            " Fix: use a tracepoint"
        )
    if kind in _TRAMPOLINES and not kernel.has_trampolines:
        return (
            f"this kernel cannot attach {kind.split('.', maxsplit=1)[0]} programs to its functions."
            " Fix: use a tracepoint"
        )
    if kind in _TRACEPOINTS and kernel.tracepoints is not None and target:
        wanted = target.replace("/", ":", 1)
        if wanted not in kernel.tracepoints:
            return _none_like(
                "tracepoint", target, (t.replace(":", "/", 1) for t in kernel.tracepoints)
            )
    raw = kernel.raw_tracepoints
    if kind in _RAW and raw is not None and target and target not in raw:
        return _none_like("tracepoint", target, raw)
    return None


def _none_like(what: str, target: str, there: Iterable[str]) -> str:
    near = difflib.get_close_matches(target, list(there), n=2, cutoff=0.6)
    fix = (
        f"did you mean {' or '.join(near)}?"
        if near
        else "`perf list` or tracefs list what there is"
    )
    return f"this kernel has no {what} {target}. Fix: {fix}"
