"""Many sources are checked at once, in the background; each test waits for its own."""

import asyncio
import os
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

from linnix_ls.config import cache_dir
from linnix_ls.playground.checker import try_out
from linnix_ls.playground.diagnosis import diagnose
from linnix_ls.playground.dialect import dialect_of
from linnix_ls.playground.service import make_request


async def check_alone(source, user=None, **limits):
    """As the service does it. Returns the outcome and the trial."""
    request = await make_request(cache_dir(), dialect_of(source), source)
    trial = await try_out(request, user, **limits)
    return diagnose(request, trial), trial


@cache
def _pool():
    return ThreadPoolExecutor(os.cpu_count() or 1)


def check_in_background(source) -> Future:
    return in_background(lambda: asyncio.run(check_alone(source)))


def in_background(work, *arguments) -> Future:
    return _pool().submit(work, *arguments)


def errors(checked):
    return [problem for problem in checked.problems if problem.severity == "error"]
