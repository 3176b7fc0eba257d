import pytest

from linnix_ls.lsp.text import code_span, markdown, visible, without_surrogates


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("plain ünïcode 日本", "plain ünïcode 日本"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("two\nlines\ttab", "two\\x0alines\\x09tab"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202edcba", "abc\\u202edcba"),
        ("a\u2028b", "a\\u2028b"),
        ("bad \udcff byte", "bad \\xff byte"),
        ("lone \ud800", "lone \\ud800"),
        ("tag \U000e0041", "tag \\U000e0041"),
    ],
)
def test_what_would_act_on_a_screen_is_shown_as_an_escape(hostile, shown):
    assert visible(hostile) == shown
    visible(hostile).encode()


def test_long_text_is_cut():
    assert visible("x" * 50, max_chars=10) == "x" * 9 + "…"


def test_json_keeps_everything_that_utf8_can_hold():
    assert without_surrogates("a\x1bb\udc80") == "a\x1bb\\x80"


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
        ("line\n\n# next", "line\\\\x0a\\\\x0a# next"),
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
        ("x\n```\ny", "````x\\x0a```\\x0ay````"),
    ],
)
def test_code_spans_cannot_be_left(text, span):
    assert code_span(text) == span
