"""The scratch copy: what is in it, what is not, and that nothing gets out of it."""

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from linnix_ls.core.findings import Edit, Patch
from linnix_ls.fixes.scratch import NotCopied, Scratch, root_for
from linnix_ls.fixes.text import FileChanged
from linnix_ls.fixes.trial import write_texts

MB = 1 << 20


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pump.py").write_text("a = 1\n")
    return folder


@pytest.fixture
def place(tmp_path):
    return tmp_path / "trials"


def filled(root, place, max_bytes=50 * MB):
    scratch = Scratch(str(root), place)
    scratch.__enter__()
    try:
        scratch.fill(max_bytes, lambda: False)
    except BaseException:
        scratch.__exit__()
        raise
    return scratch


@pytest.fixture
def copy(root, place):
    """Copies when it is called; removed after the test."""
    made = []

    def of_root(**options):
        made.append(filled(root, place, **options))
        return Path(made[-1].folder)

    of_root.made = made
    yield of_root
    for scratch in made:
        scratch.__exit__()


def left(place):
    return [path.name for path in place.iterdir() if path.name != "lock"]


def test_what_is_ignored_by_git_is_there_and_caches_are_not(root, copy):
    for name in ("node_modules/x/i.js", "build/x.o", "__pycache__/a.pyc", ".tox/py/a"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text("x")
    copied = copy()
    assert (copied / "node_modules/x/i.js").exists()
    assert (copied / "build/x.o").exists()
    assert not (copied / "__pycache__").exists()
    assert not (copied / ".tox").exists()


def test_times_and_rights_are_kept(root, copy):
    tool = root / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o555)
    os.utime(tool, ns=(10**18, 10**18 + 123))
    os.utime(root, ns=(10**18, 10**18 + 456))
    copied = copy()
    assert (copied / "tool").stat().st_mtime_ns == 10**18 + 123
    assert (copied / "tool").stat().st_mode & 0o777 == 0o755  # a fix may be for it
    assert copied.stat().st_mtime_ns == 10**18 + 456


def test_nobody_else_can_look_into_it(root, copy, place):
    copied = copy()
    assert copied.parents[1].stat().st_mode & 0o777 == 0o700
    assert place.stat().st_mode & 0o077 == 0


def test_it_is_removed_whatever_is_in_it(root, place):
    (root / "sub").mkdir()
    with Scratch(str(root), place) as scratch:
        scratch.fill(MB, lambda: False)
        inner = Path(scratch.folder, "sub")
        (inner / "x").write_text("x")
        inner.chmod(0)
    assert left(place) == []


def test_links_are_kept_and_those_into_the_workspace_lead_into_the_copy(root, copy, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (root / "relative").symlink_to("pump.py")
    (root / "inside").symlink_to(root / "pump.py")
    (root / "outside").symlink_to(tmp_path / "elsewhere")
    (root / "everything").symlink_to("/")
    (root / "loop").symlink_to("loop")
    copied = copy()
    assert os.readlink(copied / "relative") == "pump.py"
    assert os.readlink(copied / "inside") == str(copied / "pump.py")
    assert os.readlink(copied / "outside") == str(tmp_path / "elsewhere")
    assert os.readlink(copied / "everything") == "/"
    assert (copied / "loop").is_symlink()


def test_pipes_sockets_and_what_cannot_be_read_are_left_out(root, copy):
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
        copied = copy()
    assert sorted(os.listdir(copied)) == ["pump.py"]


def test_git_finds_its_objects_and_writes_none_into_the_original(root, copy):
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@here"]
    subprocess.run([*git, "init", "-q"], cwd=root, check=True)
    subprocess.run([*git, "add", "."], cwd=root, check=True)
    subprocess.run([*git, "commit", "-qm", "first"], cwd=root, check=True)
    before = sorted((root / ".git/objects").rglob("*"))
    copied = copy()
    (copied / "new").write_text("new")
    subprocess.run([*git, "add", "."], cwd=copied, check=True)
    subprocess.run([*git, "commit", "-qm", "second"], cwd=copied, check=True)
    log = subprocess.run([*git, "log", "--oneline"], cwd=copied, check=True, capture_output=True)
    assert len(log.stdout.splitlines()) == 2
    assert sorted((root / ".git/objects").rglob("*")) == before


def test_a_worktree_does_not_reach_the_repository(root, copy):
    (root / ".git").write_text(f"gitdir: {root}/elsewhere/.git/worktrees/x\n")
    assert not (copy() / ".git").exists()


def test_virtual_environments_are_linked_to(root, place):
    (root / ".venv").mkdir()
    (root / ".venv/pyvenv.cfg").write_text("home = /usr/bin\n")
    (root / ".venv/large").write_bytes(b"x" * 3 * MB)
    scratch = filled(root, place, MB)
    with scratch:
        pass
    assert scratch.environments == [str(root / ".venv")]
    assert (root / ".venv/large").exists()


def test_build_folders_that_would_build_the_original_are_left_out(root, place):
    for name, source in (("mine", root), ("other", "/usr/src/lib")):
        (root / name).mkdir()
        (root / name / "CMakeCache.txt").write_text(f"CMAKE_HOME_DIRECTORY:INTERNAL={source}\n")
    scratch = filled(root, place)
    assert scratch.left_out == {"mine"}
    assert not Path(scratch.folder, "mine/CMakeCache.txt").exists()
    assert Path(scratch.folder, "other/CMakeCache.txt").exists()
    scratch.__exit__()


def test_too_large_is_said_before_anything_is_copied(root, place):
    (root / "data").mkdir()
    (root / "data/huge").write_bytes(b"x" * 3 * MB)
    with pytest.raises(NotCopied, match=r"larger than 1 MB, most of it in data \(3 MB\)") as error:
        filled(root, place, MB)
    assert error.value.fix == "linnix.fixes.max_copy_mb"
    assert left(place) == []


def test_what_there_is_no_room_for_is_refused_in_words(root, copy):
    copied = copy()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(NotCopied, match=r"the copy of .*/pump\.py: File too large"):
            copy.made[0].write(str(root / "pump.py"), b"a = 2\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (copied / "pump.py").read_text() == ""
    assert (root / "pump.py").read_text() == "a = 1\n"


def test_what_calls_itself_a_cache_is_left_out_when_there_is_no_room(root, copy):
    (root / "target").mkdir()
    (root / "target/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    (root / "target/huge").write_bytes(b"x" * 3 * MB)
    assert not (copy(max_bytes=MB) / "target/huge").exists()
    assert (copy() / "target/huge").exists()


def test_a_file_with_holes_counts_for_what_is_in_it(root, copy):
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    (root / "sparse").unlink()
    with (root / "sparse").open("wb") as file:
        file.truncate(100 * MB)
    assert (copy(max_bytes=MB) / "sparse").stat().st_size == 100 * MB


def test_what_a_killed_server_left_is_swept(root, place):
    script = (
        "import os, sys\nfrom pathlib import Path\n"
        "from linnix_ls.fixes.scratch import Scratch\n"
        "Scratch(sys.argv[1], Path(sys.argv[2])).__enter__().fill(1 << 20, lambda: False)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, root, place], check=False)
    [stale] = left(place)
    with Scratch(str(root), place):
        assert stale not in left(place)


def test_a_copy_in_use_is_not_swept(root, place):
    with Scratch(str(root), place) as first:
        first.fill(MB, lambda: False)
        with Scratch(str(root), place):
            assert Path(first.folder, "pump.py").exists()


def a_patch(path, old="a = 1", new="a = 2"):
    return Patch("rules", "t", (Edit(str(path), 1, old, new),))


class TestWriting:
    def test_a_patch_changes_the_copy_alone(self, root, place):
        scratch = filled(root, place)
        write_texts(scratch, {str(root / "pump.py"): "a = 1\n"}, a_patch(root / "pump.py"))
        assert Path(scratch.folder, "pump.py").read_text() == "a = 2\n"
        assert (root / "pump.py").read_text() == "a = 1\n"
        scratch.__exit__()

    def test_what_is_not_saved_is_in_the_copy(self, root, place):
        (root / "other.py").write_text("old")
        scratch = filled(root, place)
        texts = {
            str(root / "pump.py"): "a = 1  # mine\n",
            str(root / "other.py"): "new",
            "/etc/passwd": "not mine",
        }
        write_texts(scratch, texts, a_patch(root / "pump.py", "a = 1  # mine"))
        assert Path(scratch.folder, "pump.py").read_text() == "a = 2\n"
        assert Path(scratch.folder, "other.py").read_text() == "new"
        scratch.__exit__()

    def test_the_files_mark_and_line_ends_and_bytes_stay(self, root, place):
        (root / "pump.py").write_bytes(b"\xef\xbb\xbfa = 1\r\n# \xff\r\n")
        scratch = filled(root, place)
        shown = "a = 1\r\n# \ufffd\r\n"
        write_texts(scratch, {str(root / "pump.py"): shown}, a_patch(root / "pump.py"))
        after = Path(scratch.folder, "pump.py").read_bytes()
        assert after == b"\xef\xbb\xbfa = 2\r\n# \xff\r\n"
        scratch.__exit__()

    def test_a_file_that_has_changed_is_not_patched(self, root, place):
        scratch = filled(root, place)
        texts = {str(root / "pump.py"): "b = 1\n"}
        with pytest.raises(FileChanged):
            write_texts(scratch, texts, a_patch(root / "pump.py"))
        scratch.__exit__()

    @pytest.mark.parametrize("name", ["outside/victim", "link", "../victim", "missing"])
    def test_nothing_is_written_outside(self, root, place, tmp_path, name):
        victim = tmp_path / "victim"
        victim.write_text("a = 1\n")
        (root / "outside").symlink_to(tmp_path)
        (root / "link").symlink_to(victim)
        scratch = filled(root, place)
        path = str(root / name)
        with pytest.raises(NotCopied):
            write_texts(scratch, {path: "a = 1\n"}, a_patch(path))
        assert victim.read_text() == "a = 1\n"
        scratch.__exit__()


class TestRoot:
    def test_is_the_open_folder_that_holds_file_and_run(self, root, tmp_path):
        path = str(root / "pump.py")
        assert root_for([path], str(root), [str(root), "/elsewhere"]) == str(root)

    def test_is_the_repository_when_the_run_is_above_the_open_folder(self, root):
        (root / ".git").mkdir()
        (root / "sub").mkdir()
        assert root_for([str(root / "sub/a.py")], str(root), [str(root / "sub")]) == str(root)

    def test_is_where_it_runs_without_either(self, root):
        assert root_for([str(root / "pump.py")], str(root), []) == str(root)

    def test_is_never_everything(self, root):
        assert root_for([str(root / "pump.py")], "/", ["/"]) is None
        assert root_for([str(root / "pump.py")], "/usr", [str(root)]) is None
