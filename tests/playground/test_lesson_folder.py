import json
import re

import pytest

from linnix_ls.errors import UsageError
from linnix_ls.playground.base import How, LessonResult, Outcome
from linnix_ls.playground.lesson_folder import LessonFolder, Progress
from linnix_ls.playground.lessons import lesson


@pytest.fixture
def folder(tmp_path):
    return LessonFolder(tmp_path / "lessons")


@pytest.fixture
def first():
    return lesson(1)


def failed(hint):
    return LessonResult((Outcome("a", False, "1", "2", hint),), (), 1, 0.1)


def test_an_opened_lesson_begins_as_it_is_shipped(folder, first):
    folder.open(first)
    assert folder.source(first) == first.start
    assert folder.is_open(first)


def test_opening_again_leaves_an_edit_alone(folder, first):
    folder.open(first)
    folder.probe(first).write_text("mine")
    assert folder.open(first) == []
    assert folder.source(first) == "mine"


def test_a_reset_keeps_each_edit_beside_the_start(folder, first):
    folder.open(first)
    kept = []
    for edit in ("mine", "mine too"):
        folder.probe(first).write_text(edit)
        kept.append(folder.reset(first))
    assert [path.read_text() for path in kept] == ["mine", "mine too"]
    assert folder.source(first) == first.start


def test_a_lesson_that_is_not_open_has_no_source(folder, first):
    with pytest.raises(UsageError) as error:
        folder.source(first)
    assert error.value.fix == "linnix-ls playground open 1"


def test_hints_come_one_step_at_a_time_and_begin_anew_with_another_mistake(folder, first):
    folder.note(first, failed("one-row"))
    assert [folder.next_hint(first)[0] for _ in range(4)] == [1, 2, 3, 3]
    folder.note(first, failed("one-row"))
    assert folder.next_hint(first)[0] == 3
    folder.note(first, failed("only-one"))
    assert folder.next_hint(first) == (1, first.hint("only-one").idea)


def test_who_has_passed_gets_no_hint(folder, first):
    folder.note(first, LessonResult((Outcome("a", True, "1", "1"),), (), 1, 0.1))
    assert folder.next_hint(first) is None
    assert folder.progress(first).is_passed


@pytest.mark.parametrize(
    "content",
    ["", "[", "[]", '{"01-count-execs": 3}', '{"01-count-execs": {"hint": ["x"], "n_steps": "a"}}'],
)
def test_a_broken_progress_file_counts_as_none(folder, first, content):
    folder.path.mkdir()
    (folder.path / "progress.json").write_text(content)
    if "hint" in content:
        assert folder.progress(first).n_checks == 0
    else:
        assert folder.progress(first) == Progress()


def test_progress_is_for_programs_too(folder, first):
    folder.note(first, failed("one-row"))
    told = json.loads((folder.path / "progress.json").read_text())
    assert told["01-count-execs"]["hint"] == "one-row"


def test_what_only_compiles_has_not_passed(folder, first):
    outcome = Outcome("it compiles", True, "it does", "it does")
    folder.note(first, LessonResult((outcome,), (), 1, 0.1, How.COMPILED))
    progress = folder.progress(first)
    assert (progress.is_passed, progress.summary) == (False, "1 of 1 checks pass, compiled only")
    assert folder.next_hint(first)


def test_it_is_remembered_that_events_were_recorded(folder, first):
    outcome = Outcome("a", True, "1", "1")
    folder.note(first, LessonResult((outcome,), (), 1, 0.1, How.RECORDED))
    progress = folder.progress(first)
    assert (progress.is_passed, progress.how) == (True, How.RECORDED)


def test_a_lesson_about_the_verifier_comes_with_what_one_said(folder):
    fifth = lesson(5)
    log = next(path for path in folder.open(fifth) if path.name == "verifier.log").read_text()
    assert all(name in log for name in re.findall(r"sys_enter_\w+", fifth.start))
    assert not re.search(r"0xffff8[0-9a-f]{11}\b", log), "addresses of a kernel"
