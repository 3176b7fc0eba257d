"""LSP values into ours."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from lsprotocol import types

from linnix_ls.core.text import without_surrogates


def path(uri: str) -> str | None:
    """The local file that `uri` names; None for other schemes and for malformed URIs.

    Percent-encoded bytes that are no UTF-8 come through: file names are bytes.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme != "file" or not parts.path.startswith("/"):
        return None
    # What JSON can write and UTF-8 cannot is no name of a file.
    name = os.fsdecode(unquote_to_bytes(without_surrogates(parts.path)))
    return None if "\0" in name else name


def client_commands(capabilities: types.ClientCapabilities) -> frozenset[str]:
    """The commands of ours that the client itself can do, by its
    ``experimental.linnix.commands``."""
    found = _experimental(capabilities, "commands")
    if not isinstance(found, list | tuple):
        return frozenset()
    return frozenset(each for each in found if isinstance(each, str))


def hovers_with_message(capabilities: types.ClientCapabilities) -> bool:
    """Whether the client itself puts the diagnostic's message into a hover, by its
    ``experimental.linnix.message_in_hover``."""
    return _experimental(capabilities, "message_in_hover") is True


def is_trusted(capabilities: types.ClientCapabilities) -> bool:
    """Whether the user trusts what is in the workspace, unless the client says otherwise by its
    ``experimental.linnix.is_trusted``."""
    return _experimental(capabilities, "is_trusted") is not False


def _experimental(capabilities: types.ClientCapabilities, name: str) -> Any:
    found: Any = capabilities.experimental
    for each in ("linnix", name):
        found = found.get(each) if isinstance(found, dict) else None
    return found
