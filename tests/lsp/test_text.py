import pytest

from linnix_ls.lsp.text import code_span, markdown


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
