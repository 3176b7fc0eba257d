"""The user's copies of linnix-ls's own probes: made, kept, told apart, reset."""

import os
import shutil
from pathlib import Path

import pytest

from linnix_ls.errors import PlaygroundError
from linnix_ls.playground.own_parts import PARTS, OwnParts, usual_folder
from linnix_ls.tracer.bpf_source import bpf_dir


def text_at(path):
    return Path(path).read_text() if Path(path).is_file() else None


@pytest.fixture
def shipped(tmp_path):
    return Path(shutil.copytree(bpf_dir(), tmp_path / "shipped"))


@pytest.fixture
def parts(tmp_path, shipped):
    own = OwnParts(text_at, shipped)
    own.use_folder(str(tmp_path / "mine"))
    return own


@pytest.fixture
def copy(parts):
    return Path(parts.make_copy("lifecycle.bpf.c"))


def test_all_parts_lie_beside_the_one_that_is_copied_and_none_is_an_edit(parts, copy):
    assert {each.name for each in parts.copies()} == set(PARTS)
    assert not any(each.is_edited or each.is_outdated for each in parts.copies())
    assert parts.edits(str(copy)) == {}
    assert copy.read_text() == (bpf_dir() / copy.name).read_text()


def test_an_edit_is_what_differs_as_the_editor_has_it(parts, copy):
    copy.write_bytes(copy.read_bytes().replace(b"\n", b"\r\n"))
    assert parts.edits(str(copy)) == {}, "line ends are the editor's business"
    copy.write_text("mine")
    assert parts.edits(str(copy)) == {"lifecycle.bpf.c": "mine"}
    assert [each.name for each in parts.copies() if each.is_edited] == ["lifecycle.bpf.c"]


def test_a_copy_is_never_written_over_by_another_one_being_made(parts, copy):
    copy.write_text("mine")
    parts.make_copy("scope.h")
    parts.make_copy("lifecycle.bpf.c")
    assert copy.read_text() == "mine"


class TestAfterAnUpgrade:
    def test_what_nobody_has_edited_follows_the_shipped_one(self, parts, shipped, copy):
        (shipped / copy.name).write_text("newer")
        assert parts.make_copy(copy.name) == str(copy)
        assert copy.read_text() == "newer"
        assert not any(each.is_edited for each in parts.copies())

    def test_an_edit_stays_and_is_told_apart_until_it_was_taken_in(self, parts, shipped, copy):
        before = copy.read_text()
        copy.write_text(f"{before}// mine\n")
        (shipped / copy.name).write_text(f"// newer\n{before}")
        parts.make_copy(copy.name)
        assert copy.read_text() == f"{before}// mine\n"
        assert [each.name for each in parts.copies() if each.is_outdated] == [copy.name]
        change = parts.diff(str(copy), against_base=True)
        assert "+// newer\n" in change.unified
        assert "mine" not in change.unified
        parts.rebase(str(copy))
        assert not any(each.is_outdated for each in parts.copies())
        assert "+// mine\n" in parts.diff(str(copy), against_base=False).unified


class TestReset:
    def test_keeps_what_was_there_beside_it(self, parts, copy):
        copy.write_text("mine")
        assert parts.reset(str(copy))
        assert parts.edits(str(copy)) == {}
        assert Path(f"{copy}~").read_text() == "mine"
        assert not parts.reset(str(copy))

    @pytest.mark.parametrize("name", ["other.bpf.c", "lifecycle.bpf.c"])
    def test_is_of_copies_only(self, parts, tmp_path, name):
        path = tmp_path / name
        path.write_text("mine")
        with pytest.raises(PlaygroundError, match="not a copy"):
            parts.reset(str(path))
        assert path.read_text() == "mine"

    def test_never_is_of_the_installed_ones(self, parts, shipped):
        with pytest.raises(PlaygroundError, match="not a copy"):
            parts.reset(str(shipped / "scope.h"))


def test_a_link_is_replaced_and_not_written_through(parts, copy, tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    for path in (copy, Path(f"{copy}~"), copy.parent / ".shipped" / copy.name):
        path.unlink(missing_ok=True)
        path.symlink_to(target)
    parts.reset(str(copy))
    assert target.read_text() == "precious"
    assert not copy.is_symlink()
    assert Path(f"{copy}~").read_text() == "precious"


def test_only_what_lies_together_with_all_others_is_a_part(parts, copy, shipped, tmp_path):
    assert parts.part(str(copy)) == parts.part(str(shipped / copy.name)) == copy.name
    assert parts.is_shipped(str(shipped / copy.name))
    assert not parts.is_shipped(str(copy))
    alone = tmp_path / "lifecycle.bpf.c"
    alone.write_text("")
    assert parts.part(str(alone)) is parts.part("/nowhere/x.bpf.c") is None
    assert parts.diff(str(alone), against_base=False) is None


def test_names_that_are_no_parts_are_refused(parts):
    for name in ("", "../../etc/passwd", "/etc/passwd", "lifecycle.bpf.c\0"):
        with pytest.raises(PlaygroundError, match="no probe of this name"):
            parts.make_copy(name)


def test_a_folder_that_cannot_be_made_is_said(parts, tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(PlaygroundError, match="no copy can be made"):
        parts.make_copy("scope.h")


def test_the_usual_place_is_where_configuration_lies(monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "/there")
    assert usual_folder() == Path("/there/linnix-ls/bpf")
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/me")
    assert usual_folder() == Path("/home/me/.config/linnix-ls/bpf")
    assert os.path.isabs(OwnParts(text_at).folder)
