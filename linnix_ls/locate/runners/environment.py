"""Named variables of a process's environment. Secrets live there: nothing else is kept."""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from linnix_ls import procfs
from linnix_ls.core.examination import ProcessFacts
from linnix_ls.locate.memory import ProcessMemory, UnreadableError, mappings, symbol_addresses

MAX_VALUE_BYTES = 4096
MAX_VARIABLES = 4096
_POINTER_BYTES = 8
# Whose runners tell the test to their own process, in a variable that they set.
_SETS_ITS_OWN = re.compile(r"(python|pypy)[\d.]*")


def read_variables(facts: ProcessFacts, names: Collection[str]) -> dict[str, str]:
    """Those of the variables that are set: as the process has set them since, where that can be
    seen, else as they were at its start."""
    pid = facts.key.pid
    wanted = frozenset(name.encode() for name in names)
    raw = _at_start(pid, wanted)
    if _SETS_ITS_OWN.fullmatch(os.path.basename(facts.exe or "")):
        raw |= _now(facts, wanted)
    stat = procfs.read_stat(pid)
    if stat is None or stat.key != facts.key:
        return {}
    return {name.decode(): procfs.text(value[:MAX_VALUE_BYTES]) for name, value in raw.items()}


def _at_start(pid: int, wanted: frozenset[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for entry in (procfs.read_environ(pid) or b"").split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals and name in wanted:
            found.setdefault(name, value)  # of two, getenv() takes the first
    return found


def _now(facts: ProcessFacts, wanted: frozenset[bytes]) -> dict[bytes, bytes]:
    """From the C library's list of them. It changes under our eyes: what does not look like one
    of the variables is none."""
    found: dict[bytes, bytes] = {}
    try:
        with ProcessMemory(facts.key.pid) as memory:
            entries = memory.pointer(_address_of_environ(facts))
            for index in range(MAX_VARIABLES):
                entry = memory.pointer(entries + index * _POINTER_BYTES)
                if not entry:
                    break
                name, equals, value = memory.string(entry).partition(b"=")
                if equals and name in wanted:
                    found.setdefault(name, value)
    except UnreadableError:
        pass
    return found


def _address_of_environ(facts: ProcessFacts) -> int:
    """A program that uses it has its own copy, and the C library uses that."""
    pid = facts.key.pid
    libraries = (m.path for m in mappings(pid) if os.path.basename(m.path).startswith("libc."))
    for path in (facts.exe, next(libraries, None)):
        if path and (address := symbol_addresses(pid, path, ["environ"]).get("environ")):
            return address
    raise UnreadableError("its environment is not where others have it")
