"""The checkout itself: layers, pages, locks, packaging, and the commands that a newcomer types."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from bench import capabilities
from linnix_ls.cli.main import main
from linnix_ls.core.engine import DETECTORS

ROOT = Path(__file__).parents[1]
LINNIX_LS = Path(sys.prefix, "bin", "linnix-ls")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# What would let the core do something else than compute.
IMPURE = frozenset(
    "asyncio ctypes io logging multiprocessing os pathlib random selectors shutil signal socket"
    " subprocess sys tempfile threading time".split()
)


def tracked_files():
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listing.stdout.split("\0") if (ROOT / name).is_file()]


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_the_core_imports_nothing_that_could_act():
    modules = list((ROOT / "linnix_ls/core").rglob("*.py"))
    assert len(modules) > 5
    for path in modules:
        for name in imports_of(path):
            top = name.partition(".")[0]
            assert name.startswith("linnix_ls.core") or (
                top in sys.stdlib_module_names and top not in IMPURE
            ), f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.kind)
def test_every_kind_of_finding_has_its_page(detector):
    page = (ROOT / f"docs/findings/{detector.kind}.md").read_text()
    assert page.startswith(f"# {detector.kind}: ")
    for heading in ("How it is found", "What it can be confused with", "How to silence it"):
        assert f"## {heading}" in page


def test_causes_on_the_pages_are_those_that_detectors_give():
    for detector in DETECTORS:
        source = Path(sys.modules[type(detector).__module__].__file__).read_text()
        given = {name.lower() for name in re.findall(r"\bCause\.([A-Z_]+)\b", source)} - {"other"}
        page = (ROOT / f"docs/findings/{detector.kind}.md").read_text()
        assert given <= set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


def test_the_architecture_page_knows_every_part():
    page = (ROOT / "docs/ARCHITECTURE.md").read_text()
    packages = [path.parent for path in (ROOT / "linnix_ls").glob("*/__init__.py")]
    assert packages
    for package in packages:
        assert f"`linnix_ls/{package.name}/`" in page
    for folder in {path.relative_to(ROOT).parts[0] for path in tracked_files()}:
        if (ROOT / folder).is_dir() and folder not in (".ci", "LICENSES", "docs"):
            assert f"`{folder}/" in page, folder


def test_links_between_pages_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_no_file_names_a_package_registry():
    hosts = [
        "pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "npmjs" + ".com",
        "crates" + ".io", "deb.debian" + ".org", "archive.ubuntu" + ".com",
    ]  # fmt: skip
    for path in tracked_files():
        text = path.read_text(errors="replace")
        assert not [host for host in hosts if host in text], path


def pins(name):
    return dict(re.findall(r"^([a-z0-9_.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def test_the_locks_agree_and_pin_what_is_declared():
    runtime, development = pins("requirements.lock"), pins("requirements-dev.lock")
    model, llama_build = pins("requirements-model.lock"), pins("requirements-llama-build.lock")
    for lock in (runtime, model):
        shared = lock.keys() & development.keys()
        assert {name: lock[name] for name in shared} == {n: development[n] for n in shared}
    assert runtime.keys() <= development.keys()
    groups, extras = PROJECT["dependency-groups"], PROJECT["project"]["optional-dependencies"]
    for requirement in [*extras["local"], *extras["hub"], *extras["endpoint"]]:
        assert re.split(r"[<>=~]", requirement)[0] in model
    for requirement in groups["llama-build"]:
        assert re.split(r"[<>=~]", requirement)[0] in llama_build
    for requirement in PROJECT["project"]["dependencies"] + groups["build"] + groups["sample"]:
        assert re.split(r"[<>=~]", requirement)[0] in runtime
    for requirement in groups["dev"]:
        if isinstance(requirement, str):
            assert re.split(r"[<>=~]", requirement)[0] in development


def test_everything_that_is_locked_has_a_hash():
    locks = list(ROOT.glob("requirements*.lock"))
    assert len(locks) == 5
    for path in locks:
        entries = re.split(r"^(?=[a-z0-9])", path.read_text(), flags=re.MULTILINE)[1:]
        assert entries
        assert all("--hash=sha256:" in entry for entry in entries)


def test_probes_say_their_licence():
    for path in (ROOT / "bpf").iterdir():
        assert path.read_text().startswith(
            "/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */"
        )


def test_the_service_has_only_the_capabilities_that_are_explained():
    unit = (ROOT / "deploy/systemd/linnix-ls-agent.service").read_text()
    page = (ROOT / "docs/privilege.md").read_text()
    granted = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)[1].split()
    assert granted == re.findall(r"^\| `(CAP_\w+)` \|", page, re.MULTILINE)
    assert "\nNoNewPrivileges=yes\n" in unit


@pytest.mark.e2e
def test_systemd_understands_the_units(tmp_path):
    if shutil.which("systemd-analyze") is None:
        return  # not a machine that would run them
    for path in (ROOT / "deploy/systemd").glob("linnix-ls-agent.*"):
        unit = path.read_text().replace("/usr/bin/linnix-ls", sys.executable)
        (tmp_path / path.name).write_text(unit)
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *tmp_path.iterdir()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.e2e
@pytest.mark.ebpf
def test_as_a_service_it_finds_the_lines_of_an_ordinary_user():
    """With the capabilities and the mounts of the unit, in a folder that is closed to others."""
    learnt = capabilities.measure(capabilities.capabilities())
    assert learnt == {
        "python": "line 1", "c": learnt["c"], "node": "line 2", "java": "line 3", "stop": "stopped",
    }  # fmt: skip
    assert learnt["c"] in ("line 4", "line 5")


def test_the_manual_page_knows_every_subcommand(capsys):
    page = (ROOT / "deploy/linnix-ls.1").read_text()
    with pytest.raises(SystemExit):
        main(["--help"])
    subcommands = re.findall(r"^    (\w+) ", capsys.readouterr().out, re.MULTILINE)
    assert {"run", "agent"} <= set(subcommands)
    for name in subcommands:
        assert f".B {name}\n" in page


@pytest.mark.e2e
def test_setting_up_again_does_nothing_and_says_so():
    for _ in range(2):
        again = subprocess.run(
            ["deploy/setup.sh", "test"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    assert again.stderr == "setup: ready (test)\n"


@pytest.mark.e2e
def test_setup_refuses_a_profile_that_it_does_not_know():
    wrong = subprocess.run(
        ["deploy/setup.sh", "tset"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 1
    assert "unknown profile 'tset': run, test or model" in wrong.stderr


def line_of(path, text):
    lines = (ROOT / path).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.mark.e2e
@pytest.mark.ebpf
def test_make_run_shows_both_findings_with_their_lines():
    shown = subprocess.run(
        ["deploy/run-sample.sh"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    labels, supervisor = (
        "examples/parcels/parcels/labels.py",
        "examples/parcels/parcels/supervisor.py",
    )
    spin = int(re.search(r"parcels/labels\.py:(\d+)", shown.stderr)[1])
    assert line_of(labels, "while len(rest)") <= spin <= line_of(labels, ".lstrip()")
    storm = int(re.search(r"parcels/supervisor\.py:(\d+)", shown.stderr)[1])
    assert line_of(supervisor, "while True") <= storm <= line_of(supervisor, "log.info")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.e2e
def test_the_wheel_contains_probes_and_pages(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in (
        ("bpf", "linnix_ls/bpf"),
        ("playground", "linnix_ls/lessons"),
        ("docs/findings", "linnix_ls/docs/findings"),
    ):
        files = (path for path in (ROOT / folder).rglob("*") if path.is_file())
        for path in files:
            assert f"{inside}/{path.relative_to(ROOT / folder)}" in names


@pytest.mark.e2e
def test_the_wheel_works_in_a_fresh_environment(wheel, tmp_path):
    venv = tmp_path / "venv"
    base = Path(sysconfig.get_config_var("BINDIR"), "python3")
    subprocess.run([base, "-m", "venv", "--system-site-packages", venv], check=True)
    install = [venv / "bin/pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*install, "--require-hashes", "-r", ROOT / "requirements.lock"], check=True)
    subprocess.run([*install, "--no-deps", wheel], check=True)
    report = tmp_path / "findings.json"
    subprocess.run(
        [venv / "bin/linnix-ls", "run", "--json", report, "--", "true"], cwd=tmp_path, check=True
    )
    assert '"schema": "linnix-findings/1"' in report.read_text()


@pytest.mark.e2e
@pytest.mark.parametrize(("failing", "status"), [("", 0), ("lint", 1), ("test", 1)])
def test_ci_fails_when_anything_fails_and_still_runs_the_rest(tmp_path, failing, status):
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "make $1"\n[ "$1" != "{failing}" ]\n')
    make.chmod(0o755)
    ran = subprocess.run(
        ["bash", ROOT / ".ci/run"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (status, "make lint\nmake test\n")


@pytest.mark.e2e
@pytest.mark.ebpf
def test_skipping_fails_where_everything_could_run(tmp_path):
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text("import pytest\ndef test_it(): pytest.skip('no cable')\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "skipped on a machine with root and BTF: no cable" in ran.stdout
