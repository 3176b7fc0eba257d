import pytest

from linnix_ls.core.text import visible, without_surrogates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ü → 日本", "plain ü → 日本"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x07\x7f\x9b", r"\x07\x7f\x9b"),
        ("abc\u202edcba", r"abc\u202edcba"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("\udcff", r"\xff"),
        ("\ud83d", r"\ud83d"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_acts_on_a_screen_is_shown_instead(text, expected):
    assert visible(text) == expected


def test_long_text_is_cut_before_it_is_escaped():
    assert visible("\x1b" * 5000, 4) == r"\x1b\x1b\x1b…"


def test_only_what_utf_8_cannot_hold_is_replaced():
    assert without_surrogates("\x1b\n\udcff\ud83d ü") == "\x1b\n\\xff\\ud83d ü"
