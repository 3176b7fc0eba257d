"""The real library with a real, small model. What it says is of no importance here."""

import asyncio
import os
import signal
import struct
from pathlib import Path

import psutil
import pytest

from linnix_ls.explain.base import NoAnswer, Prompt
from tests.explain.conftest import QUESTION, Told, until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

SCHEMA = {
    "type": "object",
    "properties": {"change": {"type": "string", "maxLength": 40}},
    "required": ["change"],
    "additionalProperties": False,
}
# Takes seconds to read, and to answer.
LONG = Prompt("You help.", "Tell of the sea. " * 400, None, 500)


async def failure(writer, prompt=QUESTION):
    with pytest.raises(NoAnswer) as caught:
        await writer.write(prompt, Told())
    assert caught.value.message.isprintable() and caught.value.fix
    return caught.value


async def stop(asking):
    """Long before it would have come to its end."""
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asking, 10)


@pytest.fixture
def altered(model_path, tmp_path):
    """A copy of the model with other bytes somewhere."""

    def alter(change):
        path = tmp_path / "altered.gguf"
        content = bytearray(Path(model_path).read_bytes())
        change(content)
        path.write_bytes(content)
        return path

    return alter


async def test_it_answers_in_pieces_and_prints_nothing_here(writers, model_path, capfd):
    told = Told()
    answer = await writers(model_path).write(QUESTION, told)
    assert len(told.pieces) > 3 and told.text == answer.text
    assert answer.model and 0 < answer.cpu_s < 60
    assert capfd.readouterr() == ("", "")


async def test_the_same_question_has_the_same_answer(writers, model_path):
    writer = writers(model_path)
    first, second = [(await writer.write(QUESTION, Told())).text for _ in range(2)]
    assert first == second


async def test_the_answer_has_the_form_that_was_asked_for(writers, model_path):
    prompt = Prompt("You help.", "What shall I change?", SCHEMA, 60)
    answer = await writers(model_path).write(prompt, Told())
    assert answer.text.lstrip().startswith("{") and '"change"' in answer.text


async def test_it_stops_while_it_reads_and_while_it_writes_and_is_usable_after(writers, model_path):
    writer = writers(model_path, deadline_s=100)
    before = (await writer.write(QUESTION, Told())).text
    pid = writer.worker_pid
    used_s = sum(psutil.Process(pid).cpu_times()[:2])
    reading = asyncio.create_task(writer.write(LONG, Told()))
    await until(lambda: sum(psutil.Process(pid).cpu_times()[:2]) > used_s + 0.1)
    await stop(reading)
    begun = asyncio.Event()
    writing = asyncio.create_task(
        writer.write(Prompt("", "Tell a story.", None, 500), lambda _: begun.set())
    )
    await begun.wait()
    await stop(writing)
    assert (await writer.write(QUESTION, Told())).text == before
    assert writer.worker_pid == pid


async def test_the_deadline_stops_it(writers, model_path):
    writer = writers(model_path, deadline_s=1.5)
    assert (await failure(writer, LONG)).cause == "deadline"
    assert (await writer.write(Prompt("", "Hi", None, 3), Told())).text


async def test_killed_while_it_writes_it_is_started_anew(writers, model_path):
    writer = writers(model_path)
    begun = asyncio.Event()
    asking = asyncio.create_task(
        writer.write(Prompt("", "Tell a story.", None, 500), lambda _: begun.set())
    )
    await begun.wait()
    pid = writer.worker_pid
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(NoAnswer) as caught:
        await asking
    assert caught.value.cause == "worker_died"
    assert (await writer.write(QUESTION, Told())).text
    assert writer.worker_pid != pid


@pytest.mark.parametrize("memory_mb", [64, 150, 250, 300, 350])
async def test_too_little_memory(writers, model_path, memory_mb):
    writer = writers(model_path, memory_mb=memory_mb)
    error = await failure(writer)
    assert error.cause == "out_of_memory" and "memory_mb" in error.fix


async def test_a_file_of_another_kind(writers, model_path, tmp_path):
    (tmp_path / "x.gguf").write_bytes(b"\x1b[2Jno model" * 1000)
    error = await failure(writers(tmp_path / "x.gguf"))
    assert error.cause == "bad_model" and "magic" in error.message


@pytest.mark.parametrize("n_bytes", [20, 3000, 2_000_000, 50_000_000])
async def test_a_file_that_was_cut_off(writers, altered, n_bytes):
    def change(content):
        del content[n_bytes:]

    assert (await failure(writers(altered(change)))).cause == "bad_model"


async def test_a_file_with_broken_numbers(writers, altered):
    def change(content):
        content[8:24] = struct.pack("<QQ", 1 << 60, 1 << 60)  # tensors, keys

    assert (await failure(writers(altered(change)))).cause in ("bad_model", "out_of_memory")


async def test_a_file_on_which_the_library_crashes(writers, altered):
    def change(content):
        at = content.index(b"llama.block_count") + 17 + 4
        content[at : at + 4] = struct.pack("<I", 1 << 30)

    error = await failure(writers(altered(change)))
    assert error.cause == "bad_model"


async def test_a_model_of_an_unknown_architecture(writers, altered):
    def change(content):
        at = content.index(b"general.architecture") + 20 + 4 + 8
        content[at : at + 5] = b"liama"

    error = await failure(writers(altered(change)))
    assert error.cause == "bad_model" and "liama" in error.message


async def test_a_base_model_is_refused(writers, altered):
    def change(content):
        at = content.index(b"tokenizer.chat_template")
        content[at : at + 23] = b"tokenizer.chat_templace"

    error = await failure(writers(altered(change)))
    assert error.cause == "base_model" and "chat template" in error.message


async def test_a_question_that_is_too_long(writers, model_path):
    writer = writers(model_path)
    assert (await writer.write(QUESTION, Told())).text
    with pytest.raises(NoAnswer) as caught:
        await writer.write(Prompt("", "word " * 10_000, None, 10), Told())
    assert caught.value.cause == "too_long"
    assert (await writer.write(QUESTION, Told())).text


async def test_it_goes_when_it_is_not_used(writers, model_path):
    writer = writers(model_path, idle_unload_s=0.1)
    await writer.write(Prompt("", "Hi", None, 3), Told())
    await until(lambda: writer.worker_pid is None)
    assert (await writer.write(Prompt("", "Hi", None, 3), Told())).text
