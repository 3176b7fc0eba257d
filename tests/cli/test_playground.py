import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from linnix_ls.cli.main import main
from linnix_ls.playground.base import CLANGD_MARK
from linnix_ls.playground.lessons import all_lessons, lesson


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def probe(tmp_path):
    return tmp_path / "data/linnix-ls/playground/01-count-execs/probe.bpf.c"


def said(capfd, *words, status=0):
    assert main(["playground", *words]) == status
    return capfd.readouterr()


def told(capfd, *words, status=0):
    return json.loads(said(capfd, *words, "--json", status=status).out)


def test_the_list_has_all_lessons_and_how_far_one_is(capfd):
    assert "0 of" in said(capfd).out
    listed = told(capfd, "list")["lessons"]
    assert [each["number"] for each in listed] == [each.number for each in all_lessons()]
    assert not any(each["is_open"] for each in listed)


def test_opening_prints_the_text_and_where_to_edit(capfd, probe):
    out = said(capfd, "open", "1").out
    assert lesson(1).text.splitlines()[0] in out
    assert str(probe) in out
    assert probe.read_text() == lesson(1).start


def test_a_lesson_that_does_not_exist_is_a_wrong_call(capfd):
    assert "there is no lesson 99" in said(capfd, "open", "99", status=2).err


def test_hints_begin_with_the_idea_and_the_solution_is_not_shown_unasked(capfd):
    said(capfd, "open", "1")
    steps = [told(capfd, "hint", "1") for _ in range(3)]
    assert [each["step"] for each in steps] == [1, 2, 3]
    assert steps[0]["hint"] == lesson(1).hint("begin").idea
    unasked = subprocess.run(
        [sys.executable, "-m", "linnix_ls.cli.main", "playground", "hint", "1", "--solution"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (unasked.returncode, unasked.stdout) == (2, "")
    assert said(capfd, "hint", "1", "--solution", "--yes").out.strip() == lesson(1).solution.strip()


def test_a_folder_of_ones_own_is_named_in_the_commands_to_type(capfd, tmp_path):
    folder = tmp_path / "with a space"
    out = said(capfd, "--folder", str(folder), "open", "1").out
    assert shlex.quote(str(folder)) in out
    assert (folder / "01-count-execs/probe.bpf.c").is_file()


@pytest.mark.e2e
@pytest.mark.ebpf
def test_from_opening_to_passing(capfd, probe):
    said(capfd, "open", "1")
    failed = told(capfd, "check", "1", status=1)
    assert (failed["is_passed"], failed["summary"]) == (False, "1 of 4 checks pass")
    probe.write_text(lesson(1).solution)
    out = said(capfd, "check", "1").out
    assert "Lesson 1: 4 of 4 checks pass" in out
    assert "Well done." in out
    assert told(capfd)["lessons"][0]["progress"]["hint"] is None


@pytest.mark.e2e
@pytest.mark.ebpf
def test_what_root_writes_into_a_users_folder_is_theirs(capfd, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    for path in (folder, *tmp_path.parents[:2], tmp_path):
        os.chmod(path, 0o755)
    os.chown(folder, 65534, 65534)
    said(capfd, "open", "1", "--folder", str(folder))
    told(capfd, "hint", "1", "--folder", str(folder))
    assert {path.stat().st_uid for path in folder.rglob("*")} == {65534}


@pytest.mark.e2e
@pytest.mark.ebpf
def test_a_link_to_what_the_user_may_not_read_is_not_followed_as_root(capfd, tmp_path):
    folder = tmp_path / "theirs"
    (folder / "01-count-execs").mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_text("TOPSECRET")
    secret.chmod(0o600)
    for path in (*tmp_path.parents[:2], tmp_path):
        os.chmod(path, 0o755)
    (folder / "01-count-execs/probe.bpf.c").symlink_to(secret)
    os.chown(folder, 65534, 65534)
    refused = said(capfd, "check", "1", "--folder", str(folder), status=2)
    assert "Permission denied" in refused.err


@pytest.mark.e2e
@pytest.mark.ebpf
def test_without_root_recorded_events_are_used_and_the_command_for_more_is_told(tmp_path):
    tmp_path.chmod(0o777)
    for path in tmp_path.parents[:2]:
        os.chmod(path, 0o755)
    folder = tmp_path / "lessons"
    words = [sys.executable, "-m", "linnix_ls.cli.main", "playground"]
    options = {
        "user": 65534,
        "group": 65534,
        "extra_groups": [],
        "env": {"XDG_DATA_HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        "capture_output": True,
        "text": True,
    }
    subprocess.run([*words, "open", "1", "--folder", str(folder)], **options, check=False)
    checked = subprocess.run(
        [*words, "check", "1", "--folder", str(folder)], **options, check=False
    )
    assert checked.returncode == 1
    assert "0 of 3 checks pass, on recorded events" in checked.stdout
    assert f"playground check 1 --folder {folder}" in checked.stdout
    assert "All of it: sudo /" in checked.stdout
    (folder / "01-count-execs/probe.bpf.c").write_text(lesson(1).solution)
    again = [*words, "check", "1", "--folder", str(folder), "--json"]
    passed = json.loads(subprocess.run(again, **options, check=False).stdout)
    assert (passed["how"], passed["is_passed"]) == ("recorded", True)
    listed = subprocess.run([*words, "--folder", str(folder)], **options, check=False).stdout
    assert "your probe for 1, 2, 3, 4, 6, 8, 9, 12 runs on recorded events" in listed
    assert "  5: only a kernel's verifier" in listed


def test_explain_says_line_by_line_what_a_probe_does(capfd, tmp_path):
    file = tmp_path / "a.bpf.c"
    file.write_text(
        "BPF_HASH(h, u32, u64);\nint f(void)\n{\n    h.increment(1);\n    return 0;\n}\n"
    )
    assert "     4  Counts up the value of `1` in `h`." in said(capfd, "explain", str(file)).out
    parts = told(capfd, "explain", str(file))["parts"]
    assert [(part["kind"], part["name"]) for part in parts] == [("map", "h"), ("function", "f")]


def test_explain_needs_a_source(capfd, tmp_path):
    assert "no source" in said(capfd, "explain", str(tmp_path), status=2).err


@pytest.mark.ebpf
class TestClangd:
    def test_a_folder_of_ones_own_gets_a_configuration(self, capfd, tmp_path):
        (tmp_path / "a.bpf.c").write_text(lesson(1).solution)
        assert told(capfd, "clangd", str(tmp_path))["written"] == str(tmp_path / ".clangd")
        assert (tmp_path / ".clangd").read_text().startswith(CLANGD_MARK)
        said(capfd, "clangd", str(tmp_path))  # and again, unasked

    def test_one_of_the_users_is_not_touched_unasked(self, capfd, tmp_path):
        own = tmp_path / ".clangd"
        own.write_text("CompileFlags: {Add: [-Wall]}\n")
        done = subprocess.run(
            [sys.executable, "-m", "linnix_ls.cli.main", "playground", "clangd", str(tmp_path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "nothing was done" in done.stderr
        assert own.read_text() == "CompileFlags: {Add: [-Wall]}\n"
        kept = told(capfd, "clangd", str(tmp_path), "--yes")["kept"]
        assert Path(kept).read_text() == "CompileFlags: {Add: [-Wall]}\n"
        assert own.read_text().startswith(CLANGD_MARK)

    def test_a_folder_that_is_not_there_is_named(self, capfd, tmp_path):
        assert str(tmp_path / "none") in said(capfd, "clangd", str(tmp_path / "none"), status=2).err

    @pytest.mark.e2e
    def test_clangd_then_has_nothing_to_say_of_a_correct_lesson(self, capfd, tmp_path):
        program = shutil.which("clangd") or shutil.which("clangd-14")
        assert program, "apt-get install clangd-14"
        probe = tmp_path / "probe.bpf.c"
        probe.write_text(lesson(4).solution)
        said(capfd, "clangd", str(tmp_path))
        done = subprocess.run(
            [program, f"--check={probe}", "--check-lines=1-1"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert "All checks completed, 0 errors" in done.stderr, done.stderr[-2000:]
