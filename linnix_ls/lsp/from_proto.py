"""LSP values into ours."""

from __future__ import annotations

import os
from urllib.parse import unquote_to_bytes, urlsplit


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
