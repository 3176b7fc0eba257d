"""Whatever a process is called, prints or says, on every surface: shown, and nothing else.

A table: what hostile text there is (`PAYLOADS`), where it comes out (`SURFACES`, from a finding
that is full of it to what is shown there), and what must hold of each (`no_controls`, …). To add
a surface is to add a line.
"""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types
from markdown_it import MarkdownIt
from pygls.workspace import PositionCodec

from linnix_ls.cli import doctor
from linnix_ls.cli.screen import render
from linnix_ls.core.explanations import explain
from linnix_ls.core.findings import (
    Edit,
    Evidence,
    Explanation,
    Kind,
    Note,
    OtherLocation,
    Patch,
    ProcessInfo,
    Severity,
    SourceLocation,
)
from linnix_ls.core.ids import ProcessKey
from linnix_ls.diagnosis import Check
from linnix_ls.explain import prompt
from linnix_ls.explain.base import Excerpt
from linnix_ls.fixes.rerun import quoted
from linnix_ls.lsp import ext, to_proto, wording
from linnix_ls.lsp.text import message
from linnix_ls.report import document, sarif, text
from tests.report.samples import FACTS, SPIN, STARTED_NS, STATUS

# The extension tries them, too, in the pages that it shows (vscode-extension/test/dom/).
PAYLOADS = json.loads(Path(__file__).with_name("payloads.json").read_text()) | {
    "long": "x" * 20_000,
    "wide": "漢" * 300 + "🦊" * 300 + "a\u0301" * 200,
}


def hostile(payload, **changes):
    """A finding of which all is said by its process, that can be."""
    who = ProcessInfo(ProcessKey(7, 8), 1, 0, payload, f"/{payload}", (payload, payload), "/ws")
    finding = replace(
        SPIN,
        process=who,
        ancestry=(replace(who, key=ProcessKey(1, 1)),),
        location=SourceLocation(f"/ws/{payload}.py", 3, None, payload, 0.9, payload),
        other_locations=(OtherLocation(f"/ws/{payload}.py", 2, payload),),
        test=payload,
        evidence=(
            Evidence("e1", "commonest_syscall", payload, "name", 2.0, payload),
            Evidence("e2", "on_cpu_cores", 0.99, "cores", 2.0, "cpu_clock samples"),
        ),
    )
    return replace(finding, **changes)


def explained(payload):
    """In our own words, of hostile facts."""
    finding = hostile(payload)
    return replace(finding, explanation=explain(finding))


def said(payload):
    """All words are hostile: of an agent or a document that is not ours."""
    edit = Edit(f"/ws/{payload}.py", 3, payload, payload)
    note = Note(payload, payload, ("e1",), Patch(payload, payload, (edit,)))
    words = Explanation(payload, payload, payload, (payload,), ("e1",), payload, note)
    return hostile(payload, explanation=words)


def bare(payload):
    return hostile(payload, explanation=None)


# -- what must hold ------------------------------------------------------------------------------

ACTIVE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
SGR = re.compile(r"\x1b\[[0-9;]*m")


def no_controls(shown, payload):
    assert not ACTIVE.search(shown)


def only_our_colours(shown, payload):
    no_controls(SGR.sub("", shown), payload)


def no_line_of_its_own(shown, payload):
    """No line begins as it wants: a log's, or what a CI service takes for a command."""
    no_controls(shown, payload)
    assert not re.search(r"^(::|# b|- c|> d|:!id|\|---)", shown, re.MULTILINE)


def behind_a_margin(shown, payload):
    """Nothing foreign looks like what we tell a model ourselves."""
    no_line_of_its_own(shown, payload)
    assert len(re.findall("^EVIDENCE", shown, re.MULTILINE)) == 1
    assert "<|" not in shown


def one_line(shown, payload):
    no_controls(shown, payload)
    assert "\n" not in shown


def nothing_to_click(shown, payload):
    """What VS Code makes of a plain message: links with a label, also to commands."""
    no_controls(shown, payload)
    assert not re.search(r"\[[^\]]+\]\((https?:|command:|file:)", shown, re.IGNORECASE)


MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
DEAD = {"code_inline", "fence", "code_block", "text", "softbreak", "hardbreak"}
OURS = {"paragraph", "inline", "strong", "bullet_list", "list_item", "table", "thead", "tbody",
        "tr", "th", "td", "hr"}  # fmt: skip


def inert_markdown(shown, payload):
    """Of a real parser, nothing but what we use ourselves; and no bare link."""
    no_controls(shown, payload)
    for token in tokens(MARKDOWN.parse(shown)):
        kind = token.type.removesuffix("_open").removesuffix("_close")
        assert kind in DEAD | OURS, (kind, token.content)
    outside_code = re.sub(r"(`+).*?(?<!`)\1(?!`)", "", shown, flags=re.DOTALL)
    assert not re.search(r"(https?|command)://|(?<!\\)\bwww\.", outside_code)


def tokens(found):
    for token in found:
        yield token
        yield from tokens(token.children or [])


def is_json(shown, payload):
    no_controls(shown, payload)
    json.loads(shown)


def json_that_keeps_it(shown, payload):
    """Whoever reads it gets the same text; of bytes that are no UTF-8 how they are written."""
    shown.encode()
    found = list(strings(json.loads(shown)))
    assert any(wanted(payload) in each for each in found)


def wanted(payload):
    return re.sub(
        "[\ud800-\udfff]",
        lambda m: f"\\x{ord(m[0]) - 0xDC00:02x}" if ord(m[0]) >= 0xDC80 else f"\\u{ord(m[0]):04x}",
        payload,
    )


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from (name, *strings(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def sarif_without_links(shown, payload):
    """3.11.6: in a message's text, [label](target) is a link."""
    json_that_keeps_it(shown, payload)
    for each in messages(json.loads(shown)["runs"][0]["results"]):
        assert not re.search(r"\[(?:[^\]\\]|\\.)*\]\([^)]+\)", each["text"])


def messages(value):
    if isinstance(value, dict):
        yield from (inner for name, inner in value.items() if name == "message")
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from messages(inner)


# -- where it comes out --------------------------------------------------------------------------

RANGE = to_proto.line_range(None, 0, PositionCodec())


def diagnostic_of(finding):
    related = to_proto.related_information(
        finding, lambda path, _: types.Location(to_proto.uri_of_path(path), RANGE)
    )
    return to_proto.diagnostic(finding, Severity.WARNING, RANGE, related)


def titles(finding):
    shown = diagnostic_of(finding)
    actions = to_proto.code_actions(finding, shown, is_reproducible=True, is_by_probe=True)
    lenses = to_proto.code_lenses(finding, shown)
    return [each.title for each in actions] + [lens.command.title for lens in lenses]


def told_to_a_model(finding):
    lines = tuple(finding.test.split("\n"))
    excerpt = Excerpt(finding.location.path, 1, lines, None, lines)
    return prompt.build(finding, excerpt, is_free_prose=True, cwd="/ws").user


def block(finding, *, has_colour=False):
    shown = text.finding_block(finding, cwd="/ws", started_ns=STARTED_NS)
    return render(shown, has_colour=has_colour)


def plain(shown):
    return render(shown, has_colour=False)


def summary(finding):
    return plain(text.summary(FACTS, STATUS, [finding]))


def busy(finding):
    facts = replace(FACTS, busy=document.Busy(finding.process.comm, 7, 40.0))
    return plain(text.summary(facts, STATUS, []))


def checks(finding):
    said = finding.test
    return [Check("agent", is_ok=False, is_required=True, detail=said, fix=said)]


def panel(finding):
    told = ext.finding_object(finding, Severity.WARNING, 0, None)
    return json.dumps(told, ensure_ascii=False)


def related(finding):
    return "".join(each.message for each in diagnostic_of(finding).related_information)


def documented(finding):
    facts = replace(FACTS, command=finding.process.argv, cwd="/ws")
    return document.build(facts, STATUS, [finding])


def as_sarif(finding):
    return sarif.to_sarif(documented(finding)).decode()


SURFACES = {
    "terminal": (said, block, no_line_of_its_own),
    "terminal, our words": (explained, block, no_line_of_its_own),
    "terminal, no words": (bare, block, no_line_of_its_own),
    "coloured terminal": (said, lambda f: block(f, has_colour=True), only_our_colours),
    "note in a terminal": (
        said,
        lambda f: plain(text.note_block(f, f.explanation.note, cwd="/ws")),
        no_line_of_its_own,
    ),
    "summary": (said, summary, no_line_of_its_own),
    "busy": (bare, busy, no_line_of_its_own),
    "notice": (bare, lambda f: plain(text.notice(f.test, f.test)), no_line_of_its_own),
    "doctor": (bare, lambda f: plain(doctor.to_text(checks(f))), no_line_of_its_own),
    "doctor, json": (bare, lambda f: doctor.to_json(checks(f)), is_json),
    "findings": (said, lambda f: document.to_json(documented(f)).decode(), json_that_keeps_it),
    "SARIF": (said, as_sarif, sarif_without_links),
    "SARIF, no words": (bare, as_sarif, sarif_without_links),
    "panel": (said, panel, json_that_keeps_it),
    "hover": (said, wording.as_markdown, inert_markdown),
    "hover, our words": (explained, wording.as_markdown, inert_markdown),
    "hover, no words": (bare, wording.as_markdown, inert_markdown),
    "hover, plain": (said, wording.as_plain_text, no_controls),
    "diagnostic": (said, lambda f: diagnostic_of(f).message, one_line),
    "diagnostic, our words": (explained, lambda f: diagnostic_of(f).message, one_line),
    "related places": (said, related, one_line),
    "actions and lenses": (said, lambda f: "".join(titles(f)), one_line),
    "news": (said, lambda f: message(wording.news([f])), nothing_to_click),
    "message": (said, lambda f: message(wording.explanation(f)), nothing_to_click),
    "message with a note": (
        said,
        lambda f: message(wording.note(f.explanation.note)),
        nothing_to_click,
    ),
    "stop?": (said, lambda f: message(to_proto.stop_title(f)), nothing_to_click),
    "prompt": (said, told_to_a_model, behind_a_margin),
    "prompt, our words": (explained, told_to_a_model, behind_a_margin),
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
@pytest.mark.parametrize(("subject", "show", "must"), SURFACES.values(), ids=SURFACES)
def test_what_is_hostile_is_shown_and_does_nothing(subject, show, must, payload):
    for kind in (Kind.CPU_SPIN, Kind.FORK_STORM, Kind.STUCK):
        finding = replace(subject(payload), kind=kind)
        must(show(finding), payload)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_a_command_that_is_copied_is_read_as_the_same_words(payload, shell):
    line = quoted(payload)
    no_controls(line, payload)
    if shutil.which(shell):
        assert read_by(shell, line) == os.fsencode(payload)


@given(st.text(max_size=40))
def test_any_word_is_quoted_for_a_shell(word):
    word = word.replace("\0", "")
    word = "".join(each for each in word if not "\ud800" <= each <= "\udc7f" or each > "\udcff")
    assert read_by("bash", quoted(word)) == os.fsencode(word)


def read_by(shell, line):
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    out = subprocess.run(
        [shell, "-c", f"printf %s {line}"], capture_output=True, check=True, env=env
    )
    return out.stdout
