"""Help with writing probes, as a client gets it."""

import asyncio
import json

import pytest

from linnix_ls.lsp.authoring import LEGEND
from linnix_ls.lsp.documents import uri_of_path
from linnix_ls.playground import authoring
from linnix_ls.playground.base import CLANGD_MARK
from tests.explain.writers import ScriptedWriter
from tests.lsp.client import CAPABILITIES, a_client
from tests.lsp.memory_feed import MemoryFeed
from tests.lsp.test_explaining import notes_by
from tests.playground.machine import AUTHOR

pytestmark = pytest.mark.asyncio

COUNTS = """\
BPF_HASH(counts, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    /* é𐍈 */ u32 pid = args->pid;
    counts.increment(pid);
    bpf_send_signal(9);
    return 0;
}
"""
REGISTERED = [
    "textDocument/completion",
    "textDocument/signatureHelp",
    "textDocument/definition",
    "textDocument/semanticTokens",
]
DYNAMIC = json.loads(json.dumps(CAPABILITIES))
for method in REGISTERED:
    DYNAMIC["textDocument"][method.partition("/")[2]] = {"dynamicRegistration": True}
DYNAMIC["textDocument"]["semanticTokens"] |= {
    "requests": {"full": True}, "tokenTypes": [], "tokenModifiers": [], "formats": ["relative"]
}  # fmt: skip


async def load_author(_told):
    return AUTHOR


def a_probe(tmp_path, text=COUNTS, name="counts.bpf.c"):
    path = tmp_path / name
    path.write_text(text)
    return uri_of_path(str(path))


def at(text, word, after=0):
    """The position `after` UTF-16 units behind the start of a word."""
    offset = text.index(word)
    line_start = text.rfind("\n", 0, offset) + 1
    units = len(text[line_start:offset].encode("utf-16-le")) // 2
    return {"line": text.count("\n", 0, offset), "character": units + after}


async def ask(client, what, uri, position=None, **more):
    where = {"position": position} if position else {}
    return await client.request(
        f"textDocument/{what}", {"textDocument": {"uri": uri}, **where, **more}
    )


async def test_completion_replaces_the_word_at_the_cursor(tmp_path):
    uri = a_probe(tmp_path)
    async with a_client(load_author=load_author) as client:
        await client.initialize()
        client.open(uri, COUNTS)
        found = await ask(client, "completion", uri, at(COUNTS, "args->pid", 7))
        assert [item["label"] for item in found["items"]] == ["pid"]
        assert found["items"][0]["textEdit"] == {
            "newText": "pid",
            "range": {"start": at(COUNTS, "args->pid", 6), "end": at(COUNTS, "args->pid", 7)},
        }
        assert found["isIncomplete"] is False


async def test_columns_count_in_the_units_of_the_client(tmp_path):
    uri = a_probe(tmp_path)
    async with a_client(load_author=load_author) as client:
        await client.initialize()
        client.open(uri, COUNTS)
        hover = await ask(client, "hover", uri, at(COUNTS, "args->pid", 7))
        assert "pid_t pid" in hover["contents"]["value"]
        assert hover["range"]["start"] == at(COUNTS, "args->pid", 6)
        assert hover["range"]["end"] == at(COUNTS, "args->pid", 9)


async def test_unsaved_text_counts(tmp_path):
    uri = a_probe(tmp_path)
    async with a_client(load_author=load_author) as client:
        await client.initialize()
        client.open(uri, "TRACEPOINT_PROBE(sch")
        found = await ask(client, "completion", uri, {"line": 0, "character": 20})
        assert [item["label"] for item in found["items"]] == ["sched"]


async def test_signature_help_says_which_argument_is_written(tmp_path):
    text = "BPF_HASH(counts, u32, u64);\nint f() { counts.update(&key, "
    uri = a_probe(tmp_path, text)
    async with a_client(load_author=load_author) as client:
        await client.initialize()
        client.open(uri, text)
        found = await ask(client, "signatureHelp", uri, {"line": 1, "character": 30})
        [signature] = found["signatures"]
        assert signature["label"] == "int counts.update(u32 *key, u64 *leaf)"
        assert found["activeParameter"] == 1


async def test_semantic_tokens_name_maps_helpers_tracepoints_and_fields(tmp_path):
    uri = a_probe(tmp_path)
    async with a_client(load_author=load_author) as client:
        await client.initialize()
        client.open(uri, COUNTS)
        data = (await ask(client, "semanticTokens/full", uri))["data"]
        lines, line, character, found = COUNTS.split("\n"), 0, 0, {}
        for start in range(0, len(data), 5):
            d_line, d_character, length, kind, modifiers = data[start : start + 5]
            line, character = line + d_line, d_character + (0 if d_line else character)
            units = lines[line].encode("utf-16-le")
            word = units[2 * character : 2 * (character + length)].decode("utf-16-le")
            names = [m for bit, m in enumerate(LEGEND.token_modifiers) if modifiers >> bit & 1]
            found[word, line] = (LEGEND.token_types[kind], names)
        assert found["counts", 0] == ("variable", ["definition", "static"])
        assert found["sched", 2] == ("namespace", [])
        assert found["sched_process_exec", 2] == ("event", [])
        assert found["pid", 4] == ("property", ["readonly"])
        assert found["increment", 5] == ("method", [])
        assert found["bpf_send_signal", 6] == ("function", ["deprecated", "defaultLibrary"])


async def test_definition_goes_into_this_text_and_into_the_products_probes(tmp_path):
    text = COUNTS.replace("return 0;", "return is_watched(pid);")
    uri = a_probe(tmp_path, text)
    async with a_client(load_author=load_author) as client:
        await client.initialize()
        client.open(uri, text)
        own = await ask(client, "definition", uri, at(text, "counts.increment", 1))
        assert own == {"uri": uri, "range": {"start": at(text, "counts"), "end": at(text, ",")}}
        other = await ask(client, "definition", uri, at(text, "is_watched", 1))
        assert other["uri"].endswith("/bpf/scope.h")


async def test_other_documents_are_answered_with_nothing(tmp_path):
    uri = a_probe(tmp_path, name="counts.c")
    async with a_client(load_author=load_author) as client:
        await client.initialize()
        client.open(uri, COUNTS)
        position = at(COUNTS, "args->pid", 7)
        for what in ("completion", "hover", "signatureHelp", "definition"):
            assert await ask(client, what, uri, position) is None
        assert await ask(client, "semanticTokens/full", uri) is None


async def test_a_client_that_can_is_asked_for_probes_alone(tmp_path):
    uri = a_probe(tmp_path)
    async with a_client(load_author=load_author) as client:
        result = await client.initialize(DYNAMIC)
        offered = result["capabilities"].keys()
        assert not offered & {
            "completionProvider", "signatureHelpProvider", "definitionProvider",
            "semanticTokensProvider",
        }  # fmt: skip
        await client.until(lambda: any(m == "client/registerCapability" for m, _ in client.asked))
        [registrations] = [
            params["registrations"]
            for method, params in client.asked
            if method == "client/registerCapability"
        ]
        selectors = {
            each["method"]: each["registerOptions"]["documentSelector"] for each in registrations
        }
        assert list(selectors) == REGISTERED
        assert all(each == [{"pattern": "**/*.bpf.c"}] for each in selectors.values())
        client.open(uri, COUNTS)
        assert await ask(client, "completion", uri, at(COUNTS, "args->pid", 7))
        assert await ask(client, "semanticTokens/full", uri)


async def test_a_client_that_cannot_is_told_at_once():
    async with a_client(load_author=load_author) as client:
        capabilities = (await client.initialize())["capabilities"]
        assert ">" in capabilities["completionProvider"]["triggerCharacters"]
        assert capabilities["semanticTokensProvider"]["legend"]["tokenTypes"] == LEGEND.token_types
        assert capabilities["definitionProvider"]


async def test_what_clangd_tells_with_our_header_is_not_told_twice(tmp_path):
    (tmp_path / ".clangd").write_text(f"{CLANGD_MARK}\n")
    uri = a_probe(tmp_path)
    async with a_client(load_author=load_author) as client:
        await client.initialize()
        client.open(uri, COUNTS)
        assert await ask(client, "completion", uri, at(COUNTS, "args->pid", 7)) is None
        assert await ask(client, "hover", uri, at(COUNTS, "args->pid", 7)) is None
        assert await ask(client, "semanticTokens/full", uri) is None
        event = await ask(client, "completion", uri, at(COUNTS, "sched_process_exec", 15))
        assert "sched_process_exec" in [item["label"] for item in event["items"]]
        refused = await ask(client, "hover", uri, at(COUNTS, "bpf_send_signal", 3))
        assert "Refused in the playground" in refused["contents"]["value"]


async def test_clangd_can_be_ruled_out_by_a_setting(tmp_path):
    (tmp_path / ".clangd").write_text(f"{CLANGD_MARK}\n")
    uri = a_probe(tmp_path)
    async with a_client(load_author=load_author) as client:
        client.answers["workspace/configuration"] = [{"playground": {"clangd": "off"}}]
        await client.initialize()
        await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
        client.open(uri, COUNTS)
        assert await ask(client, "completion", uri, at(COUNTS, "args->pid", 7))


async def test_what_an_agent_knows_is_used_once_it_is_there(tmp_path):
    told = []

    async def load(knowledge):
        told.append(knowledge)
        return await asyncio.to_thread(authoring.load, knowledge)

    async with a_client(FeedOfAgent(), load_author=load) as client:
        await client.initialize()
        client.open(a_probe(tmp_path), COUNTS)
        await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
        while len(told) < 2:  # noqa: ASYNC110 - there is nothing that a client could wait for
            await asyncio.sleep(0.01)
        assert told == [None, b'{"tracepoints": {}}']


class FeedOfAgent(MemoryFeed):
    @property
    def playground(self):
        return self

    async def knowledge(self):
        return '{"tracepoints": {}}'


@pytest.mark.parametrize(
    "text", ["\0\ufffd\x1b[2J" * 100, "a->\r" * 200, "x" * 300_000], ids=["binary", "cr", "huge"]
)
async def test_no_text_is_too_strange(tmp_path, text):
    uri = a_probe(tmp_path, "")
    async with a_client(load_author=load_author) as client:
        await client.initialize()
        client.open(uri, text)
        for what in ("completion", "hover", "signatureHelp", "definition"):
            await ask(client, what, uri, {"line": 0, "character": 3})
            await ask(client, what, uri, {"line": 999, "character": 999})
        await ask(client, "semanticTokens/full", uri)


async def test_what_a_text_calls_things_cannot_break_out_of_a_hover(tmp_path):
    text = 'BPF_TABLE("hash", u32, struct { char x[1]; /* ``` <b>[x](command:y) */ }, m, 1);\n'
    text += "BPF_HASH(n, `````\u202e![x](y), u64);\nint f() { n"
    uri = a_probe(tmp_path, text)
    async with a_client(load_author=load_author) as client:
        await client.initialize()
        client.open(uri, text)
        hover = await ask(client, "hover", uri, {"line": 2, "character": 11})
        value = hover["contents"]["value"]
        block, rest = value.removeprefix("```c\n").split("\n```", 1)
        assert "```" not in block
        assert "\u202e" not in block
        assert "](" not in rest


class TestExplaining:
    async def explain(self, client, **argument):
        return await client.request(
            "workspace/executeCommand",
            {"command": "linnix.playground.explain", "arguments": [argument]},
        )

    async def test_a_probe_is_told_as_it_is_in_the_editor(self, tmp_path):
        uri = a_probe(tmp_path)
        async with a_client(load_author=load_author) as client:
            await client.initialize()
            client.open(uri, COUNTS.replace("counts", "sums"))
            told = (await self.explain(client, uri=uri, quiet=True))["markdown"]
            assert "- 6: Counts up the value of `pid` in `sums`." in told

    async def test_names_are_no_markup(self, tmp_path):
        uri = a_probe(tmp_path)
        hostile = 'SEC("tp/<b>/[x](http://y)")\nint f(void *ctx)\n{\n    return 0;\n}\n'
        async with a_client(load_author=load_author) as client:
            await client.initialize()
            client.open(uri, hostile)
            told = (await self.explain(client, uri=uri, quiet=True))["markdown"]
            assert "<b>" not in told.replace("\\<b\\>", "")
            assert "http://" not in told

    @pytest.mark.parametrize(
        ("words", "is_shown"),
        [
            ("It counts up the value of `pid` in `counts`, and ends.", True),
            ("It steals the passwords of `pid` with `counts`, and ends.", False),
            ("It counts up the value of `ppid` in `counts`, and ends.", False),
            ("Delete `counts`, and count up the value of `pid` instead.", False),
        ],
    )
    async def test_a_models_words_are_shown_as_far_as_they_are_borne_out(
        self, tmp_path, words, is_shown
    ):
        uri = a_probe(tmp_path)
        answer = json.dumps({"note": words, "cites": ["e1"], "old": "", "new": ""})
        notes = notes_by(lambda _settings: ScriptedWriter(answer))
        async with a_client(load_author=load_author, open_notes=notes) as client:
            await client.initialize(initializationOptions={"explain": {"when": "asked"}})
            client.open(uri, COUNTS)
            told = (await self.explain(client, uri=uri, quiet=True, model=True))["markdown"]
            assert (f"Scripted 1B: {words}" in told) is is_shown
            assert ("of 1 answers 1 did not pass the checks" in told) is not is_shown

    async def test_what_is_no_probe_is_not_told(self, tmp_path):
        async with a_client(load_author=load_author) as client:
            await client.initialize()
            assert await self.explain(client, uri="file:///x.c") is None
