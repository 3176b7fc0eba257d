"""What a client of the agent, or an editor, may send: each request is answered, and afterwards the
service answers as before.
"""

import asyncio
import contextlib
import json
import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnix_ls.feed import protocol
from linnix_ls.feed.remote import RemoteFeed
from linnix_ls.lsp import connection, ext, from_proto
from linnix_ls.lsp.documents import line_after_edit
from tests.feed.scenes import PATIENCE_S, Serving
from tests.feed.told_tracer import ToldTracer
from tests.fuzz.strategies import any_text, json_values, pieces
from tests.lsp.client import a_client
from tests.lsp.memory_feed import MemoryFeed, a_finding

few = settings(max_examples=settings.default.max_examples // 3)
keys = st.fixed_dictionaries({"pid": json_values, "start_ticks": json_values})
numbers = st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, 10**30, 1.5, True, None])

# -- the agent's socket --------------------------------------------------------------------------

params = (
    st.dictionaries(
        st.sampled_from(
            "pid start_ticks label is_run source since tree value folders is_allowed thresholds"
            " finding_id".split()
        ),
        json_values | numbers,
        max_size=4,
    )
    | st.fixed_dictionaries({"pid": numbers, "start_ticks": numbers})
    | st.fixed_dictionaries({"pid": numbers, "label": any_text})
    | st.fixed_dictionaries({"value": any_text})
    | st.fixed_dictionaries({"folders": st.lists(any_text, max_size=3)})
    | st.fixed_dictionaries({"finding_id": any_text})
    | json_values
)
requests = st.fixed_dictionaries(
    {
        "id": st.integers(0, 2**40) | json_values,
        "method": st.sampled_from(sorted(protocol.METHODS)) | any_text,
        "params": params,
    }
)
HARD = [
    b"[" * 200_000, b'{"a":' * 150_000, b"9" * 900_000, b'{"id":' + b"1" * 5000 + b"}", b"\0" * 100,
    b'{"id":1,"method":"\\ud800","params":{}}', b"\xff\xfe", b"", b"null", b'{"id":1e400}',
    b'{"id":1,"method":"watch","params":{"pid":1,"pid":2,"label":"\\u0000"}}',
    b'{"id":NaN,"method":"status"}', b'{"id":1,"method":"_send","params":{}}',
    b'{"id":1,"method":"__init__","params":{}}',
]  # fmt: skip
lines = (
    requests.map(lambda each: json.dumps(each).encode())
    | st.binary(max_size=200)
    | st.sampled_from(HARD)
    | pieces('{"id":1,', '"method":', '"status"', '"params":').map(
        lambda text: text.encode("utf-8", "surrogatepass")
    )
)


@few
@given(st.lists(lines, max_size=12), st.booleans())
def test_an_agent_answers_after_whatever_a_client_has_sent(sent, is_cut_off):
    async def scene():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "agent.sock")
            async with Serving(path, ToldTracer()):
                reader, writer = await asyncio.open_unix_connection(path, limit=1 << 24)
                await reader.readline()
                for line in sent:
                    writer.write(line + b"\n")
                writer.write(b'{"id":7,"met' if is_cut_off else b'{"id":77,"method":"status"}\n')
                if not is_cut_off:
                    await answer_to(reader, 77)
                writer.close()
                feed = await RemoteFeed.connect(path)
                await feed.status()
                await feed.close()

    with no_bugs():
        asyncio.run(scene())


async def answer_to(reader, number):
    """All that comes before is an answer, or a change."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message = json.loads(await reader.readline())
            assert message.keys() & {"result", "error", "change"}
            assert "the agent failed" not in str(message.get("error"))
            if message.get("id") == number and "result" in message:
                return


@contextlib.contextmanager
def no_bugs():
    """Nothing is logged with a traceback: neither by us nor by asyncio or pygls."""
    found = []

    class Kept(logging.Handler):
        def emit(self, record):
            if record.exc_info or "exception was never retrieved" in record.getMessage():
                found.append(self.format(record))

    handler = Kept()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
    assert not found, "\n".join(found)


# -- an agent that is none -----------------------------------------------------------------------


@pytest.mark.parametrize("line", HARD)
def test_a_client_survives_an_agent_that_talks_nonsense(line):
    test_a_client_survives_whatever_an_agent_sends.hypothesis.inner_test([line])


@few
@given(st.lists(lines | st.just(b'{"id":1,"result":[]}'), max_size=6))
def test_a_client_survives_whatever_an_agent_sends(sent):
    async def scene():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "agent.sock")

            async def told(_reader, writer):
                hello = {"protocol": protocol.PROTOCOL, "pid": 1, "methods": ["status"]}
                status = {"state": "watching", "tracer": "bcc"}
                first = {
                    "hello": hello,
                    "snapshot": {"sequence": 1, "status": status, "findings": []},
                }
                writer.write(protocol.encode(first) + b"\n".join([*sent, b""]))
                writer.close()

            async with await asyncio.start_unix_server(told, path):
                feed = await RemoteFeed.connect(path)
                async with asyncio.timeout(PATIENCE_S):
                    await feed._task
                await feed.close()

    asyncio.run(scene())


# -- the editor's side ---------------------------------------------------------------------------

frames = st.lists(
    st.sampled_from(
        [b"Content-Length: 2\r\n\r\n{}", b"Content-Length: -1\r\n\r\n",
         b"content-length:9999999999\r\n",
         b"Content-Length: 5\r\nContent-Length: 1\r\n\r\n{", b"\r\n\r\n", b"Content-Type: x\r\n",
         b"POST / HTTP/1.1\r\n", b"Content-Length: \xd9\xa3\r\n\r\n", b"x" * 9000, b"\n"]
    )
    | st.binary(max_size=40),
    max_size=12,
)  # fmt: skip


@given(frames)
def test_any_bytes_are_messages_or_the_end(pieces_of_stream):
    import io

    stream = io.BytesIO(b"".join(pieces_of_stream))
    with contextlib.suppress(connection.BrokenFraming):
        while (body := connection.read_message(stream)) is not None:
            assert len(body) <= connection.MAX_MESSAGE_BYTES


EXTENSIONS = sorted(
    value for value in vars(ext).values() if isinstance(value, str) and value.startswith(ext.PREFIX)
)
COMMANDS = (
    "linnix.explain linnix.reproduce linnix.dismiss linnix.stopProcess linnix.tryFix"
    " linnix.playground.showLog linnix.playground.run linnix.playground.detach"
).split()
URIS = st.sampled_from(
    ["file:///ws/pump.py", "file:///ws/%00", "file://host/a", "file:///%ff%fe", "untitled:1",
     "command:x", "http://evil.test/a.py", "", "file:", "file:///" + "a/" * 3000, "vscode-vfs://x/y",
     "file:///proc/self/mem", "file:///dev/zero", "file:///ws/x.bpf.c", "javascript:alert(1)",
     "file:///ws/%E2%80%AE.py", "file://[", "file:///ws/\ud800.py"]
)  # fmt: skip
positions = st.fixed_dictionaries(
    {
        "line": st.integers(0, 2**31 - 1) | st.integers(-3, 9),
        "character": st.integers(-3, 2**31 - 1),
    }
)
ranges = st.fixed_dictionaries({"start": positions, "end": positions})
documents = st.fixed_dictionaries({"uri": URIS})
lsp_messages = st.one_of(
    st.tuples(st.sampled_from(EXTENSIONS), json_values | params | keys),
    st.tuples(
        st.just("workspace/executeCommand"),
        st.fixed_dictionaries(
            {
                "command": st.sampled_from(COMMANDS) | any_text,
                "arguments": st.lists(
                    json_values
                    | st.fixed_dictionaries({"finding_id": st.just("f1") | json_values})
                    | st.fixed_dictionaries({"uri": URIS, "quiet": st.booleans()})
                    | st.fixed_dictionaries({"process": keys, "confirmed": st.booleans()}),
                    max_size=2,
                ),
            }
        ),
    ),
    st.tuples(
        st.sampled_from(["textDocument/hover", "textDocument/completion"]),
        st.fixed_dictionaries({"textDocument": documents, "position": positions}) | json_values,
    ),
    st.tuples(
        st.sampled_from(["textDocument/codeAction", "textDocument/inlayHint"]),
        st.fixed_dictionaries(
            {"textDocument": documents, "range": ranges, "context": st.just({"diagnostics": []})}
        ),
    ),
    st.tuples(st.just("textDocument/codeLens"), st.fixed_dictionaries({"textDocument": documents})),
    st.tuples(any_text, json_values),
)
edits = st.fixed_dictionaries({"range": ranges, "text": any_text}) | st.fixed_dictionaries(
    {"text": any_text}
)
notes = st.one_of(
    st.tuples(
        st.just("textDocument/didOpen"),
        st.fixed_dictionaries(
            {
                "textDocument": st.fixed_dictionaries(
                    {
                        "uri": URIS,
                        "languageId": any_text,
                        "version": st.integers(-5, 5),
                        "text": any_text,
                    }
                )
            }
        ),
    ),
    st.tuples(
        st.just("textDocument/didChange"),
        st.fixed_dictionaries(
            {
                "textDocument": st.fixed_dictionaries({"uri": URIS, "version": st.integers(-5, 5)}),
                "contentChanges": st.lists(edits, max_size=3),
            }
        ),
    ),
    st.tuples(
        st.sampled_from(["textDocument/didSave", "textDocument/didClose"]),
        st.fixed_dictionaries({"textDocument": documents}),
    ),
    st.tuples(
        st.just("workspace/didChangeConfiguration"),
        st.fixed_dictionaries({"settings": json_values}),
    ),
    st.tuples(st.sampled_from(["$/cancelRequest", "$/setTrace", "exit2"]), json_values),
)


@few
@given(st.lists(lsp_messages | notes.map(lambda each: (*each, None)), max_size=15))
def test_a_server_answers_after_whatever_an_editor_has_sent(sent):
    async def scene():
        async with a_client(MemoryFeed({"f1": a_finding("/ws/pump.py")})) as client:
            await client.initialize()
            await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
            asked = []
            for number, (method, told, *is_note) in enumerate(sent, 1000):
                if is_note:
                    client.notify(method, told)
                else:
                    asked.append(number)
                    client.send({"id": number, "method": method, "params": told})
            await client.until(lambda: all(number in client.replies for number in asked))
            assert (await client.request("linnix/status"))["state"] == "watching"
            for number in asked:
                error = client.replies[number].get("error")
                assert error is None or error["code"] != -32603, (sent[number - 1000], error)

    with no_bugs():
        asyncio.run(scene())


@given(URIS | any_text)
def test_any_uri_is_a_path_or_none(uri):
    path = from_proto.path(uri)
    assert path is None or path.startswith("/")


@given(*[st.integers(0, 50)] * 4, any_text)
def test_a_line_stays_within_what_an_edit_left(line, first, n_lines, column, inserted):
    assert line_after_edit(line, first, first + n_lines, column, inserted) >= 0
