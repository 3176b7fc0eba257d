from pathlib import Path

import pytest

from bench import machine, works
from bench.works import CannotPrepare, Work, prepared


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def work_that(prepare):
    return Work("one", "for a test", prepare, ("true",))


def test_what_a_work_needs_is_made_once():
    made = []
    work = work_that(made.append)
    assert prepared(work) == prepared(work)
    assert len(made) == 1


def test_what_was_made_before_works_changed_is_thrown_away():
    old = machine.cache_folder() / "innocent-one-0123456789ab"
    old.mkdir(parents=True)
    prepared(work_that(lambda folder: None))
    assert not old.exists()


def test_what_cannot_be_had_is_said_and_tried_again():
    def fail(folder):
        works.run("sh", "-c", "echo no such package; exit 3")

    for _ in range(2):
        with pytest.raises(CannotPrepare, match=r"sh -c failed \(3\): no such package"):
            prepared(work_that(fail))


def test_what_is_generated_is_the_same_again(tmp_path, monkeypatch):
    monkeypatch.setattr(works, "XZ_BYTES", 10_000)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        works._prepare_xz(tmp_path / name)
    assert (tmp_path / "a/access.log").read_bytes() == (tmp_path / "b/access.log").read_bytes()


def test_the_crate_has_some_thousand_lines(tmp_path):
    (tmp_path / "work").mkdir()
    works._prepare_crate(tmp_path)
    lines = sum(len(path.read_text().splitlines()) for path in Path(tmp_path).rglob("*.rs"))
    assert lines > 5000


def test_names_are_unique():
    names = [work.name for work in works.WORKS]
    assert len(set(names)) == len(names)
