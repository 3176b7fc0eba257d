"""Programs that readers ask (py-spy, addr2line, node): bounded in time and in what they print, and
none is left behind, whatever ends the asking."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from linnix_ls import children
from linnix_ls.locate.owner import Owner

MAX_COMPLAINT_BYTES = 1 << 16


async def ask(
    *argv: str,
    timeout_s: float,
    max_bytes: int,
    owner: Owner | None = None,
    env: Mapping[str, str] | None = None,
) -> tuple[bytes, bytes]:
    """What it prints, and what it complains of; of the former no more than `max_bytes`, and that
    many only if there was more.

    Args:
        owner: whose rights it gets; None: ours.

    Raises:
        TimeoutError: it did not end in time.
        OSError, ValueError: it cannot be started.
    """
    as_owner: dict[str, Any] = (
        {}
        if owner is None or owner.is_us
        else {"user": owner.uid, "group": owner.gid, "extra_groups": []}
    )
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        env=env,
        **as_owner,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    complaints = asyncio.create_task(_read(process.stderr, MAX_COMPLAINT_BYTES))
    try:
        async with asyncio.timeout(timeout_s):
            out = await _read(process.stdout, max_bytes)
            if len(out) < max_bytes:
                await process.wait()
                return out, await complaints
            return out, b""
    finally:
        complaints.cancel()
        children.kill(process)
        await process.wait()


async def _read(stream: asyncio.StreamReader, max_bytes: int) -> bytes:
    out = bytearray()
    while len(out) < max_bytes and (part := await stream.read(max_bytes - len(out))):
        out += part
    return bytes(out)
