import os
import subprocess
import sys
from pathlib import Path

import pytest

from linnix_ls.errors import LinnixError, UsageError
from linnix_ls.models import store
from tests.models.files import BASE, gguf


@pytest.fixture
def make(tmp_path):
    def make(name="tiny.gguf", content=None):
        path = tmp_path / name
        path.write_bytes(gguf() if content is None else content)
        return path

    return make


def test_nothing_is_installed_at_first_and_asking_leaves_nothing_behind(data_home):
    assert store.installed() == ()
    assert store.in_use() is None
    assert not data_home.exists()


def test_a_model_stays_where_it_lies_and_is_only_forgotten(make):
    path = make()
    model = store.add(store.model_at(path))
    assert (model.name, model.path, model.is_instruct) == ("tiny", str(path), True)
    assert store.installed() == (model,)
    assert store.remove("tiny") == model
    assert store.installed() == ()
    assert path.exists()


def test_a_fetched_model_moves_into_the_store_and_is_deleted_with_its_entry(make, data_home):
    with store.scratch() as scratch:
        content = scratch / "new"
        content.write_bytes(gguf())
        model = store.add(store.model_at(content, name="tiny"), content=content)
    folder = data_home / "linnix-ls/models"
    assert Path(model.path) == folder / "tiny.gguf"
    assert {path.name for path in folder.iterdir()} == {"index.json", "lock", "tiny.gguf"}
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, Path(model.path))] == [
        "0o700",
        "0o600",
    ]
    store.remove("tiny")
    assert {path.name for path in folder.iterdir()} == {"index.json", "lock"}


def test_the_chosen_model_is_remembered_until_it_is_removed(make):
    store.add(store.model_at(make()))
    assert store.in_use() is None
    model = store.use("tiny")
    assert store.in_use() == model
    store.remove("tiny")
    assert store.in_use() is None


def test_a_file_that_is_chosen_by_its_path_is_installed_on_the_way(make):
    path = make()
    assert store.use(str(path)).sha256
    assert store.in_use().path == str(path)


def test_the_environment_chooses_for_one_process(make, monkeypatch):
    store.add(store.model_at(make()))
    store.use("tiny")
    monkeypatch.setenv("LINNIX_MODEL", "none")
    assert store.in_use() is None
    monkeypatch.setenv("LINNIX_MODEL", str(make("other.gguf")))
    assert store.in_use().name == "other"
    monkeypatch.setenv("LINNIX_MODEL", "nobody")
    with pytest.raises(UsageError, match="no model is called nobody"):
        store.in_use()


def test_a_base_model_is_installed_but_not_used(make):
    store.add(store.model_at(make("base.gguf", gguf(BASE))))
    with pytest.raises(UsageError, match="base is a base model") as refused:
        store.use("base")
    assert "chat template" in refused.value.message
    assert store.in_use() is None


def test_the_beginning_of_a_name_is_enough_to_find_it_but_not_to_remove_it(make):
    for name in ("qwen-small.gguf", "qwen-large.gguf", "tiny.gguf"):
        store.add(store.model_at(make(name)))
    assert store.find("ti").name == "tiny"
    with pytest.raises(UsageError, match="qwen may be any of qwen-large, qwen-small"):
        store.find("qwen")
    with pytest.raises(UsageError, match="no model is called ti"):
        store.remove("ti")


def test_another_model_does_not_take_a_name_that_is_taken(make):
    store.add(store.model_at(make()))
    with pytest.raises(UsageError, match="a model called tiny is installed already"):
        store.add(store.model_at(make("other.gguf"), name="tiny"))


def test_it_is_noticed_when_the_file_changes_or_goes(make):
    path = make()
    model = store.add(store.model_at(path))
    assert store.file_state(model) == store.file_state(model, verify=True) == "as_installed"
    os.utime(path, ns=(1, 1))
    assert store.file_state(model) == "changed"
    assert store.file_state(model, verify=True) == "as_installed"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert store.file_state(model, verify=True) == "changed"
    path.unlink()
    assert store.file_state(model) == "gone"
    path.mkdir()
    assert store.file_state(model) == "gone"
    with pytest.raises(LinnixError, match="the file of tiny is gone"):
        store.use("tiny")


def test_a_name_is_safe_as_a_files():
    assert store.name_of("../../etc/Pass wd\x1b[2J") == "etc-pass-wd-2j"
    assert store.name_of("///") == "model"
    assert store.NAME_PATTERN.fullmatch(store.name_of("SmolLM2-135M-Instruct.Q4_1"))


def test_a_planted_link_is_not_followed(make, data_home, tmp_path):
    (tmp_path / "mine").mkdir()
    data_home.mkdir()
    (data_home / "linnix-ls").symlink_to(tmp_path / "mine")
    with pytest.raises(LinnixError, match="is not a folder that only you can write to"):
        store.add(store.model_at(make()))
    assert list((tmp_path / "mine").iterdir()) == []


def test_neither_are_links_in_the_place_of_its_own_files(make, tmp_path):
    treasure = tmp_path / "treasure"
    treasure.write_text("mine")
    for name in ("lock", "index.json"):
        link = store.folder() / name
        link.symlink_to(treasure)
        with pytest.raises(LinnixError, match="Too many levels of symbolic links"):
            store.add(store.model_at(make()))
        link.unlink()
        assert treasure.read_text() == "mine"


def test_a_folder_that_others_may_write_to_is_refused(make, data_home):
    (data_home / "linnix-ls/models").mkdir(parents=True)
    (data_home / "linnix-ls/models").chmod(0o777)
    with pytest.raises(LinnixError, match="only you can write to"):
        store.add(store.model_at(make()))


@pytest.mark.parametrize("content", [b"", b"{", b'{"entries": [{}]}', b"\xff", b"[" * 100_000])
def test_a_damaged_index_is_an_error_with_a_way_out(content):
    (store.folder() / "index.json").write_bytes(content)
    with pytest.raises(LinnixError, match=r"index.json is damaged") as refused:
        store.installed()
    assert "mv " in refused.value.fix


@pytest.mark.e2e
def test_two_that_install_at_once_lose_nothing(tmp_path, make):
    make()
    install = (
        "import sys; from pathlib import Path; from linnix_ls.models import store\n"
        "model = store.model_at(Path(sys.argv[1]), sha256='0')\n"
        "import dataclasses\n"
        "for n in range(20): store.add(dataclasses.replace(model, name=f'{sys.argv[2]}-{n}'))"
    )
    path = tmp_path / "tiny.gguf"
    commands = [[sys.executable, "-c", install, path, who] for who in ("a", "b", "c")]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len(store.installed()) == 60
