import asyncio
import contextlib
import os
import signal
import sys

import pytest

from linnix_ls import children, procfs
from linnix_ls.locate.tool import ask
from tests.feed.scenes import until


@pytest.mark.e2e
def test_of_one_that_ends_just_as_it_is_given_up_the_status_is_taken_once(caplog):
    async def give_it_up():
        children.notice_their_ends_by_pidfd()
        asking = asyncio.create_task(ask("sleep", "100.25", timeout_s=60, max_bytes=100))
        asked = []

        def is_asked():
            asked[:] = [
                pid for pid in procfs.children_of(os.getpid())
                if procfs.read_argv(pid) == ("sleep", "100.25")
            ]  # fmt: skip
            return asked

        await until(is_asked)
        await asyncio.sleep(0.05)  # its pipes are open by now
        os.kill(asked[0], signal.SIGKILL)
        # The loop does not get to know of it yet.
        os.waitid(os.P_PID, asked[0], os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking

    try:
        asyncio.run(give_it_up())
    finally:
        if sys.version_info < (3, 12):
            asyncio.set_child_watcher(None)  # the usual one
    assert [record.message for record in caplog.records] == []
