"""Java: thread dumps by the JVM's own attach mechanism, as jstack takes them, without starting a
JVM of our own for each.

For a dump the JVM stops its threads at three safepoints, 0.5 ms in all; where one of them is in a
loop without a safepoint poll the others wait for it, and we do, but not longer than
`DUMP_TIMEOUT_S`. The first dump starts the JVM's attach listener: a thread, and a socket
``/tmp/.java_pid…``. It is asked for by a signal, which is sent only when it is handled, and never
where the user's settings forbid it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import signal
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass

from linnix_ls import procfs
from linnix_ls.core.examination import ProcessFacts, StackFrame, StackSnapshot
from linnix_ls.locate.base import Reading
from linnix_ls.locate.frames import frame_at, hints_of
from linnix_ls.locate.owner import Owner, files_as, owner_of
from linnix_ls.locate.source import resolve
from linnix_ls.rights import Rights, who_asks
from linnix_ls.sources import is_file, is_folder, walk

MAX_LOOKS = 4
MAX_DEADLOCKED = 6
PAUSE_BETWEEN_LOOKS_S = 0.04
DUMP_TIMEOUT_S = 1.5
LISTENER_TIMEOUT_S = 1.0
MAX_DUMP_BYTES = 8 << 20
MAX_FRAMES = 128
MAX_BYSTANDERS = 64
MAX_FOLDERS = 4_000
MAX_DEPTH = 14
INDEX_KEPT_S = 30

# What follows a thread's name. That is the program's to choose, and may hold all of this, too: the
# few words between the two are counted, or a long one would be looked at from each of its places.
_THREAD = re.compile(
    r"\bcpu=(?P<cpu_ms>[0-9]{1,15}(?:\.[0-9]{1,9})?)ms (?:\S{1,200} ){0,8}?"
    r"nid=(?:0x(?P<hex_tid>[0-9a-f]{1,8})|(?P<tid>[0-9]{1,10})) (?P<doing>.*)$"
)
_FRAME = re.compile(r"^\tat (?:[^/(]*/)?(?P<name>[^(]+)\((?P<file>[^:)]+):(?P<line>[0-9]{1,9})\)$")
_FRAME_WITHOUT_LINE = re.compile(r"^\tat (?:[^/(]*/)?(?P<name>[^(]+)\(")
# What the JVM itself says of threads that wait for each other's monitors, one after the other.
_DEADLOCK = re.compile(
    r'^"(?P<waiting>.{1,200})":\n\s+waiting .*\n\s+which is held by "(?P<holding>.{1,200})"$',
    re.MULTILINE,
)
_REGEX = "java.util.regex."
_GENERATED = re.compile(r"\$\$Lambda\b.*|0x[0-9a-f]+")
_SOURCES = (".java", ".kt", ".scala", ".groovy", ".clj")
_NO_SOURCES = frozenset({"node_modules", "__pycache__", "venv"})


class JavaReader:
    """See `locate.base.LanguageReader`."""

    language = "java"

    def __init__(self, *, may_attach: bool = True) -> None:
        self._may_attach = may_attach

    def recognises(self, facts: ProcessFacts) -> bool:
        home = os.path.dirname(os.path.dirname(facts.exe or ""))
        return bool(home) and is_file(os.path.join(home, "lib", "server", "libjvm.so"))

    async def read(self, facts: ProcessFacts, *, n_looks: int, interval_s: float) -> Reading:
        if not self._may_attach:
            return Reading(self.language, notes=("no Java stack: linnix.attach_to_jvm is off",))
        dumps: list[list[_Thread]] = []
        deadlock: tuple[tuple[str, str], ...] = ()
        note: str | None = None
        if n_looks > 1:
            # What the JVM does for a dump would show in what is measured of it meanwhile.
            await asyncio.sleep(n_looks * interval_s)
        for n in range(min(n_looks, MAX_LOOKS)):
            if n:
                await asyncio.sleep(PAUSE_BETWEEN_LOOKS_S)
            try:
                async with asyncio.timeout(DUMP_TIMEOUT_S):
                    dump = await _thread_dump(facts)
                dumps.append(list(_parse(dump)))
                deadlock = _deadlock(dump)
            except _RefusedError as error:
                note = f"no Java stack: {error}"
                break
            except (OSError, TimeoutError) as error:
                note = f"no Java stack: {error or 'it does not answer'}"
                break
        notes = (note,) if note else ()
        if not dumps:
            return Reading(self.language, notes=notes)
        sources = await asyncio.to_thread(_sources_around, facts)
        stacks = _telling_thread(
            [[thread.snapshot(sources) for thread in dump] for dump in dumps], dumps
        )
        if not any(look.is_in_user_code for look in stacks):
            return Reading(self.language, notes=notes)
        tid = stacks[0].tid
        others = [t.snapshot(sources) for t in dumps[-1][:MAX_BYSTANDERS] if t.tid != tid]
        hints = hints_of(stacks, self.language)
        return Reading(self.language, tuple(stacks), hints, notes, tuple(others), deadlock=deadlock)


class _RefusedError(Exception):
    """Why there will be no dump."""


@dataclass(frozen=True, slots=True)
class _Thread:
    """One thread of one dump."""

    tid: int
    cpu_ms: float
    doing: str
    frames: tuple[tuple[str, str | None, int | None], ...]  # Class.method, file, line

    def snapshot(self, sources: dict[str, list[str]]) -> StackSnapshot:
        frames = tuple(_frame(name, file, line, sources) for name, file, line in self.frames)
        first_user = next((i for i, frame in enumerate(frames) if frame.is_user_code), 0)
        is_in_regex = any(name.startswith(_REGEX) for name, _, _ in self.frames[:first_user])
        return StackSnapshot(
            self.tid,
            frames,
            is_running=self.doing.startswith("runnable"),
            native_leaf="regex" if is_in_regex else None,
        )


async def _thread_dump(facts: ProcessFacts) -> str:
    """The text of a dump.

    Raises:
        _RefusedError, OSError, TimeoutError
    """
    pid = facts.key.pid
    owner = owner_of(pid)
    if owner is None:
        raise _RefusedError("it has gone, or runs in a container")
    socket_path = f"/tmp/.java_pid{pid}"  # noqa: S108 - the JVM looks there
    if not _is_socket(socket_path):
        await _start_listener(facts, owner, socket_path)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        with files_as(owner):
            connection.connect(socket_path)
    except OSError:
        connection.close()
        raise
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=1 << 20)
    try:
        writer.write(b"1\0threaddump\0\0\0\0")
        await writer.drain()
        out = bytearray()
        while len(out) < MAX_DUMP_BYTES and (part := await reader.read(1 << 16)):
            out += part
    finally:
        writer.close()
    status, _, text = out.decode("utf-8", "backslashreplace").partition("\n")
    if status != "0":
        raise _RefusedError(f"the JVM answers {status[:20]!r}")
    return text


async def _start_listener(facts: ProcessFacts, owner: Owner, socket_path: str) -> None:
    pid = facts.key.pid
    if not facts.argv:
        raise _RefusedError("its arguments are not known")
    if any("DisableAttachMechanism" in argument for argument in facts.argv):
        raise _RefusedError("it is told to refuse (DisableAttachMechanism)")
    caught = re.search(
        rb"\nSigCgt:\s*([0-9a-f]+)", procfs.read_bytes(f"/proc/{pid}/status", 1 << 14) or b""
    )
    if caught is None or not int(caught[1], 16) >> (signal.SIGQUIT - 1) & 1:
        raise _RefusedError("it does not handle SIGQUIT")
    # That this file is there when the signal comes tells the JVM not to print a dump instead.
    trigger = f"/tmp/.attach_pid{pid}"  # noqa: S108 - and there
    with contextlib.suppress(FileExistsError), files_as(owner):
        os.close(os.open(trigger, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
    try:
        process = os.pidfd_open(pid)
        try:
            current = procfs.read_stat(pid)
            if current is None or current.key != facts.key:
                raise _RefusedError("it has gone")
            signal.pidfd_send_signal(process, signal.SIGQUIT)
        finally:
            os.close(process)
        deadline = time.monotonic() + LISTENER_TIMEOUT_S
        while not _is_socket(socket_path):
            if time.monotonic() > deadline:
                raise _RefusedError("it does not start its attach listener")
            await asyncio.sleep(0.01)
    finally:
        with contextlib.suppress(OSError), files_as(owner):
            os.unlink(trigger)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def _parse(dump: str) -> Iterator[_Thread]:
    for block in dump.split("\n\n"):
        lines = block.lstrip("\n").splitlines()
        head = _head(lines[0]) if lines else None
        if head is None:
            continue
        frames: list[tuple[str, str | None, int | None]] = []
        for line in lines[1:]:
            if match := _FRAME.match(line):
                frames.append((match["name"], match["file"], int(match["line"])))
            elif match := _FRAME_WITHOUT_LINE.match(line):
                frames.append((match["name"], None, None))
        if frames:
            yield _Thread(
                int(head["hex_tid"], 16) if head["hex_tid"] else int(head["tid"]),
                float(head["cpu_ms"]),
                head["doing"],
                tuple(frames[:MAX_FRAMES]),
            )


def _head(line: str) -> re.Match[str] | None:
    if not line.startswith('"'):
        return None
    return _THREAD.search(line, line.rfind('" '))


def _deadlock(dump: str) -> tuple[tuple[str, str], ...]:
    """Who waits for whom, by the JVM's own word; () when it found no circle."""
    _, found, text = dump.partition("Java-level deadlock")
    waits = [(match["waiting"], match["holding"]) for match in _DEADLOCK.finditer(text)]
    return tuple(dict.fromkeys(waits))[:MAX_DEADLOCKED] if found else ()


def _telling_thread(
    looks: list[list[StackSnapshot]], dumps: list[list[_Thread]]
) -> list[StackSnapshot]:
    """The stacks of that thread which used the CPU; where none did, of one that waits for a lock
    or else of the first: the main thread. Only those with code of the user's count."""
    with_user_code = {stack.tid for look in looks for stack in look if stack.is_in_user_code}
    first = {thread.tid: thread for thread in reversed(dumps[0]) if thread.tid in with_user_code}
    last = {thread.tid: thread for thread in dumps[-1] if thread.tid in with_user_code}
    order = [thread.tid for thread in dumps[-1] if thread.tid in last]
    if not order:
        return []

    def telling(tid: int) -> tuple[bool, float, bool]:
        used_ms = last[tid].cpu_ms - (first[tid].cpu_ms if tid in first else 0.0)
        is_busy = used_ms > 2.0 * len(dumps)
        return is_busy, used_ms if is_busy else 0.0, "waiting for monitor" in last[tid].doing

    # max() takes the first of equals.
    tid = max(order, key=telling)
    return [stack for look in looks for stack in look if stack.tid == tid]


def _frame(
    name: str, file: str | None, line: int | None, sources: dict[str, list[str]]
) -> StackFrame:
    class_name, _, method = _GENERATED.sub("", name).rpartition(".")
    function = f"{class_name.rpartition('.')[2]}.{method}"
    path = _source_of(class_name, file, sources) if file else None
    if path is None:
        return StackFrame(function, None, None, is_user_code=False)
    return frame_at(function, path, line)


def _source_of(class_name: str, file: str, sources: dict[str, list[str]]) -> str | None:
    """The file of that name, in the folder of the class's package if there are several."""
    package = class_name.rpartition(".")[0].replace(".", "/")
    candidates = sources.get(file, [])
    in_package = [path for path in candidates if os.path.dirname(path).endswith(f"/{package}")]
    if package and in_package:
        return in_package[0]
    # Kotlin's and Scala's folders may leave out the package's beginning, and javac does not care.
    return candidates[0] if len(candidates) == 1 or (candidates and not package) else None


def _sources_around(facts: ProcessFacts) -> dict[str, list[str]]:
    """Source files by name: below the working folder and beside what is on the class path."""
    roots = [facts.cwd] if facts.cwd else []
    for option, value in zip(facts.argv, facts.argv[1:], strict=False):
        if option in ("-cp", "-classpath", "--class-path"):
            for entry in value.split(os.pathsep)[:32]:
                path = resolve(entry, facts.cwd)
                if path is not None and is_folder(path):
                    roots.append(os.path.dirname(path))
    outermost = {
        root
        for root in roots
        if root != "/" and not any(root != o and root.startswith(f"{o}/") for o in roots)
    }
    found: dict[str, list[str]] = {}
    for root in sorted(outermost):
        for name, paths in _index(root, int(time.monotonic() / INDEX_KEPT_S), who_asks()).items():
            found.setdefault(name, []).extend(paths)
    return found


@functools.lru_cache(maxsize=8)
def _index(root: str, _period: int, _for: Rights | None = None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for folder, folders, names in walk(root, MAX_FOLDERS):
        depth = folder.count(os.sep) - root.count(os.sep)
        folders[:] = sorted(
            name
            for name in folders
            if depth < MAX_DEPTH and name[:1] != "." and name not in _NO_SOURCES
        )
        for name in names:
            if name.endswith(_SOURCES):
                found.setdefault(name, []).append(os.path.join(folder, name))
    return found
