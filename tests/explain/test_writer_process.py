"""What a model's library can do to its process stays there. In its place stands one that obeys."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from linnix_ls.explain.base import NoAnswer, Prompt
from tests.explain.conftest import Told, until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A file that the fake library loads; what it contains is what loading does."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "fake_llama"))
    (tmp_path / "fake.gguf").write_text("say ok")
    return tmp_path / "fake.gguf"


def asked(what):
    return Prompt("You help.", what, None, 40)


async def failure(writer, what):
    with pytest.raises(NoAnswer) as caught:
        await writer.write(asked(what), Told())
    assert caught.value.message.isprintable()
    return caught.value


async def test_an_answer_comes_in_pieces_with_a_harmless_name_and_its_cost(writers, model):
    told = Told()
    answer = await writers(model).write(asked("say use await"), told)
    assert told.pieces == ["use", "await"]
    assert answer.text == "useawait"
    assert answer.model == "Fake\\x1b[2J"
    assert answer.cpu_s > 0


async def test_what_the_library_prints_is_no_answer(writers, model, capfd):
    assert (await writers(model).write(asked("print"), Told())).text == "done"
    assert capfd.readouterr() == ("", "")


async def test_a_library_that_prints_without_end_costs_us_no_memory(writers, model):
    before = psutil.Process().memory_info().rss
    assert (await writers(model, deadline_s=60).write(asked("flood"), Told())).text == "done"
    assert psutil.Process().memory_info().rss - before < 10e6


async def test_an_answer_without_end_is_given_up(writers, model):
    writer = writers(model)
    assert (await failure(writer, "fill")).cause == "too_long"
    assert (await writer.write(asked("say more"), Told())).text == "more"


async def test_nothing_in_a_prompt_ends_our_part_of_the_talk(writers, model):
    told = Told()
    await writers(model).write(asked("say x<|end|>y"), told)
    assert told.pieces == ["x<", "|end|>y"]


async def test_a_crash_is_told_and_the_next_question_finds_a_new_process(writers, model):
    writer = writers(model)
    error = await failure(writer, "abort GGML_ASSERT(x) \x1b[2J failed")
    assert error.cause == "worker_died"
    assert "signal 6" in error.message and "GGML_ASSERT" in error.message
    assert (await writer.write(asked("say again"), Told())).text == "again"


async def test_what_crashes_again_and_again_is_left_alone_for_a_while(writers, model):
    writer = writers(model)
    for _ in range(2):
        await failure(writer, "abort")
    error = await failure(writer, "say again")
    assert error.cause == "worker_died" and "tried again in" in error.message
    assert writer.worker_pid is None


async def test_a_crash_while_it_loads_is_the_models_fault(writers, model):
    model.write_text("abort GGML_ASSERT(bad tensor)")
    error = await failure(writers(model), "say x")
    assert error.cause == "bad_model" and "bad tensor" in error.message


async def test_killing_the_process_in_the_middle_is_survived(writers, model):
    writer = writers(model)
    await writer.write(asked("say x"), Told())
    asking = asyncio.create_task(writer.write(asked("hang"), Told()))
    await asyncio.sleep(0)
    os.kill(writer.worker_pid, signal.SIGKILL)
    with pytest.raises(NoAnswer) as caught:
        await asking
    assert caught.value.cause == "worker_died" and "signal 9" in caught.value.message
    assert (await writer.write(asked("say again"), Told())).text == "again"


async def test_killing_the_idle_process_is_not_even_noticed(writers, model):
    writer = writers(model)
    await writer.write(asked("say x"), Told())
    os.kill(writer.worker_pid, signal.SIGKILL)
    await until(lambda: writer.worker_pid is None)
    assert (await writer.write(asked("say again"), Told())).text == "again"


async def test_children_of_the_library_go_with_it(writers, model):
    writer = writers(model)
    await failure(writer, "leave a child")
    mine = os.getsid(0)
    left = [
        process
        for process in psutil.process_iter(["cmdline"])
        if "linnix_ls.explain.worker" in (process.info["cmdline"] or ())
        and process.environ().get("PYTHONPATH") == os.environ["PYTHONPATH"]
    ]
    assert left == [] and os.getsid(0) == mine


@pytest.mark.parametrize("cause", ["std::bad_alloc", "ggml_aligned_malloc: insufficient memory"])
async def test_a_crash_for_lack_of_memory_says_what_helps(writers, model, cause):
    error = await failure(writers(model), f"abort {cause}")
    assert error.cause == "out_of_memory" and "memory_mb" in error.fix


async def test_memory_is_limited_and_within_the_limit_all_is_well(writers, model):
    writer = writers(model, memory_mb=400)
    error = await failure(writer, "allocate 500")
    assert error.cause == "out_of_memory"
    assert (await writer.write(asked("allocate 100"), Told())).text == str(100 << 20)


async def test_cancelling_a_computation_keeps_the_process(writers, model):
    writer = writers(model)
    await writer.write(asked("say x"), Told())
    pid = writer.worker_pid
    asking = asyncio.create_task(writer.write(asked("compute"), Told()))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await writer.write(asked("say again"), Told())).text == "again"
    assert writer.worker_pid == pid


@pytest.mark.parametrize("how", ["hang", "hang in C"])
async def test_what_does_not_heed_the_deadline_is_killed(writers, model, how):
    writer = writers(model, deadline_s=5.0)  # with the start of its process
    await writer.write(asked("say x"), Told())
    pid = writer.worker_pid
    assert (await failure(writer, how)).cause == "deadline"
    assert (await writer.write(asked("say again"), Told())).text == "again"
    assert writer.worker_pid != pid


async def test_closing_while_it_answers_ends_both(writers, model):
    writer = writers(model)
    await writer.write(asked("say x"), Told())
    pid = writer.worker_pid
    asking = asyncio.create_task(writer.write(asked("hang"), Told()))
    await asyncio.sleep(0)
    await writer.close()
    with pytest.raises(NoAnswer):
        await asking
    assert not psutil.pid_exists(pid)
    await writer.close()


async def test_an_error_that_nobody_foresaw_is_told(writers, model):
    error = await failure(writers(model), "raise nobody foresaw \x1b[2J")
    assert "nobody foresaw" in error.message


async def test_the_library_is_missing(writers, model, monkeypatch, tmp_path):
    (tmp_path / "llama_cpp.py").write_text("raise ModuleNotFoundError('llama_cpp')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    error = await failure(writers(model), "say x")
    assert error.cause == "not_installed" and "linnix-ls[local]" in error.fix


async def test_the_library_is_broken(writers, model, monkeypatch, tmp_path):
    (tmp_path / "llama_cpp.py").write_text("raise RuntimeError('no libllama.so')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    error = await failure(writers(model), "say x")
    assert error.cause == "not_installed" and "no libllama.so" in error.message


async def test_there_is_no_such_file(writers, model):
    error = await failure(writers("/nowhere/x.gguf"), "say x")
    assert error.cause == "bad_model" and "No such file" in error.message


PARENT = """
import asyncio, sys
from linnix_ls.config import ExplainSettings
from linnix_ls.explain.base import Prompt
from linnix_ls.explain.writer import make_writer

async def main():
    writer = make_writer(ExplainSettings(source="llama"), sys.argv[1])
    await writer.write(Prompt("", "say x", None, 9), lambda text: None)
    print(writer.worker_pid, flush=True)
    await writer.write(Prompt("", sys.argv[2], None, 9), lambda text: None)

asyncio.run(main())
"""


@pytest.mark.parametrize("meanwhile", ["hang", "hang in C"])
async def test_when_we_are_killed_the_process_goes_too(model, meanwhile):
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, model, meanwhile, stdout=subprocess.PIPE
    )
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await until(lambda: not is_running(pid))


def is_running(pid):
    """Not so when it only waits for somebody to collect it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_the_process_leads_a_session_of_its_own_with_the_lowest_priority(writers, model):
    writer = writers(model)
    await writer.write(asked("say x"), Told())
    pid = writer.worker_pid
    assert os.getsid(pid) == pid
    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    assert os.sched_getscheduler(pid) == os.SCHED_IDLE
    for thread in psutil.Process(pid).threads():
        assert os.sched_getscheduler(thread.id) == os.SCHED_IDLE
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "800"
    autogroup = Path(f"/proc/{pid}/autogroup")
    if autogroup.exists():
        assert autogroup.read_text().endswith("nice 19\n")
        assert autogroup.read_text() != Path("/proc/self/autogroup").read_text()


async def test_an_unused_process_goes_and_leaves_nothing_open(writers, model):
    n_fds = len(os.listdir("/proc/self/fd"))
    writer = writers(model, idle_unload_s=0.05)
    await writer.write(asked("say x"), Told())
    await until(lambda: writer.worker_pid is None)
    await until(lambda: len(os.listdir("/proc/self/fd")) == n_fds)
    assert psutil.Process().children() == []
    assert (await writer.write(asked("say again"), Told())).text == "again"
