"""`.trace` files: what an engine was told, one value a line, gzip-compressed.

    {"schema": "linnix-trace/1", "tool": "0.1.0", "tracer": "bcc", …}
    {"Watched": {…}}
    {"Forked": {…}}
    …
    {"end": 1234}

The last line says how many values there are; a file without it was cut off. A recording is sent
around and may be any file: what is no recording is refused in words, and nothing in it is trusted.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, get_args

from pydantic import TypeAdapter, ValidationError

from linnix_ls import __version__
from linnix_ls.codec import CodecError, TaggedCodec
from linnix_ls.core.events import Event
from linnix_ls.errors import TraceFileError

SCHEMA = "linnix-trace/1"
MAX_LINE_BYTES = 32 << 20
MAX_TRACE_BYTES = 1 << 30  # unpacked: hours
_CODEC = TaggedCodec(*get_args(Event))


@dataclass(frozen=True, slots=True)
class TraceHeader:
    """Attributes of the recorded run; `started_ns` is its zero of time (ktime)."""

    tracer: str
    degraded: str | None
    command: tuple[str, ...]
    cwd: str
    started_at: str
    started_ns: int


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole recording.

    Attributes:
        is_truncated: it ends before its end; `events` is what is whole.
    """

    header: TraceHeader
    events: tuple[Event, ...]
    exit_code: int | None
    is_truncated: bool


class TraceWriter:
    """Writes a recording; use as a context manager.

    Raises:
        TraceFileError: the file cannot be written.
    """

    def __init__(self, path: Path, header: TraceHeader) -> None:
        self._path = path
        with self._errors_told():
            self._file = gzip.GzipFile(path, "wb", compresslevel=6, mtime=0)
        self._n_events = 0
        self.exit_code: int | None = None
        fields = {name: getattr(header, name) for name in TraceHeader.__slots__}
        self._write({"schema": SCHEMA, "tool": __version__, **fields})

    def write(self, events: Iterable[Event]) -> None:
        """Append."""
        for event in events:
            self._write(_CODEC.dump(event))
            self._n_events += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc_type is None:
                self._write({"end": self._n_events, "exit_code": self.exit_code})
        finally:
            with self._errors_told():
                self._file.close()

    def _write(self, fields: dict[str, Any]) -> None:
        with self._errors_told():
            self._file.write(json.dumps(fields, separators=(",", ":")).encode() + b"\n")

    @contextlib.contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TraceFileError(f"cannot write {self._path}: {error.strerror}") from error


def read_trace(path: Path) -> Trace:
    """Read a recording; of a truncated one, what is whole.

    Raises:
        TraceFileError: no such file, or it is something else.
    """
    header: TraceHeader | None = None
    events: list[Event] = []
    exit_code: int | None = None
    is_whole = False
    n_bytes = 0
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(MAX_LINE_BYTES):
                n_bytes += len(line)
                if n_bytes > MAX_TRACE_BYTES:
                    raise TraceFileError(f"{path} is too large", fix=_FIX)
                fields = _parse(line)
                if header is None:
                    header = _header(fields, path)
                elif isinstance(fields, dict) and "end" in fields:
                    is_whole = fields["end"] == len(events)
                    exit_code = _EXIT_CODE.validate_python(fields.get("exit_code"))
                else:
                    events.append(_CODEC.load(fields))
    except FileNotFoundError:
        raise TraceFileError(f"{path}: no such file") from None
    except (EOFError, zlib.error):
        pass  # cut off
    except (gzip.BadGzipFile, UnicodeDecodeError, json.JSONDecodeError) as error:
        if header is None:
            raise TraceFileError(f"{path} is not a linnix trace", fix=_FIX) from error
    except (CodecError, ValidationError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise TraceFileError(f"{path}, value {len(events) + 1}: {reason}", fix=_FIX) from error
    except OSError as error:
        raise TraceFileError(f"cannot read {path}: {error.strerror or error}") from error
    if header is None:
        raise TraceFileError(f"{path} is empty, damaged, or cut off before its header", fix=_FIX)
    return Trace(header, tuple(events), exit_code, is_truncated=not is_whole)


_FIX = "record one with `linnix-ls run --record FILE.trace -- CMD`"
_HEADER = TypeAdapter(TraceHeader)
_EXIT_CODE: TypeAdapter[int | None] = TypeAdapter(int | None)


def _header(fields: Any, path: Path) -> TraceHeader:
    schema = fields.get("schema") if isinstance(fields, dict) else None
    if schema != SCHEMA:
        raise TraceFileError(
            f"{path} is not a {SCHEMA} file" + (f" but {schema!r}" if schema else ""), fix=_FIX
        )
    try:
        header = _HEADER.validate_python(fields)
        datetime.fromisoformat(header.started_at)
    except ValueError as error:  # pydantic's, too
        raise TraceFileError(f"{path}: its header is none: {error}", fix=_FIX) from error
    return header


def _parse(line: bytes) -> Any:
    """JSON with numbers as a kernel has them: they are reckoned with."""
    return json.loads(line, parse_int=_int, parse_float=_float, parse_constant=_float)


def _int(text: str) -> int:
    if len(text) > len(str(-(2**63))) or not -(2**63) <= int(text) < 2**64:
        raise CodecError("a number beyond 64 bits")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if not abs(number) < 2**64:
        raise CodecError(f"{text[:20]} is no measurement")
    return number
