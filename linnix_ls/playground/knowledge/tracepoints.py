"""The kernel's tracepoints: categories, events, and the fields of their records.

tracefs has them all, for root. An agent can pass on what it reads there (`as_json`); without one
there is still what the kernel's types (BTF, for everyone) tell: the names of all tracepoints and
the arguments of the raw ones, and the fields of those that have a record of their own.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from linnix_ls.playground.knowledge.btf import Btf, Kind, Member

TRACEFS_FOLDERS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
_MAX_FORMAT_BYTES = 64 << 10

_FIELD = re.compile(
    r"^\s*field:(?P<declaration>[^;]+);\s*offset:(?P<offset>\d+);\s*size:(?P<size>\d+);"
    r"(?:\s*signed:(?P<signed>\d))?",
    re.MULTILINE,
)
_NAME = re.compile(r"(\w+)\s*((?:\[[^\]]*\])*)\s*$")
_DATA_LOC = re.compile(r"__(?:data|rel)_loc\b")
# What every record begins with; BCC does not give it to probes.
_COMMON = "common_"
_TRACE_ITER = "__traceiter_"
_RECORD = "trace_event_raw_"
_SYSCALL = "__x64_sys_"
_COMPAT = re.compile(r"(?:16|32|_64)$")  # in the table for the sake of older programs' ABI
_BARE = "_tp"  # a tracepoint that is no event of tracefs
# Categories by how their events begin, for who may not read tracefs. Only those of which all
# events of that name are there.
_CATEGORIES = {
    "sched_": "sched",
    "signal_": "signal",
    "block_": "block",
    "irq_handler_": "irq",
    "softirq_": "irq",
    "timer_": "timer",
    "hrtimer_": "timer",
    "workqueue_": "workqueue",
    "writeback_": "writeback",
    "mm_vmscan_": "vmscan",
    "mm_filemap_": "filemap",
    "mm_compaction_": "compaction",
    "oom_": "oom",
    "cgroup_": "cgroup",
    "tcp_": "tcp",
    "netif_": "net",
    "ext4_": "ext4",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a tracepoint's record.

    Attributes:
        name: as the kernel calls it; in BCC a text of variable length is ``data_loc_NAME``.
        declaration: in C, as the kernel says it: ``__data_loc char[] filename``.
        offset: in bytes; None where it is not known.
        size: in bytes.
    """

    name: str
    declaration: str
    offset: int | None
    size: int | None
    is_signed: bool = False

    @property
    def is_data_loc(self) -> bool:
        """Whether the record has only where the text is, and how long."""
        return bool(_DATA_LOC.search(self.declaration))

    @property
    def bcc_name(self) -> str:
        return f"data_loc_{self.name}" if self.is_data_loc else self.name

    @property
    def bcc_declaration(self) -> str:
        """As BCC declares it in the struct behind `args`."""
        if self.is_data_loc:
            return f"int {self.bcc_name}"
        match = re.fullmatch(r"(.*?)((?:\[[^\]]*\])+)\s*(\w+)", self.declaration)  # char[16] comm
        return f"{match[1].strip()} {match[3]}{match[2]}" if match else self.declaration


@dataclass(frozen=True, slots=True)
class Event:
    """A tracepoint. `fields` is empty where they cannot be read; `print_format` likewise."""

    category: str
    name: str
    fields: tuple[Field, ...]
    print_format: str


class Tracepoints:
    """Those of one kernel.

    Args:
        names: events by category.
        formats: the text of each event's `format` file, as far as it was passed on.
        folder: tracefs' events, if they can be read.
        has_all_names: whether `names` has all categories.
    """

    def __init__(
        self,
        names: Mapping[str, Iterable[str]],
        btf: Btf | None,
        *,
        formats: Mapping[str, Mapping[str, str]] | None = None,
        folder: Path | None = None,
        has_all_names: bool = True,
    ) -> None:
        self._names = {category: sorted(events) for category, events in sorted(names.items())}
        self._btf = btf
        self._formats = formats or {}
        self._folder = folder
        self.has_all_names = has_all_names
        self.event = functools.lru_cache(maxsize=256)(self._event)

    @property
    def categories(self) -> list[str]:
        return list(self._names)

    def events(self, category: str) -> list[str]:
        return self._names.get(category, [])

    @functools.cached_property
    def raw(self) -> list[str]:
        """The names of all, as raw tracepoints."""
        if self._btf is None:
            return []
        names = self._btf.names(Kind.FUNC, _TRACE_ITER, 1 << 16)
        return [name.removeprefix(_TRACE_ITER) for name in names]

    def raw_arguments(self, name: str) -> list[str] | None:
        """What a raw tracepoint hands over, as declarations; None if there is none of that name."""
        if self._btf is None:
            return None
        function = self._btf.find(_TRACE_ITER + name, Kind.FUNC)
        return None if function is None else self._btf.arguments(function)[1:]

    def _event(self, category: str, name: str) -> Event | None:
        if name not in self._names.get(category, ()):
            return None
        text = self._formats.get(category, {}).get(name) or self._read(category, name)
        if text:
            return parse_format(category, name, text)
        return Event(category, name, self._record_fields(name), "")

    def _read(self, category: str, name: str) -> str:
        if self._folder is None:
            return ""
        return _read_format(self._folder / category / name / "format")

    def _record_fields(self, name: str) -> tuple[Field, ...]:
        record = self._btf.find(_RECORD + name) if self._btf else None
        if self._btf is None or record is None:
            return ()
        members = self._btf.members(record)
        # The first is the common part, `__data` what texts point to.
        return tuple(_field_of(each) for each in members[1:] if each.name != "__data")


def _field_of(member: Member) -> Field:
    if member.name.startswith("__data_loc_"):
        name = member.name.removeprefix("__data_loc_")
        return Field(name, f"__data_loc char[] {name}", member.offset, member.size)
    return Field(member.name, member.declaration, member.offset, member.size)


def parse_format(category: str, name: str, text: str) -> Event:
    """What a `format` file says."""
    fields = []
    for match in _FIELD.finditer(text):
        declaration = " ".join(match["declaration"].split()).replace(" * ", " *")
        named = _NAME.search(declaration)
        if named is None or named[1].startswith(_COMMON):
            continue
        fields.append(
            Field(
                named[1],
                declaration,
                int(match["offset"]),
                int(match["size"]),
                match["signed"] == "1",
            )
        )
    _, _, print_format = text.partition("print fmt: ")
    return Event(category, name, tuple(fields), print_format.strip())


def event_record_bytes(category: str, name: str) -> int | None:
    """How long an event's record is, with what all records begin with; None where tracefs does
    not tell."""
    for root in TRACEFS_FOLDERS:
        if text := _read_format(root / "events" / category / name / "format"):
            ends = (int(field["offset"]) + int(field["size"]) for field in _FIELD.finditer(text))
            return max(ends, default=None)
    return None


def from_tracefs(btf: Btf | None) -> Tracepoints | None:
    """None where it is not there or we may not look."""
    for root in TRACEFS_FOLDERS:
        names: dict[str, list[str]] = {}
        try:
            for line in (root / "available_events").read_text().split():
                category, _, event = line.partition(":")
                names.setdefault(category, []).append(event)
            (root / "events" / "sched").stat()
        except OSError:
            continue
        return Tracepoints(names, btf, folder=root / "events")
    return None


def from_types(btf: Btf | None) -> Tracepoints:
    """As much as the kernel's types tell."""
    names: dict[str, set[str]] = {}
    if btf is not None:
        for function in btf.names(Kind.FUNC, _TRACE_ITER, 1 << 16):
            event = function.removeprefix(_TRACE_ITER)
            for start, category in _CATEGORIES.items():
                if event.startswith(start) and not event.endswith(_BARE):
                    names.setdefault(category, set()).add(event)
        calls = [name.removeprefix(_SYSCALL) for name in btf.names(Kind.FUNC, _SYSCALL, 1 << 12)]
        calls = [call for call in calls if not _COMPAT.search(call)]
        if calls:
            names["syscalls"] = {f"sys_{way}_{call}" for way in ("enter", "exit") for call in calls}
    return Tracepoints(names, btf, has_all_names=False)


def from_json(content: object, btf: Btf | None) -> Tracepoints | None:
    """What an agent has passed on; None if it is nothing of that kind."""
    if not isinstance(content, dict) or not content:
        return None
    formats = {
        str(category): {str(name): str(text) for name, text in events.items()}
        for category, events in content.items()
        if isinstance(events, dict)
    }
    return Tracepoints(formats, btf, formats=formats)


def as_json() -> str:
    """All that tracefs has, for `from_json`: 2 MB, in 0.1 s. ``{}`` where it cannot be read."""
    for root in TRACEFS_FOLDERS:
        found: dict[str, dict[str, str]] = {}
        try:
            for category in os.scandir(root / "events"):
                if category.is_dir():
                    formats = {
                        event.name: _read_format(Path(event.path, "format"))
                        for event in os.scandir(category.path)
                        if event.is_dir()
                    }
                    found[category.name] = {name: text for name, text in formats.items() if text}
        except OSError:
            continue
        return json.dumps({name: events for name, events in found.items() if events})
    return "{}"


def _read_format(path: Path) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MAX_FORMAT_BYTES)
    except OSError:
        return ""
