"""Core values as JSON and back, with their type's name: ``{"Forked": {...}}``.

Used where values leave a process: the agent's socket and trace files. What comes back is
validated by pydantic, because both can be anything.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError


class CodecError(ValueError):
    """Not one of the expected types, or wrong fields."""


class TaggedCodec:
    """Writes and reads values of the given dataclasses.

    Args:
        types: by their names, which are part of the format.
    """

    def __init__(self, *types: type) -> None:
        self._adapters: dict[str, TypeAdapter[Any]] = {t.__name__: TypeAdapter(t) for t in types}

    def dump(self, value: Any) -> dict[str, Any]:
        """A JSON-ready object."""
        name = type(value).__name__
        return {name: self._adapters[name].dump_python(value, mode="json")}

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
