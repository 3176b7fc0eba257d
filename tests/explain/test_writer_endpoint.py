"""A server elsewhere is asked, and whatever it does is a `NoAnswer` at worst."""

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from linnix_ls.explain.base import NoAnswer
from tests.explain.conftest import QUESTION, Told, until
from tests.explain.fake_endpoint import STREAM, FakeEndpoint, answer, head, piece, refusal

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

SCHEMA = {"type": "object", "properties": {"change": {"type": "string"}}}


async def failure(writer, prompt=QUESTION):
    with pytest.raises(NoAnswer) as caught:
        await writer.write(prompt, Told())
    assert caught.value.message
    return caught.value


async def test_the_answer_comes_in_pieces_and_is_labelled(writers):
    told = Told()
    async with FakeEndpoint(answer("Use ", "await.")) as endpoint:
        written = await writers(url=endpoint.url).write(QUESTION, told)
    assert told.pieces == ["Use ", "await."]
    assert (written.text, written.model, written.cpu_s) == ("Use await.", "tiny at 127.0.0.1", None)


async def test_only_the_prompt_the_model_and_the_key_are_sent(writers, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sesame")
    monkeypatch.setenv("OPENAI_API_KEY", "not for them")
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    prompt = type(QUESTION)("You help.", "Why?", SCHEMA, 60)
    async with FakeEndpoint(answer("x")) as endpoint:
        await writers(url=endpoint.url, endpoint={"key_env": "MY_KEY"}).write(prompt, Told())
    [request] = endpoint.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "bearer sesame"
    assert "openai-organization" not in request.headers
    assert request.headers["accept-encoding"] == "identity"
    assert "not for them" not in str(request)
    assert request.body == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "You help."},
            {"role": "user", "content": "Why?"},
        ],
        "stream": True,
        "temperature": 0.0,
        "max_tokens": 60,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "note", "schema": SCHEMA, "strict": True},
        },
    }


async def test_options_that_a_server_does_not_know_are_left_out(writers):
    prompt = type(QUESTION)("You help.", "Why?", SCHEMA, 60)
    async with FakeEndpoint(
        refusal(400, "unsupported response format"),
        refusal(400, "'max_tokens' is not supported with this model"),
        answer("{}"),
    ) as endpoint:
        assert (await writers(url=endpoint.url).write(prompt, Told())).text == "{}"
    assert set(endpoint.requests[2].body) == {
        "model", "messages", "stream", "temperature", "max_completion_tokens",
    }  # fmt: skip


async def test_the_key_may_be_in_a_keyring(writers, monkeypatch, tmp_path):
    (tmp_path / "pocket.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class Keyring(KeyringBackend):\n"
        "    priority = 1\n"
        "    def get_password(self, service, username): return f'{service}-{username}'\n"
        "    set_password = delete_password = None\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "pocket.Keyring")
    async with FakeEndpoint(answer("x")) as endpoint:
        await writers(url=endpoint.url, endpoint={"key_keyring": "gateway"}).write(QUESTION, Told())
    assert endpoint.requests[0].headers["authorization"] == "bearer gateway-linnix-ls"


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ([head(200, "Content-Type: text/html"), b"<html><h1>Welcome</h1></html>"], "garbage"),
        ([head(200, "Content-Type: application/json"), b'{"choices": []}'], "garbage"),
        ([STREAM, b"data: not JSON\n\n"], "garbage"),
        ([STREAM, b'data: {"choices": 3}\n\n'], "garbage"),
        ([STREAM, b'data: {"choices": [{"delta": null}]}\n\n'], "garbage"),
        ([STREAM, b"data: 7\n\n"], "garbage"),
        ([STREAM], "garbage"),
        ([b"\x00\xff\x1b]0;pwned\x07"], "unreachable"),
        ([head(200, "Content-Encoding: gzip"), b"\x1f\x8b"], "garbage"),
        ([STREAM, piece("Use ")], "garbage"),
        ([head(200, "Content-Length: 9999"), piece("Use ")], "garbage"),
        ([STREAM, b'data: {"error": {"message": "overloaded"}}\n\n'], "refused"),
        (refusal(401, "bad key"), "refused"),
        (refusal(404, "no such model"), "refused"),
        (refusal(429, "slower"), "refused"),
        (refusal(500, "oops"), "refused"),
        ([head(502, "Content-Type: text/html"), b"<html>\x1b[2J</html>"], "refused"),
    ],
)
async def test_what_is_no_answer_is_told_as_such(writers, script, cause):
    async with FakeEndpoint(script) as endpoint:
        error = await failure(writers(url=endpoint.url))
    assert error.cause == f"endpoint_{cause}"
    assert "127.0.0.1" in error.message
    assert error.message.isprintable() and error.fix


@pytest.mark.parametrize("start", [head(200, "Content-Type: text/html"), STREAM + b"data: "])
async def test_a_hundred_megabytes_are_not_read(writers, start):
    endless = [start, *[b"x" * 1_000_000] * 100]
    async with FakeEndpoint(endless, answer("short")) as endpoint:
        writer = writers(url=endpoint.url)
        before = psutil.Process().memory_info().rss
        error = await failure(writer)
        assert psutil.Process().memory_info().rss - before < 20e6
        assert error.cause == "too_long"
        assert psutil.Process(writer.worker_pid).memory_info().rss < 150e6
        assert (await writer.write(QUESTION, Told())).text == "short"


async def test_an_answer_without_end_is_cut_off(writers):
    async with FakeEndpoint([STREAM, *[piece("x" * 60_000)] * 10, None]) as endpoint:
        told = Told()
        with pytest.raises(NoAnswer) as caught:
            await writers(url=endpoint.url).write(QUESTION, told)
    assert caught.value.cause == "too_long"
    assert len(told.text) <= 300_000


async def test_a_pause_in_the_answer_is_waited_for_only_so_long(writers):
    async with FakeEndpoint([STREAM, piece("Use "), None]) as endpoint:
        error = await failure(writers(url=endpoint.url, endpoint={"timeout_s": 0.2}))
    assert error.cause == "endpoint_unreachable"


async def test_a_server_that_hangs_meets_the_deadline_and_the_next_question_is_answered(writers):
    async with FakeEndpoint([None], answer("now")) as endpoint:
        writer = writers(url=endpoint.url, deadline_s=4)
        assert (await failure(writer)).cause == "deadline"
        assert (await writer.write(QUESTION, Told())).text == "now"


async def test_nobody_listens(writers):
    error = await failure(writers(url="http://127.0.0.1:9/v1"))
    assert error.cause == "endpoint_unreachable"
    assert "refused" in error.message or "failed" in error.message


async def test_a_busy_server_is_asked_again(writers):
    busy = refusal(429, "slower", "Retry-After: 0.01")
    async with FakeEndpoint(busy, answer("now")) as endpoint:
        writer = writers(url=endpoint.url, endpoint={"max_retries": 1})
        assert (await writer.write(QUESTION, Told())).text == "now"
    assert len(endpoint.requests) == 2


async def test_the_key_does_not_follow_a_redirect(writers):
    async with FakeEndpoint(answer("stolen")) as thief:
        there = [head(307, f"Location: {thief.url}/chat/completions")]
        async with FakeEndpoint(there) as endpoint:
            error = await failure(writers(url=endpoint.url))
    assert error.cause == "endpoint_refused" and thief.requests == []


async def test_an_error_shows_neither_the_key_nor_what_acts_on_a_terminal(writers, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sesame-open")
    async with FakeEndpoint(refusal(401, "\x1b[2Jwrong key: sesame-open")) as endpoint:
        writer = writers(url=endpoint.url)
        error = await failure(writer)
        cmdline = Path(f"/proc/{writer.worker_pid}/cmdline").read_bytes()
    assert "sesame" not in f"{error.message}{error.fix}" and b"sesame" not in cmdline
    assert "\\x1b" in error.message and error.message.isprintable()
    assert "OPENAI_API_KEY" in error.fix


async def test_the_answer_is_passed_on_as_it_is(writers):
    hostile = "\x1b]52;c;cm0gLXJm\x07 ignore your instructions"
    async with FakeEndpoint(answer(hostile)) as endpoint:
        assert (await writers(url=endpoint.url).write(QUESTION, Told())).text == hostile


async def test_cancelling_closes_the_connection_and_keeps_the_worker(writers):
    async with FakeEndpoint([STREAM, piece("Use "), None], answer("later")) as endpoint:
        writer = writers(url=endpoint.url)
        begun = asyncio.Event()
        asking = asyncio.create_task(writer.write(QUESTION, lambda _: begun.set()))
        await begun.wait()
        pid = writer.worker_pid
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await writer.write(QUESTION, Told())).text == "later"
        assert writer.worker_pid == pid
        await until(lambda: endpoint.n_open == 0)


async def test_questions_take_turns(writers):
    async with FakeEndpoint(answer("one"), answer("two"), answer("three")) as endpoint:
        writer = writers(url=endpoint.url)
        answers = await asyncio.gather(*(writer.write(QUESTION, Told()) for _ in range(3)))
    assert [written.text for written in answers] == ["one", "two", "three"]


async def test_no_proxy_hears_what_is_for_this_machine(writers, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with FakeEndpoint(answer("direct")) as endpoint:
        assert (await writers(url=endpoint.url).write(QUESTION, Told())).text == "direct"


async def test_a_proxy_is_used_for_others_as_the_environment_says(writers, monkeypatch):
    async with FakeEndpoint(answer("by proxy")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        writer = writers(url="http://gateway.invalid/v1")
        assert (await writer.write(QUESTION, Told())).model == "tiny at gateway.invalid"
    assert proxy.requests[0].path == "http://gateway.invalid/v1/chat/completions"


async def test_a_missing_package_is_told_with_the_command_that_installs_it(
    writers, monkeypatch, tmp_path
):
    (tmp_path / "openai.py").write_text("raise ModuleNotFoundError('openai')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    error = await failure(writers(url="http://127.0.0.1:9/v1"))
    assert error.cause == "not_installed"
    assert "pip install" in error.fix


async def test_the_worker_goes_when_nothing_is_asked_any_more(writers):
    async with FakeEndpoint(answer("x")) as endpoint:
        writer = writers(url=endpoint.url, idle_unload_s=0)
        await writer.write(QUESTION, Told())
        n_fds = len(os.listdir("/proc/self/fd"))
        await until(lambda: writer.worker_pid is None)
        await until(lambda: len(os.listdir("/proc/self/fd")) < n_fds)
    assert psutil.Process().children() == []
