"""Compiled probes that are kept: when they are believed, and when not."""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import pytest

from linnix_ls.tracer import kept_products
from linnix_ls.tracer.product import Map, Product, Program

KEY = "a" * 64
PRODUCT = Product(
    "int on_cpu_clock(void *context) { return 0; }",
    b"GPL",
    (Program("on_cpu_clock", 7, bytes.fromhex("b700000000000000" "9500000000000000")),),
    (Map("watched", 1, 4, 1, 64, 0, "c_uint", "c_ubyte"),),
    {0: "read", 1: "write"},
)  # fmt: skip


@pytest.fixture
def tool(tmp_path):
    tool = tmp_path / "libcompiler.so"
    tool.write_text("as it was when it compiled")
    return tool


@pytest.fixture
def folder(tmp_path, tool):
    folder = tmp_path / "cache" / kept_products.FOLDER
    kept_products.keep(folder, KEY, PRODUCT, [tool])
    return folder


def is_believed(folder, key=KEY):
    found = kept_products.read(folder, key)
    assert found is None or found == PRODUCT._replace(is_kept=True)
    return found is not None


def keep_again(folder, tool):
    kept_products.keep(folder, KEY, PRODUCT, [tool])


def test_what_was_kept_comes_back(folder):
    assert is_believed(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / KEY).stat().st_mode & 0o777 == 0o600


def test_nothing_was_kept_under_another_key(folder):
    assert not is_believed(folder, "b" * 64)


def test_what_lies_under_the_name_of_another_key_is_not_believed(folder):
    (folder / KEY).rename(folder / ("b" * 64))
    assert not is_believed(folder, "b" * 64)


def tampered(path):
    """With a whole line of hexadecimal digits for another: valid JSON, other instructions."""
    path.write_bytes(path.read_bytes().replace(b"b700000000000000", b"b700000001000000"))


def truncated(path):
    os.truncate(path, path.stat().st_size - 10)


def emptied(path):
    path.write_bytes(b"")


def no_json(path):
    text = b"no JSON"
    path.write_bytes(sha256(text).hexdigest().encode() + b"\n" + text)


def other_json(path):
    text = json.dumps({"key": KEY, "files": [], "product": {"programs": 7}}).encode()
    path.write_bytes(sha256(text).hexdigest().encode() + b"\n" + text)


def of_another_user(path):
    os.chown(path, 65534, 65534)


def writable_for_others(path):
    path.chmod(0o622)


def a_link(path):
    moved = path.with_name("moved")
    path.rename(moved)
    path.symlink_to(moved)


def a_pipe(path):
    path.unlink()
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize(
    "spoil",
    [tampered, truncated, emptied, no_json, other_json, writable_for_others, a_link, a_pipe],
)
def test_what_is_spoilt_is_not_believed_and_replaced(folder, tool, spoil):
    spoil(folder / KEY)
    assert not is_believed(folder)
    keep_again(folder, tool)
    assert is_believed(folder)
    assert not (folder / KEY).is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_another_user_owns_is_not_believed_and_replaced(folder, tool):
    of_another_user(folder / KEY)
    assert not is_believed(folder)
    keep_again(folder, tool)
    assert is_believed(folder)


def test_a_link_is_replaced_and_not_written_through(folder, tool, tmp_path):
    target = tmp_path / "of somebody"
    target.write_text("untouched")
    (folder / KEY).unlink()
    (folder / KEY).symlink_to(target)
    keep_again(folder, tool)
    assert target.read_text() == "untouched"
    assert is_believed(folder)


def open_to_others(folder):
    folder.chmod(0o770)


def folder_of_another_user(folder):
    os.chown(folder, 65534, 65534)


def a_link_to_a_folder(folder):
    moved = folder.with_name("moved")
    folder.rename(moved)
    folder.symlink_to(moved)


@pytest.mark.parametrize(
    "spoil",
    [
        open_to_others,
        a_link_to_a_folder,
        pytest.param(
            folder_of_another_user,
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away"),
        ),
    ],
)
def test_a_folder_that_is_not_ours_alone_is_neither_read_nor_written(folder, tool, spoil):
    content = (folder / KEY).read_bytes()
    spoil(folder)
    assert not is_believed(folder)
    with pytest.raises(OSError, match=r"open to others|Not a directory|symbolic link"):
        keep_again(folder, tool)
    assert (folder / KEY).read_bytes() == content


def test_another_compiler_in_the_same_place_is_noticed(folder, tool):
    replacement = tool.with_name("new")
    replacement.write_text("of the same length, too...")
    os.utime(replacement, ns=(tool.stat().st_atime_ns, tool.stat().st_mtime_ns))
    replacement.replace(tool)
    assert not is_believed(folder)


def test_a_compiler_that_is_gone_is_noticed(folder, tool):
    tool.unlink()
    assert not is_believed(folder)


def test_only_the_last_ones_are_kept(folder, tool):
    for number in range(3 * kept_products.MAX_KEPT):
        kept_products.keep(folder, f"{number:064}", PRODUCT, [tool])
    assert len(list(folder.iterdir())) == kept_products.MAX_KEPT
    assert is_believed(folder, f"{3 * kept_products.MAX_KEPT - 1:064}")


def _keep_and_read(folder, tool, n_times):
    for _ in range(n_times):
        kept_products.keep(folder, KEY, PRODUCT, [tool])
        if not is_believed(folder):
            return False
    return True


def test_several_that_keep_at_once_never_see_half_of_it(folder, tool):
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        done = [pool.submit(_keep_and_read, folder, tool, 60) for _ in range(3)]
        assert all(each.result() for each in done)
    assert [path.name for path in folder.iterdir()] == [KEY]


class TestTheKey:
    def key(self, source="int x;", flags=("-DRING_PAGES=8",)):
        return kept_products._key(source, list(flags))

    def test_is_the_same_for_the_same(self):
        assert self.key() == self.key()

    def test_changes_with_the_source_and_the_flags(self):
        assert len({self.key(), self.key("int y;"), self.key(flags=["-DRING_PAGES=16"])}) == 3

    @pytest.mark.parametrize(
        "name", ["LD_LIBRARY_PATH", "BCC_KERNEL_SOURCE", "CPATH", "PYTHONPATH"]
    )
    def test_changes_with_the_environment_that_compilers_heed(self, monkeypatch, name):
        before = self.key()
        monkeypatch.setenv(name, "/somewhere/else")
        assert self.key() != before

    def test_does_not_change_with_other_environment(self, monkeypatch):
        before = self.key()
        monkeypatch.setenv("TERM", "another")
        assert self.key() == before

    def test_changes_with_an_unrelated_package_that_would_be_found_first(
        self, monkeypatch, tmp_path
    ):
        before = self.key()
        Path(tmp_path, "bcc").mkdir()
        Path(tmp_path, "bcc/__init__.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
        assert self.key() != before
