"""Runs as an editor's views ask for them: real processes, the real server, each tracer."""

import asyncio
import contextlib
import os
import subprocess
import sys
import uuid

import pytest

from linnix_ls import procfs
from tests.feed.scenes import sleeping
from tests.lsp.client import PATIENCE_S
from tests.lsp.test_stdio import LINNIX_LS, a_process_speaking_lsp, watching

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

TRACERS = [pytest.param("bcc", marks=pytest.mark.ebpf), "psutil"]
PATIENT = """
import time

def wait_for_an_answer():
    while True:
        time.sleep(0.2)

wait_for_an_answer()
"""


@contextlib.asynccontextmanager
async def a_server(tracer, tmp_path):
    """Of an editor that is nowhere on this machine: what is watched is what it is told of."""
    settings = {"tracer": tracer, "agent_socket": str(tmp_path / "agent.sock")}
    async with a_process_speaking_lsp(*LINNIX_LS) as client:
        await client.initialize(initializationOptions=settings)
        assert (await watching(client))["tracer"] == tracer
        yield client
        await client.request("shutdown")
        client.notify("exit")
        await client.process.wait()


async def asked_until(ask, is_reached):
    async with asyncio.timeout(PATIENCE_S):
        while not is_reached(answer := await ask()):  # noqa: ASYNC110 - the server is polled
            await asyncio.sleep(0.05)
        return answer


async def the_run(client, is_it):
    """The first one of which that is true, as soon as it is."""

    async def matching():
        return [run for run in (await client.request("linnix/runs"))["runs"] if is_it(run)]

    return (await asked_until(matching, bool))[0]


def key_of(run):
    return {name: run[name] for name in ("pid", "start_ticks")}


@pytest.mark.parametrize("tracer", TRACERS)
async def test_a_task_is_a_run_with_its_processes_and_curves(tracer, tmp_path):
    busy = "import time; end = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
    command = ["sh", "-c", f"sleep 60 & {sys.executable} -c '{busy}' & wait; wait"]
    async with a_server(tracer, tmp_path) as client:
        with subprocess.Popen(command, start_new_session=True, cwd=tmp_path) as task:
            asked = {"pid": task.pid, "label": "task: test", "source": "task"}
            key = await client.request("linnix/watch", asked)
            run = await the_run(
                client,
                lambda run: run["n_alive"] == 3 and run["on_cpu_cores"] > 0.1 and run["rss_bytes"],
            )
            assert key_of(run) == key
            assert (run["label"], run["source"]) == ("task: test", "task")
            assert run["cwd"] == str(tmp_path)
            assert not run["has_ended"] and run["ended_at"] is None
            detail = await client.request("linnix/run", {"run": key})
            assert {each["comm"] for each in detail["processes"]} >= {"sh", "sleep"}
            [spinner] = [each for each in detail["processes"] if "-c" in each["argv"][1:2]
                         and each["comm"] != "sh"]  # fmt: skip
            assert spinner["parent"] == key and spinner["cpu_s"] > 0
            assert len({len(curve) for curve in detail["curves"].values()}) == 1
            os.killpg(task.pid, 9)
        run = await the_run(client, lambda run: run["has_ended"] and not run["n_alive"])
        assert run["on_cpu_cores"] == 0 and run["peak_processes"] >= 3
        since = {"run": key, "since": detail["version"]}
        changed = await client.request("linnix/run", since)
        assert not changed["is_whole"]
        assert all(each["ended_s"] is not None for each in changed["processes"])
        again = await client.request("linnix/run", {**since, "since": changed["version"]})
        assert again["processes"] == []


@pytest.mark.parametrize("tracer", TRACERS)
async def test_what_was_handed_over_to_init_is_found_by_its_tag(tracer, tmp_path):
    """Started before and after the tag is told, by nobody who is watched."""
    value = f"session-{uuid.uuid4()}"
    environment = {**os.environ, "LINNIX_SESSION": value}
    found = []
    async with a_server(tracer, tmp_path) as client:
        try:
            for n in range(2):
                subprocess.run(
                    ["setsid", "--fork", "sh", "-c", f": run-{n}; sleep 60 & sleep 60"],
                    env=environment, check=True,
                )  # fmt: skip
                asked = {"value": value, "source": "terminal", "label": "in the background"}
                if n == 0:
                    await client.request("linnix/watchTag", asked)
                run = await the_run(
                    client, lambda run, n=n: f": run-{n};" in run["argv"][-1] and run["n_alive"] > 1
                )
                found.append(run["pid"])
                assert (run["source"], run["label"]) == ("terminal", "in the background")
            assert await client.request("linnix/unwatchTag", {"value": value}) is None
            tree = (await client.request("linnix/processTree"))["processes"]
            assert tree == []
        finally:
            for pid in found:
                os.killpg(os.getpgid(pid), 9)


async def test_the_stack_of_a_process_that_only_waits_is_shown(tmp_path):
    path = tmp_path / "patient.py"
    path.write_text(PATIENT)
    async with a_server("psutil", tmp_path) as client:
        with sleeping(sys.executable, str(path)) as process:
            key = await client.request("linnix/watch", {"pid": process.pid})

            async def look():
                return await client.request("linnix/stack", key)

            stack = await asked_until(look, lambda answer: "wait_for_an_answer" in str(answer))
            [thread] = stack["threads"]
            [frame] = [f for f in thread["frames"] if f["function"] == "wait_for_an_answer"]
            assert frame["line"] == 6
            assert frame["uri"] == path.as_uri()
            assert frame["is_user_code"]
            assert stack["problem"] is None
        gone = await asked_until(look, lambda answer: answer["problem"])
        assert gone["threads"] == [] and "ended" in gone["problem"]
        nobody = await client.request("linnix/stack", {"pid": 1, "start_ticks": 1})
        assert nobody["problem"] == "it is not watched"


@pytest.mark.parametrize("tracer", TRACERS)
async def test_a_process_without_a_finding_is_stopped_and_a_shell_is_not(tracer, tmp_path):
    async with a_server(tracer, tmp_path) as client:
        with subprocess.Popen(["sh", "-i"], stdin=subprocess.PIPE, start_new_session=True) as shell:
            shell.stdin.write(b"(sleep 61 & sleep 62 & wait)\n")
            shell.stdin.flush()
            asked = {"pid": shell.pid, "source": "terminal", "is_judged": False}
            root = await client.request("linnix/watch", asked)
            run = await the_run(client, lambda run: run["n_alive"])
            assert run["source"] == "terminal"

            async def stop(key):
                argument = {"process": key_of(key), "tree": True, "confirmed": True}
                command = {"command": "linnix.stopProcess", "arguments": [argument]}
                return (await client.request("workspace/executeCommand", command))["outcome"]

            assert await stop(root) == "refused"
            assert procfs.read_stat(shell.pid)
            assert await stop(run) == "stopped"
            await the_run(client, lambda each: each["pid"] == run["pid"] and each["has_ended"])
            assert await stop(run) == "unknown_process"
            shell.stdin.close()
            shell.kill()
