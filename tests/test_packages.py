"""The Debian package, built and looked into. Installing it is tried by deploy/try-package.sh."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from linnix_ls import __version__
from linnix_ls.installation import needed_distributions

ROOT = Path(__file__).parents[1]
MODULES = f"usr/lib/linnix-ls/lib/python3.{sys.version_info[1]}/site-packages"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Of the Python that runs this, without the extension, whose tools take minutes to fetch."""
    folder = tmp_path_factory.mktemp("dist")
    run(
        "deploy/package.sh", "--without-extension", "--into", folder, "deb", cwd=ROOT,
        env={**os.environ, "DEB_PYTHON": f"3.{sys.version_info[1]}"},
    )  # fmt: skip
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def unpacked(package, tmp_path_factory):
    folder = tmp_path_factory.mktemp("root")
    run("dpkg-deb", "--extract", package, folder)
    return folder


def test_it_needs_the_very_python_that_its_libraries_are_for(package):
    depends = run("dpkg-deb", "--field", package, "Depends").strip().split(", ")
    assert f"python3.{sys.version_info[1]}" in depends
    assert {"python3-bpfcc", "binutils"} <= set(depends)
    assert run("dpkg-deb", "--field", package, "Version") == f"{__version__}-1\n"


def test_it_has_what_is_needed_and_nothing_that_is_not(unpacked):
    for path in (
        "usr/bin/linnix-ls",
        "usr/lib/linnix-ls/bin/py-spy",
        f"{MODULES}/linnix_ls/bpf/events.h",
        f"{MODULES}/linnix_ls/docs/findings/cpu_spin.md",
        "usr/share/linnix-ls/neovim/plugin/linnix.lua",
        "usr/share/doc/linnix-ls/README.md",
        "usr/share/doc/linnix-ls/docs/privilege.md",
        "usr/share/doc/linnix-ls/copyright",
        "usr/share/man/man1/linnix-ls.1.gz",
    ):
        assert os.path.lexists(unpacked / path), path
    names = {path.name.lower() for path in (unpacked / MODULES).iterdir()}
    assert not [name for name in names if name.startswith(("pytest", "hatchling", "ruff"))]
    for path in unpacked.rglob("*"):
        assert path.is_symlink() or not path.stat().st_mode & 0o022, path
        assert path.name not in ("__pycache__", "direct_url.json"), path


def test_every_library_is_named_with_its_licence(unpacked):
    text = (unpacked / "usr/share/doc/linnix-ls/copyright").read_text().lower().replace("_", "-")
    for name in needed_distributions():
        assert f"  {name} " in text, name
    assert "see there" not in text


def test_what_is_in_it_is_listed_with_hashes(unpacked):
    told = json.loads((unpacked / "usr/share/doc/linnix-ls/linnix-ls.cdx.json").read_text())
    assert (told["bomFormat"], told["metadata"]["component"]["name"]) == ("CycloneDX", "linnix-ls")
    listed = {each["name"]: each for each in told["components"]}
    assert listed.keys() == set(needed_distributions())
    for each in listed.values():
        assert each["version"]
        assert any(reference.get("hashes") for reference in each["externalReferences"])


def test_units_are_those_of_the_checkout(unpacked):
    for unit in (ROOT / "deploy/systemd").glob("linnix-ls-agent.*"):
        assert (unpacked / "lib/systemd/system" / unit.name).read_text() == unit.read_text()


def test_what_the_service_may_where_the_kernel_asks_for_it_is_put_there_by_the_package(
    package, unpacked, tmp_path
):
    there = unpacked / "usr/share/linnix-ls/sampling.conf"
    assert there.read_text() == (ROOT / "deploy/systemd/sampling.conf").read_text()
    run("dpkg-deb", "--control", package, tmp_path / "control")
    script = (tmp_path / "control/postinst").read_text()
    condition, _, then = script.partition(
        'perf_event_paranoid 2>/dev/null || echo 2)" -gt 2 ]; then'
    )
    assert condition != script
    assert "cp /usr/share/linnix-ls/sampling.conf" in then.partition("\nfi\n")[0]


def test_the_launcher_heeds_nobodys_environment(unpacked, tmp_path):
    (tmp_path / "linnix_ls.py").write_text("raise SystemExit('not mine')")
    text = (unpacked / "usr/lib/linnix-ls/bin/linnix-ls").read_text()
    assert text.startswith("#!/usr/lib/linnix-ls/bin/python3 -I\n")
    assert os.readlink(unpacked / "usr/bin/linnix-ls") == "../lib/linnix-ls/bin/linnix-ls"
    version = run(
        unpacked / "usr/lib/linnix-ls/bin/python3", "-I", "-m", "linnix_ls.cli.main", "--version",
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nonexistent"},
    )  # fmt: skip
    assert version == f"linnix-ls {__version__}\n"


def test_scripts_ask_nothing_and_make_the_group(package, tmp_path):
    run("dpkg-deb", "--control", package, tmp_path / "control")
    script = (tmp_path / "control/postinst").read_text()
    assert "groupadd --system linnix-ls" in script
    assert "read " not in script
