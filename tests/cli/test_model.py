import json
import re

import pytest

from linnix_ls.cli import model as model_command
from linnix_ls.cli.main import main
from linnix_ls.models import catalog, store
from tests.models.files import BASE, gguf


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("LINNIX_MODEL", raising=False)


@pytest.fixture
def make(tmp_path):
    def make(name="tiny.gguf", content=None):
        path = tmp_path / name
        path.write_bytes(gguf() if content is None else content)
        return str(path)

    return make


def said(capfd, *words, status=0):
    assert main(["model", *words]) == status
    return capfd.readouterr()


@pytest.mark.e2e
def test_a_model_by_its_path_from_beginning_to_end(capfd, make):
    path = make()
    assert said(capfd, "install", path).out == (
        f"tiny: installed (0 MB, licence apache-2.0, from {path})\n"
        "It is small: what it writes seldom passes the checks, and then is not shown.\n"
        "To let it write: linnix-ls model use tiny\n"
    )
    assert said(capfd, "install", path).out.startswith("tiny: installed already (0 MB")
    assert said(capfd, "use", "tiny").out.startswith("tiny writes the notes from now on\n")
    listed = said(capfd, "list").out
    assert re.search(r"^● +tiny +0 MB +yes +apache-2.0 +/", listed, re.MULTILINE)
    assert said(capfd, "remove", "tiny").out == f"tiny: removed; its file stays at {path}\n"
    assert said(capfd).out.startswith("Installed: none.\n\nTo install, for ")


@pytest.mark.e2e
def test_installing_and_choosing_in_one_go(capfd, make):
    assert "tiny writes the notes from now on" in said(capfd, "install", make(), "--use").out
    assert store.in_use().name == "tiny"


def test_a_base_model_is_announced_and_refused_with_the_reason(capfd, make):
    out = said(capfd, "install", make("base.gguf", gguf(BASE))).out
    assert "It is a base model, not taught to answer: it cannot write notes." in out
    assert "model use" not in out
    refused = said(capfd, "use", "base", status=2)
    assert refused.out == ""
    assert refused.err.startswith("linnix-ls: base is a base model: ")
    assert "\n  fix: " in refused.err
    assert "no: a base model" in said(capfd, "list").out


def test_what_is_recommended_is_named_with_licence_and_need_of_memory(capfd):
    out = said(capfd, "list").out
    for model in catalog.CATALOG:
        assert re.search(rf"{model.name} +[\d.]+ [GM]B +[\d.]+ [GM]B +{model.licence}", out)
    assert "not for commercial use" in out


def test_programs_get_the_lists_too(capfd, make):
    said(capfd, "install", make())
    report = json.loads(said(capfd, "list", "--json").out)
    assert report["schema"] == "linnix-models/1"
    (model,) = report["installed"]
    assert (model["name"], model["is_in_use"], model["is_instruct"]) == ("tiny", False, True)
    assert {"name", "licence", "fits", "is_best_here"} <= report["recommended"][0].keys()


@pytest.mark.parametrize(
    ("ram_gb", "name"),
    [(1, None), (4, "qwen2.5-coder-1.5b"), (16, "qwen2.5-coder-7b"), (64, "qwen2.5-coder-32b")],
)
def test_the_largest_open_one_that_fits_in_half_of_the_memory_is_recommended(ram_gb, name):
    best = catalog.best_for(ram_gb * 2**30)
    assert (best and best.name) == name


@pytest.mark.e2e
def test_status_says_what_would_write_and_what_is_missing(capfd, make, tmp_path):
    out = said(capfd, "status", status=1).out
    assert "model      none\n" in out
    assert "no model is in use\n  fix: linnix-ls model list" in out
    said(capfd, "install", make(), "--use")
    status = json.loads(said(capfd, "status", "--json", "--verify").out)
    assert (status["file"], status["auto"], status["missing"]) == ("as_installed", "llama", [])
    assert re.fullmatch(r"\d+\.\d+\.\d+", status["llama_cpp_python"])
    make(content=gguf() + b"more")
    out = said(capfd, "status", status=1).out
    assert "its file is not the one that was installed\n  fix: linnix-ls model remove tiny" in out
    (tmp_path / "tiny.gguf").unlink()
    assert "its file is gone\n" in said(capfd, "status", status=1).out


@pytest.mark.e2e
def test_a_library_that_does_not_load_is_missing(monkeypatch, tmp_path):
    (tmp_path / "llama_cpp.py").write_text("import os; os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert model_command._llama_cpp_version() is None


def test_a_wrong_name_is_answered_with_where_to_look(capfd):
    refused = said(capfd, "remove", "nobody", status=2)
    assert refused.err == (
        "linnix-ls: no model is called nobody\n"
        "  fix: `linnix-ls model list` names those there are\n"
    )


def test_names_from_a_file_cannot_write_on_the_terminal(capfd, make):
    path = make("x\x1b[2Jy.gguf", gguf(BASE | {"general.license": "\x1b[31mred"}))
    said_all = said(capfd, "install", path).out + said(capfd, "list").out
    assert "\x1b" not in said_all
    assert r"\x1b[31mred" in said_all
