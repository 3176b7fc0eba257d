"""The agent as a service: what is planned, what is refused, and, on mounts that nobody else sees,
what is done."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from linnix_ls import installation
from linnix_ls.errors import LinnixError
from linnix_ls.installation import SERVICE_UNIT, SOCKET_UNIT, changeable_by, unit_text
from tests.tracer.environment import NOBODY, with_mounts

LINNIX_LS = Path(sys.prefix, "bin", "linnix-ls")


@pytest.fixture
def folder():
    """Below folders that are root's all the way, as pytest's own are not."""
    with tempfile.TemporaryDirectory(dir="/var/lib") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_units_in_opt_start_the_copy_there():
    assert "ExecStart=/opt/linnix-ls/bin/linnix-ls agent " in unit_text(SERVICE_UNIT)
    assert "SocketMode=0660" in unit_text(SOCKET_UNIT)


def test_what_it_needs_is_known_and_nothing_of_its_tests_among_it():
    needed = installation.needed_distributions()
    assert {"py-spy", "pygls", "lsprotocol", "pydantic-core", "tree-sitter-c"} <= set(needed)
    assert not {"pytest", "hatchling", "openai", "linnix-ls"} & set(needed)


@pytest.mark.e2e
@pytest.mark.ebpf  # needs root, to own things
class TestWhatRootCanTrust:
    def test_what_is_roots_all_the_way(self, folder):
        assert changeable_by(folder / "not" / "there") is None
        assert changeable_by(Path("/usr/bin/python3")) is None

    def test_nothing_that_belongs_to_somebody(self, folder):
        theirs = folder / "theirs"
        theirs.mkdir()
        os.chown(theirs, 65534, 65534)
        assert changeable_by(theirs / "below") == f"{theirs} belongs to nobody"

    @pytest.mark.parametrize("mode", [0o757, 0o777])
    def test_nothing_that_all_may_write(self, folder, mode):
        folder.chmod(mode)
        assert changeable_by(folder / "below") == f"{folder} can be changed by others than root"

    def test_nothing_that_a_link_leads_to_by_way_of_somebodys_folder(self, folder):
        theirs = folder / "theirs"
        theirs.mkdir()
        os.chown(theirs, 65534, 65534)
        (folder / "link").symlink_to(theirs / "python3")
        assert changeable_by(folder / "link") == f"{theirs} belongs to nobody"

    def test_a_circle_of_links_has_an_end(self, folder):
        (folder / "a").symlink_to(folder / "b")
        (folder / "b").symlink_to(folder / "a")
        assert "Too many levels of symbolic links" in changeable_by(folder / "a" / "x")

    def test_no_link_is_written_to(self, folder):
        (folder / "unit").symlink_to("/etc/passwd")
        with pytest.raises(LinnixError, match="is a link; not written to"):
            installation.refuse_unsafe(folder / "unit")


def agent(*words, prefix=(), **options):
    return subprocess.run(
        [*prefix, LINNIX_LS, "agent", *words],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip


# A machine with systemd, an account that calls sudo, and nothing of ours on it; systemctl writes
# down what it is told. Whatever is changed is seen by these processes alone.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>/run/told
case "$*" in *is-active*) [ -e /run/is-open ] ;; *enable*) touch /run/is-open ;; esac
"""


@pytest.fixture
def machine(folder):
    """The commands that make it, for each of several runs over the same disk."""
    for name in ("etc", "opt", "cache", "run/systemd/system", "sbin"):
        (folder / name).mkdir(parents=True)
    subprocess.run(["cp", "-a", "/etc/.", folder / "etc"], check=True)
    for name in ("groupadd", "groupdel", "usermod", "useradd"):
        subprocess.run(["cp", f"/usr/sbin/{name}", folder / "sbin"], check=True)
    (folder / "sbin/systemctl").write_text(SYSTEMCTL)
    (folder / "sbin/systemctl").chmod(0o755)
    places = {
        "etc": "/etc",
        "opt": "/opt",
        "cache": "/var/cache",
        "run": "/run",
        "sbin": "/usr/sbin",
    }
    prefix = with_mounts(*[f"mount --bind {folder / n} {at}" for n, at in places.items()])
    subprocess.run([*prefix, "useradd", "--system", "maria"], check=True)
    return folder, prefix


def group_of(folder):
    lines = (folder / "etc/group").read_text().splitlines()
    return next((line for line in lines if line.startswith("linnix-ls:")), None)


# Imported while it can be read: a checkout may be closed to other users.
AS_NOBODY = """
import os, sys
from linnix_ls import installation
from linnix_ls.cli.main import main
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
sys.exit(main())
"""


@pytest.mark.e2e
@pytest.mark.ebpf  # needs root
class TestOnAMachineWithSystemd:
    def test_it_is_installed_works_and_is_removed(self, machine):
        folder, prefix = machine
        env = {**os.environ, "SUDO_USER": "maria"}

        shown = agent("--install", "--dry-run", prefix=prefix, env=env)
        assert shown.returncode == 0, shown.stderr
        for words in (
            "make the group linnix-ls: groupadd --system linnix-ls",
            "let maria use the agent: usermod --append --groups linnix-ls maria",
            "copy linnix-ls and the libraries it needs to /opt/linnix-ls",
            "write /etc/systemd/system/linnix-ls-agent.socket",
            "systemctl enable --now linnix-ls-agent.socket",
        ):
            assert words in shown.stdout
        assert group_of(folder) is None
        assert not list((folder / "opt").iterdir())

        asked = agent("--install", prefix=prefix, env=env)
        assert (asked.returncode, group_of(folder)) == (2, None)
        assert "no terminal to ask on; nothing was done" in asked.stderr

        for n_times in (1, 2):
            done = agent("--install", "--yes", prefix=prefix, env=env)
            assert (done.returncode, done.stderr) == (0, "")
            assert "maria has to log out and in again once" in done.stdout
            assert "agent --uninstall" in done.stdout
            told = (folder / "run/told").read_text().splitlines()
            assert told.count("enable --now linnix-ls-agent.socket") == n_times
        assert group_of(folder).endswith(":maria")
        units = folder / "etc/systemd/system"
        assert (units / SERVICE_UNIT).read_text() == unit_text(SERVICE_UNIT)
        assert (units / SERVICE_UNIT).stat().st_mode & 0o777 == 0o644
        for path in (folder / "opt").rglob("*"):
            assert path.lstat().st_uid == 0
            assert path.is_symlink() or not path.stat().st_mode & 0o022, path

        for program in (NOBODY, ()):  # everybody can read it, nobody's environment counts
            version = subprocess.run(
                [*prefix, *program, "/opt/linnix-ls/bin/linnix-ls", "--version"],
                capture_output=True, text=True, check=True, cwd="/",
                env={"PYTHONPATH": "/nonexistent", "PYTHONHOME": "/nonexistent"},
            )  # fmt: skip
            assert version.stdout.startswith("linnix-ls ")
        packed = subprocess.run(
            [*prefix, "/opt/linnix-ls/bin/python3", "-I", "-c",
             "import linnix_ls.lsp.server, linnix_ls.locate.examiner, sys\n"
             "from linnix_ls.tracer.bpf_source import probe_source\n"
             "from linnix_ls.locate.python import py_spy_path\n"
             "from linnix_ls.core.findings import Kind\n"
             "from linnix_ls.pages import finding_page\n"
             "print(len(probe_source()) > 1000, py_spy_path(), finding_page(Kind.STUCK))"],
            capture_output=True, text=True, check=True, cwd="/",
        )  # fmt: skip
        assert packed.stdout.split()[:2] == ["True", "/opt/linnix-ls/bin/py-spy"]
        assert packed.stdout.split()[2].startswith("/opt/linnix-ls/lib/")

        for n_steps in (1, 0):
            gone = agent("--uninstall", "--yes", prefix=prefix)
            assert (gone.returncode, gone.stderr) == (0, "")
            assert ("remove /opt/linnix-ls" in gone.stdout) is bool(n_steps)
        assert "there is nothing to remove" in gone.stdout
        assert group_of(folder) is None
        assert not list((folder / "opt").iterdir())
        assert not list(units.glob("linnix-ls*"))

    def test_where_the_kernel_asks_for_more_of_who_samples_the_service_gets_it(self, machine):
        folder, prefix = machine
        setting = folder / "paranoid"
        setting.write_text("3\n")
        mount = f"mount --bind {setting} /proc/sys/kernel/perf_event_paranoid"
        here = [*prefix, "sh", "-c", f'{mount}; exec "$@"', "sh"]
        drop_in = folder / "etc/systemd/system/linnix-ls-agent.service.d/sampling.conf"
        done = agent("--install", "--yes", prefix=here)
        assert (done.returncode, done.stderr) == (0, "")
        assert "lets nobody sample without CAP_SYS_ADMIN" in done.stdout
        assert "\n[Service]\nCapabilityBoundingSet=CAP_SYS_ADMIN\n" in drop_in.read_text()
        again = agent("--install", "--yes", prefix=here)
        assert "CAP_SYS_ADMIN" not in again.stdout
        gone = agent("--uninstall", "--yes", prefix=here)
        assert (gone.returncode, gone.stderr) == (0, "")
        assert not drop_in.parent.exists()

    def test_who_is_not_root_is_told_what_to_type(self, machine):
        _, prefix = machine
        told = subprocess.run(
            [*prefix, sys.executable, "-c", AS_NOBODY, "agent", "--install"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert told.returncode == 1
        assert "let nobody use the agent: usermod" in told.stdout
        assert "this needs root; nothing was done" in told.stderr
        assert re.search(r"fix: sudo /\S+ .*agent --install$", told.stderr, re.MULTILINE)

    def test_from_a_folder_of_somebodys_it_says_whom_root_would_trust(self, machine):
        folder, prefix = machine
        home = folder / "home \x1b[2J"
        shutil.copytree(Path(installation.__file__).parent, home / "linnix_ls")
        os.chown(home, 65534, 65534)
        shown = subprocess.run(
            [*prefix, sys.executable, "-m", "linnix_ls.cli.main", "agent", "--install",
             "--dry-run"],
            capture_output=True, text=True, check=True, cwd=home, env={"PYTHONPATH": str(home)},
        )  # fmt: skip
        place = f"{folder}/home \\x1b[2J"
        assert f"Know this first: the code is copied from {place}/linnix_ls\n" in shown.stdout
        assert f"{place} belongs to nobody" in shown.stdout
        assert "\x1b" not in shown.stdout

    def test_a_folder_of_somebody_elses_is_not_touched(self, machine):
        folder, prefix = machine
        (folder / "opt/linnix-ls").mkdir()
        (folder / "opt/linnix-ls/mine").touch()
        done = agent("--install", "--yes", prefix=prefix)
        assert done.returncode == 1
        assert "was not made by linnix-ls" in done.stderr
        assert "nothing to remove" in agent("--uninstall", "--yes", prefix=prefix).stdout
        assert (folder / "opt/linnix-ls/mine").exists()

    def test_a_link_in_the_place_of_a_unit_is_refused(self, machine):
        folder, prefix = machine
        (folder / "etc/systemd/system" / SOCKET_UNIT).symlink_to("/etc/shadow")
        done = agent("--install", "--yes", prefix=prefix)
        assert done.returncode == 1
        assert "is a link; not written to" in done.stderr
        assert group_of(folder) is None

    def test_an_unknown_user_is_said(self, machine):
        _, prefix = machine
        done = agent("--install", "--yes", "--user", "no\nbody", prefix=prefix)
        assert done.returncode == 2
        assert r"there is no user 'no\nbody'" in done.stderr


@pytest.mark.e2e
@pytest.mark.ebpf  # needs root, for the mounts
def test_without_systemd_the_command_for_the_foreground_is_told():
    prefix = with_mounts("mount -t tmpfs none /run")
    told = agent("--install", prefix=prefix)
    assert told.returncode == 1
    assert "no systemd runs here" in told.stderr
    assert f"fix: sudo {LINNIX_LS} agent   (in a terminal of its own" in told.stderr


@pytest.mark.e2e
@pytest.mark.ebpf  # needs root, for the mounts
def test_without_systemd_the_plan_can_be_shown_all_the_same():
    prefix = with_mounts("mount -t tmpfs none /run")
    shown = agent("--install", "--dry-run", prefix=prefix)
    assert shown.returncode == 0, shown.stderr
    assert "No systemd runs here" in shown.stdout
    assert "systemctl enable --now linnix-ls-agent.socket" in shown.stdout


@pytest.mark.e2e
@pytest.mark.ebpf  # needs root
def test_an_installation_that_stops_half_way_says_what_is_done_and_how_to_go_on(machine):
    folder, prefix = machine
    systemctl = folder / "sbin/systemctl"
    systemctl.write_text(
        SYSTEMCTL + 'case "$*" in daemon-reload) echo no bus >&2; exit 1 ;; esac\n'
    )
    stopped = agent("--install", "--yes", "--user", "maria", prefix=prefix)
    assert stopped.returncode == 1
    assert "It stopped at step 6 of 8" in stopped.stderr
    assert "1. make the group linnix-ls: groupadd --system linnix-ls" in stopped.stderr
    assert "5. write /etc/systemd/system/linnix-ls-agent.service" in stopped.stderr
    assert "make them known" not in stopped.stderr
    assert "systemctl daemon-reload failed: no bus" in stopped.stderr
    assert "agent --install --user maria" in stopped.stderr
    assert "agent --uninstall" in stopped.stderr

    systemctl.write_text(SYSTEMCTL)
    again = agent("--install", "--yes", "--user", "maria", prefix=prefix)
    assert again.returncode == 0, again.stderr
    assert "Done." in again.stdout
