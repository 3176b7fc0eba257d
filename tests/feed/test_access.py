"""Who may connect, and what the others are told."""

import grp
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from linnix_ls.feed.access import Access, Membership, access_of, join_command
from linnix_ls.feed.protocol import peer_groups
from tests.feed.scenes import run_as_nobody


@pytest.fixture
def listener():
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        os.chmod(folder, 0o755)  # pytest's own folders are closed to other users
        path = Path(folder, "agent.sock")
        listener.bind(str(path))
        listener.listen()
        yield path


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o640])
def test_no_group_decides_where_all_or_none_may(listener, mode):
    listener.chmod(mode)
    assert access_of(listener) is None


def test_no_group_decides_where_nothing_is(tmp_path):
    assert access_of(tmp_path / "none") is None


def test_members_are_told_nothing(listener):
    listener.chmod(0o660)
    access = access_of(listener)
    assert access.group == grp.getgrgid(os.getegid()).gr_name
    assert (access.problem, access.fix) == (None, None)


def test_others_are_told_the_command():
    access = Access("linnix-ls", Membership.NONE)
    assert access.problem == "only members of the group linnix-ls may use the agent"
    assert access.fix.startswith("sudo usermod -aG linnix-ls ")
    assert access.fix.endswith("(then log out and in again)")


def test_who_has_just_become_one_is_told_to_log_in_again():
    access = Access("linnix-ls", Membership.AFTER_LOGIN)
    assert "next login" in access.problem
    assert "newgrp linnix-ls" in access.fix


def test_names_are_quoted_in_commands():
    assert join_command("a b", "$(reboot)") == "sudo usermod -aG 'a b' '$(reboot)'"


AS_NOBODY = """
async def main():
    from linnix_ls.errors import AgentError
    try:
        await RemoteFeed.connect(Path(sys.argv[1]))
    except AgentError as error:
        print(json.dumps([error.message, error.fix]))

asyncio.run(main())
"""


@pytest.mark.e2e
@pytest.mark.ebpf  # needs root, to be somebody else
@pytest.mark.asyncio
async def test_a_client_outside_the_group_hears_it_from_the_refusal(listener):
    os.chown(listener, 0, grp.getgrnam("adm").gr_gid)
    listener.chmod(0o660)
    message, fix = json.loads(await run_as_nobody(AS_NOBODY, listener))
    assert message == "only members of the group adm may use the agent"
    assert fix == "sudo usermod -aG adm nobody   (then log out and in again)"


def test_groups_of_the_other_end_are_told_by_the_kernel():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_groups(ours) == frozenset(os.getgroups())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives groups")
def test_a_process_in_a_group_is_seen_in_it(listener):
    connect = "import socket; socket.socket(socket.AF_UNIX).connect(__import__('sys').argv[1])"
    path = listener.with_name("other.sock")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        command = [sys.executable, "-c", connect, path]
        with subprocess.Popen(command, extra_groups=[64999, 64998]):
            connection, _ = other.accept()
        with connection:
            assert peer_groups(connection) == {64998, 64999}
