import pytest

from linnix_ls.lsp.text import code_span, markdown, prose


@pytest.mark.parametrize(
    ("hostile", "escaped"),
    [
        ("<script>", "\\<script\\>"),
        ("[click](http://x)", "\\[click\\](http:\\//x)"),
        ("a | b", "a \\| b"),
        ("`code`", "\\`code\\`"),
        ("snake_case and _emphasis_", "snake_case and \\_emphasis\\_"),
        ("# no heading", "\\# no heading"),
        ("1. no list", "1\\. no list"),
        ("0.99 cores", "0.99 cores"),
        ("www.example", "www\\.example"),
        ("a & b", "a \\& b"),
        ("line\n\n# next", "line\\\\n\\\\n# next"),
    ],
)
def test_markdown_shows_hostile_text_as_it_is(hostile, escaped):
    assert markdown(hostile) == escaped


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("ls -l", "`ls -l`"),
        ("a `b` c", "``a `b` c``"),
        ("`b`", "`` `b` ``"),
        ("", "` `"),
        ("x\n```\ny", "````x\\n```\\ny````"),
    ],
)
def test_code_spans_cannot_be_left(text, span):
    assert code_span(text) == span


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("raise: `if a == b: raise`.", "raise: `if a == b: raise`."),
        ("`a` and `b`", "`a` and `b`"),
        ("one ` alone <b>", "one \\` alone \\<b\\>"),
        ("[x](http://y) `[x](http://y)`", "\\[x\\](http:\\//y) `[x](http://y)`"),
        ("`a\nb`", "\\`a\\\\nb\\`"),
    ],
)
def test_in_prose_what_stands_between_backticks_is_code(said, shown):
    assert prose(said) == shown
