"""Edits of whole lines, and where they do not fit."""

import pytest

from linnix_ls.core.findings import Edit
from linnix_ls.fixes.text import Change, FileChanged, Source, apply


def edit(line, old, new):
    return Edit("/a", line, old, new)


@pytest.mark.parametrize(
    ("text", "edits", "after"),
    [
        ("a\nb\n", [edit(1, "", "new")], "new\na\nb\n"),
        ("a\nb\n", [edit(3, "", "new")], "a\nb\nnew\n"),
        ("a\nb\n", [edit(2, "b", "c\nd")], "a\nc\nd\n"),
        ("a\nb", [edit(2, "b", "c\nd")], "a\nc\nd"),
        ("a\nb\nc\n", [edit(1, "a\nb", "")], "c\n"),
        ("a\r\nb\r\n", [edit(2, "b", "c\nd")], "a\r\nc\r\nd\r\n"),
        ("a\nb\nc\n", [edit(3, "c", "C"), edit(1, "", "0"), edit(1, "a", "A")], "0\nA\nb\nC\n"),
        ("", [edit(1, "", "a")], "a\n"),
    ],
)
def test_edits_are_made_by_lines_of_the_original(text, edits, after):
    assert apply(text, edits) == after


@pytest.mark.parametrize(
    "wrong", [edit(1, "b", "c"), edit(2, "b\nc", "d"), edit(9, "", "x"), edit(0, "a", "b")]
)
def test_an_edit_that_does_not_fit_is_refused(wrong):
    with pytest.raises(FileChanged, match="the file has changed"):
        apply("a\nb", [wrong])


def test_changes_of_one_line_become_one_edit():
    source = Source("/a", "f(0, 0)\ng()\n")
    changes = [Change(5, 6, "1"), Change(2, 3, "2"), source.insertion(1, "import x")]
    assert source.edits(changes) == (edit(1, "", "import x"), edit(1, "f(0, 0)", "f(2, 1)"))


def test_changes_count_in_bytes():
    source = Source("/a", "ü = 'é'; f(0)\n")
    at = source.content.index(b"0")
    assert source.edits([Change(at, at + 1, "1")]) == (edit(1, "ü = 'é'; f(0)", "ü = 'é'; f(1)"),)
