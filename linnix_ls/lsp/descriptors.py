"""What the language server does when it has no file descriptor left: it says so, once, and again
when there are some; what could not be had meanwhile is had then.

Not here: what needs one. It fails as it would for want of a file, and asks here why.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Awaitable, Callable
from typing import ParamSpec, Protocol, TypeVar

from linnix_ls.errors import LinnixError, is_for_want_of_descriptors

_LOOK_AFTER_S = 1.0
_GONE = "no file descriptor is left to the language server"

ParametersT = ParamSpec("ParametersT")
ResultT = TypeVar("ResultT")


class Tell(Protocol):
    def __call__(self, text: str, *, is_problem: bool) -> None: ...


class OutOfDescriptors(LinnixError):
    """Something cannot be done for want of a file descriptor. The user has been told."""


class Descriptors:
    """See the module. Use on the event loop's thread.

    Args:
        tell: told in words, when they are gone and when there are some again.
        on_return: called in the latter case, for what has to be done again.
    """

    def __init__(self, tell: Tell, on_return: Callable[[], None]) -> None:
        self._tell = tell
        self._on_return = on_return
        self._waiting: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Whether there are any, where what fails for want of them fails without a word."""
        if not _is_one_left():
            self._are_gone()

    def noting(
        self, work: Callable[ParametersT, Awaitable[ResultT]]
    ) -> Callable[ParametersT, Awaitable[ResultT]]:
        """The same work, which raises OutOfDescriptors if that is why it failed."""

        async def noted(*arguments: ParametersT.args, **named: ParametersT.kwargs) -> ResultT:
            try:
                return await work(*arguments, **named)
            except Exception as error:
                if is_for_want_of_descriptors(error):
                    self._are_gone()
                    raise OutOfDescriptors(_GONE) from error
                raise

        return noted

    async def close(self) -> None:
        if self._waiting:
            self._waiting.cancel()
            await asyncio.wait([self._waiting])

    def _are_gone(self) -> None:
        if self._waiting is None or self._waiting.done():
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            self._tell(
                f"{_GONE} (of {limit}): until there is one, files are not read and nothing is "
                "started",
                is_problem=True,
            )
            self._waiting = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        while not _is_one_left():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(_LOOK_AFTER_S)
        self._tell("there are file descriptors again", is_problem=False)
        self._on_return()


def _is_one_left() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return not is_for_want_of_descriptors(error)
    return True
