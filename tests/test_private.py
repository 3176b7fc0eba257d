"""What lies where others could have put it, or could exchange it, is not used: of every place that
we keep something in."""

import os
from pathlib import Path

import pytest

from linnix_ls.errors import LinnixError, TracerUnavailable
from linnix_ls.fixes.scratch import NotCopied, Scratch
from linnix_ls.models import store
from linnix_ls.playground import permission
from linnix_ls.playground.permission import MAX_REFUSALS_A_MINUTE, Client, Refusals
from linnix_ls.private import why_not_private
from linnix_ls.tracer import kernel_headers

NOBODY = 65534
only_root = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away"),
    pytest.mark.ebpf,
]


def plant_open(folder):
    folder.mkdir()
    folder.chmod(0o777)


def plant_of_another(folder):
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)


def plant_link(folder):
    folder.with_name("ours").mkdir()
    folder.symlink_to(folder.with_name("ours"))
    os.chown(folder, NOBODY, NOBODY, follow_symlinks=False)


PLANTED = [
    pytest.param(plant_open, id="others may write to it"),
    pytest.param(plant_of_another, marks=only_root, id="another's folder"),
    pytest.param(plant_link, marks=only_root, id="another's link"),
]


def is_empty(folder):
    return not list(Path(os.path.realpath(folder)).iterdir())


@pytest.mark.parametrize("plant", PLANTED)
def test_no_headers_are_taken_from_there(tmp_path, plant):
    plant(tmp_path / "cache")
    with pytest.raises(TracerUnavailable, match="not used as a cache"):
        kernel_headers.headers_from_btf(tmp_path / "cache", btf_path=Path(__file__))
    assert is_empty(tmp_path / "cache")


@pytest.mark.parametrize("plant", PLANTED)
def test_no_workspace_is_copied_there(tmp_path, plant):
    plant(tmp_path / "trials")
    (tmp_path / "work").mkdir()
    with (
        pytest.raises(NotCopied, match="no copy is made there"),
        Scratch(str(tmp_path / "work"), tmp_path / "trials"),
    ):
        pass
    assert is_empty(tmp_path / "trials")


def test_a_lock_that_is_a_link_is_not_followed_when_a_workspace_is_copied(tmp_path):
    (tmp_path / "trials").mkdir(mode=0o700)
    (tmp_path / "work").mkdir()
    (tmp_path / "trials" / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotCopied), Scratch(str(tmp_path / "work"), tmp_path / "trials"):
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("plant", PLANTED)
def test_no_model_is_kept_there(tmp_path, plant, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    plant(tmp_path / "linnix-ls")
    with pytest.raises(LinnixError, match="not a folder that only you can write to"):
        store.folder()


def test_one_above_that_others_may_write_to_spoils_what_is_below(tmp_path):
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert why_not_private(below) is None
    (tmp_path / "a").chmod(0o777)
    assert why_not_private(below) == f"others may write to {tmp_path / 'a'}"
    (tmp_path / "a").chmod(0o1777)
    assert why_not_private(below) is None


def test_where_a_link_of_ours_leads_counts(tmp_path):
    (tmp_path / "open" / "inside").mkdir(parents=True)
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "open" / "inside")
    assert why_not_private(tmp_path / "link") == f"others may write to {tmp_path / 'open'}"


class TestTheLogOfRefusals:
    @pytest.fixture
    def written(self, monkeypatch):
        written = []
        monkeypatch.setattr(
            permission, "write_down", lambda *told, **more: written.append((told[0].uid, more))
        )
        return written

    def test_is_filled_by_nobody(self, written):
        refusals = Refusals()
        for _ in range(1000):
            refusals.write_down(Client(1, 1000, 1000, frozenset()), "x", "", "no")
        assert len(written) == MAX_REFUSALS_A_MINUTE

    def test_has_a_place_for_each_user(self, written):
        refusals = Refusals()
        for uid in (1000, 1001):
            for _ in range(1000):
                refusals.write_down(Client(1, uid, uid, frozenset()), "x", "", "no")
        assert [uid for uid, _ in written] == (
            [1000] * MAX_REFUSALS_A_MINUTE + [1001] * MAX_REFUSALS_A_MINUTE
        )

    def test_says_later_how_many_it_has_not_told(self, written, monkeypatch):
        refusals = Refusals()
        client = Client(1, 1000, 1000, frozenset())
        for _ in range(MAX_REFUSALS_A_MINUTE + 7):
            refusals.write_down(client, "x", "", "no")
        monkeypatch.setattr(permission, "REFUSALS_PERIOD_S", -1.0)
        refusals.write_down(client, "x", "", "no")
        assert written[-1] == (1000, {"n_unwritten": 7})
