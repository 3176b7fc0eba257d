"""One at a time: close looks at the same process take turns."""

import asyncio
import gc

import pytest

from linnix_ls.core.ids import ProcessKey
from linnix_ls.locate import turns
from linnix_ls.locate.turns import Turns

KEY, OTHER = ProcessKey(7, 1), ProcessKey(8, 1)


@pytest.mark.asyncio
async def test_who_comes_second_waits_for_the_first():
    both, log = Turns(), []

    async def look(name):
        async with both.at(KEY):
            log.append(name)
            await asyncio.sleep(0)
            log.append(name)

    await asyncio.gather(look("a"), look("b"), look("c"))
    assert log == ["a", "a", "b", "b", "c", "c"]


@pytest.mark.asyncio
async def test_other_processes_are_free():
    both = Turns()
    async with both.at(KEY), both.at(OTHER):
        pass


@pytest.mark.asyncio
async def test_nobody_waits_for_ever(monkeypatch):
    monkeypatch.setattr(turns, "MAX_WAIT_S", 0.01)
    both = Turns()
    async with both.at(KEY):
        with pytest.raises(TimeoutError):
            async with both.at(KEY):
                pass
    async with both.at(KEY):
        pass


@pytest.mark.asyncio
async def test_a_look_that_is_cancelled_or_fails_lets_the_next_one_in():
    both = Turns()
    with pytest.raises(ValueError, match="x"):
        async with both.at(KEY):
            raise ValueError("x")
    async with both.at(KEY):
        waiting = asyncio.create_task(both.at(KEY).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with both.at(KEY):
        pass


@pytest.mark.asyncio
async def test_of_processes_that_nobody_looks_at_nothing_is_kept():
    both = Turns()
    for n in range(100):
        async with both.at(ProcessKey(n, 1)):
            pass
    gc.collect()
    assert not both._locks
