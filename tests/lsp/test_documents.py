import os

import pytest

from linnix_ls.lsp import from_proto
from linnix_ls.lsp.documents import (
    MAX_FILE_BYTES,
    Documents,
    line_after_edit,
    read_text,
    split_lines,
    uri_of_path,
)


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/a/b.py", "file:///a/b.py"),
        ("/with space/ünï.py", "file:///with%20space/%C3%BCn%C3%AF.py"),
        ("/100%/a#b?c.py", "file:///100%25/a%23b%3Fc.py"),
        ("/bad\udcff.py", "file:///bad%FF.py"),
    ],
)
def test_paths_become_uris_and_come_back(path, uri):
    assert uri_of_path(path) == uri
    assert from_proto.path(uri) == path


@pytest.mark.parametrize(
    "uri", ["untitled:1", "http://x/y", "", "file:", "file://[x", "file:///a%00b"]
)
def test_uris_of_no_local_file_have_no_path(uri):
    assert from_proto.path(uri) is None


def test_only_line_ends_of_lsp_split_lines():
    assert split_lines("a\nb\r\nc\rd\x0ce\u2028f\n") == ["a", "b", "c", "d\x0ce\u2028f", ""]


def test_a_file_that_is_no_text_has_no_text(tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\x7fELF\0\0")
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (binary, huge, fifo, tmp_path, tmp_path / "gone", "/bad\0name"):
        assert read_text(str(path)) is None, path


def test_bytes_that_are_no_utf8_do_not_hide_a_file(tmp_path):
    latin = tmp_path / "latin.py"
    latin.write_bytes(b"\xef\xbb\xbfx = '\xe9'\n")
    assert read_text(str(latin)) == "x = '\ufffd'\n"


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        ((2, 2, 0, "new\n"), 11),  # a line inserted above
        ((10, 10, 0, "new\n"), 11),  # just above
        ((10, 10, 4, "x = 1"), 10),  # within the line
        ((9, 9, 7, "\n"), 11),  # return at the end of the line before
        ((3, 6, 0, ""), 7),  # lines deleted above
        ((11, 12, 0, ""), 10),  # below
        ((8, 12, 3, "a\nb"), 9),  # the line itself was replaced
    ],
)
def test_a_line_moves_with_the_edits_above_it(edit, line):
    assert line_after_edit(10, *edit) == line


def test_an_open_file_has_the_clients_uri_and_text(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (real / "a.py").write_text("on disk")
    (tmp_path / "link").symlink_to(real)
    uri = uri_of_path(str(tmp_path / "link" / "a.py"))
    documents = Documents({uri: "in the editor"}.get)
    assert documents.uri(str(real / "a.py")) == uri_of_path(str(real / "a.py"))
    assert documents.lines(str(real / "a.py")) == ["on disk"]
    documents.opened(uri)
    assert documents.uri(str(real / "a.py")) == uri
    assert documents.lines(str(real / "a.py")) == ["in the editor"]
    documents.closed(uri)
    assert documents.lines(str(real / "a.py")) == ["on disk"]


def test_a_file_in_a_linked_workspace_folder_is_named_as_the_client_names_it(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    documents = Documents({}.get)
    documents.set_folders([str(tmp_path / "link")])
    assert documents.uri(str(real / "b.py")) == uri_of_path(str(tmp_path / "link" / "b.py"))
    assert documents.uri("/else/where.py") == "file:///else/where.py"
