"""LSP values into ours."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from lsprotocol import types


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
    name = os.fsdecode(unquote_to_bytes(parts.path))
    return None if "\0" in name else name


def client_commands(capabilities: types.ClientCapabilities) -> frozenset[str]:
    """The commands of ours that the client itself can do, by its
    ``experimental.linnix.commands``."""
    found: Any = capabilities.experimental
    for name in ("linnix", "commands"):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, list | tuple):
        return frozenset()
    return frozenset(each for each in found if isinstance(each, str))
