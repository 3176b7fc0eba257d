"""Core values as JSON and back, with their type's name: ``{"Forked": {...}}``.

Used where values leave a process: the agent's socket and trace files. What comes back is
validated by pydantic, because both can be anything.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

Value = TypeVar("Value")


class CodecError(ValueError):
    """Not one of the expected types, or wrong fields."""


class Adapter(Generic[Value]):
    """pydantic's of one type, made when it is used first: to make all of them would take longer
    than all else that a process does at its start.
    """

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    @cached_property
    def _made(self) -> TypeAdapter[Value]:
        return TypeAdapter(self._kind)

    def prepare(self) -> None:
        """Make it now, while there is time."""
        self._made  # noqa: B018

    def validate_python(self, plain: Any) -> Value:
        """Raises: ValidationError: it is no such value."""
        return self._made.validate_python(plain)

    def dump_plain(self, value: Value) -> Any:
        """JSON-ready."""
        return self._made.dump_python(value, mode="json")

    def dump_json(self, value: Value) -> bytes:
        """As JSON, for what is much."""
        return self._made.dump_json(value)


class TaggedCodec:
    """Writes and reads values of the given dataclasses.

    Args:
        types: by their names, which are part of the format.
    """

    def __init__(self, *types: type) -> None:
        self._adapters: dict[str, Adapter[Any]] = {t.__name__: Adapter(t) for t in types}

    def dump(self, value: Any) -> dict[str, Any]:
        """A JSON-ready object."""
        name = type(value).__name__
        return {name: self._adapters[name].dump_plain(value)}

    def load(self, tagged: Any) -> Any:
        """The value again.

        Raises:
            CodecError: it is none.
        """
        if not isinstance(tagged, dict) or len(tagged) != 1:
            raise CodecError("expected an object with one member, the type's name")
        [(name, fields)] = tagged.items()
        adapter = self._adapters.get(name)
        if adapter is None:
            raise CodecError(f"unknown type {name!r}")
        try:
            return adapter.validate_python(fields)
        except ValidationError as error:
            raise CodecError(f"{name}: {error.errors()[0]['msg']}") from None
