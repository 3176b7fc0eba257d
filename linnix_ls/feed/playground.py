"""The playground that an agent serves, seen from the client's side of the socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from linnix_ls.errors import AgentError, PlaygroundError
from linnix_ls.feed import protocol
from linnix_ls.playground.base import Checked, OwnProbes, ProbeHandle, ProbeReading
from linnix_ls.playground.dialect import Dialect

Ask = Callable[..., Awaitable[Any]]


class RemotePlayground:
    """See `playground.base.Playground`. `ask`: sends a request, by method and parameters."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def check(self, dialect: Dialect, name: str, source: str) -> Checked:
        answer = await self._ask_of("probe_check", dialect=dialect, name=name, source=source)
        return protocol.CHECKED.validate_python(answer)

    async def load(self, dialect: Dialect, name: str, source: str, *, ttl_s: float) -> ProbeHandle:
        answer = await self._ask_of(
            "probe_load", dialect=dialect, name=name, source=source, ttl_s=ttl_s
        )
        return protocol.PROBE_HANDLE.validate_python(answer)

    async def replace(self, probe_id: str, source: str, *, trial_s: float) -> ProbeHandle:
        answer = await self._ask_of(
            "probe_replace", probe_id=probe_id, source=source, trial_s=trial_s
        )
        return protocol.PROBE_HANDLE.validate_python(answer)

    async def read(
        self, probe_id: str, since_event: int, *, is_whole: bool = False
    ) -> ProbeReading:
        more = {"is_whole": True} if is_whole else {}  # that older agents do not know of
        answer = await self._ask_of(
            "probe_read", probe_id=probe_id, since_event=since_event, **more
        )
        return protocol.PROBE_READING.validate_python(answer)

    async def unload(self, probe_id: str) -> None:
        await self._ask_of("probe_unload", probe_id=probe_id)

    async def own(self) -> OwnProbes:
        return protocol.OWN_PROBES.validate_python(await self._ask_of("probe_own"))

    async def replace_own(self, files: dict[str, str], *, trial_s: float) -> OwnProbes:
        answer = await self._ask_of("probe_own_replace", files=files, trial_s=trial_s)
        return protocol.OWN_PROBES.validate_python(answer)

    async def read_own(self) -> ProbeReading:
        return protocol.PROBE_READING.validate_python(await self._ask_of("probe_own_read"))

    async def knowledge(self) -> str:
        return str(await self._ask_of("probe_knowledge"))

    async def _ask_of(self, method: str, **params: Any) -> Any:
        request = protocol.encode({"id": 0, "method": method, "params": params})
        # The agent would hang up, and everything else that it does for us were gone as well.
        if len(request) > protocol.MAX_REQUEST_BYTES - protocol.ID_BYTES:
            raise PlaygroundError("this source is too large", fix="make it smaller")
        try:
            return await self._ask(method, **params)
        except AgentError as error:
            raise PlaygroundError(error.message, fix=error.fix) from error
