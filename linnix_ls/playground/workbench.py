"""What an editor needs beside a playground: see `base.Workbench`. Joins what is known elsewhere:
who may load (`permission`), where things stand in a source (`c_source`), and the user's copies
(`own_parts`)."""

from __future__ import annotations

import functools
import os

from linnix_ls.playground import permission
from linnix_ls.playground.base import Places
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.own_parts import OwnParts


class LocalWorkbench(OwnParts):
    """Of this process, whose user is the one that an agent will see."""

    def require_load(self) -> None:
        """See `base.Workbench`."""
        groups = frozenset(os.getgroups())
        permission.require_load(permission.Client(os.getpid(), os.geteuid(), os.getegid(), groups))

    def places(self, text: str) -> Places:
        """See `base.Workbench`."""
        return _places(text)


@functools.lru_cache(maxsize=16)  # asked for once a second, of the same texts
def _places(text: str) -> Places:
    source = CSource(text)
    return Places(
        {each.name: each.head.line for each in source.functions}, source.maps, source.senders
    )
