"""Files are opened with the rights of who asks, and with no others."""

import asyncio
import os
import threading

import pytest

from linnix_ls import rights, sources
from linnix_ls.locate.source import is_user_file, python_source, read_lines
from linnix_ls.locate.syntax import syntax_of
from linnix_ls.rights import Rights, on_behalf_of

NOBODY = Rights(65534, 65534)
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def folder(tmp_path):
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(path.stat().st_mode | 0o011)
    return tmp_path


@pytest.fixture
def secret(folder):
    """A file that only root may read, in a folder that all may look into."""
    path = folder / "secret.py"
    path.write_text("def secret():\n    while True:\n        pass\n")
    path.chmod(0o600)
    return str(path)


@only_root
@pytest.mark.ebpf
class TestOfAnotherUser:
    def test_what_they_may_not_read_is_not_there(self, secret):
        with on_behalf_of(NOBODY):
            assert sources.read_source(secret) is None
            assert read_lines(secret) == []
            assert python_source(secret) is None
            with pytest.raises(PermissionError):
                sources.open_regular(secret)
        assert b"secret" in sources.read_source(secret)

    def test_what_is_kept_of_a_file_is_not_for_who_may_not_read_it(self, secret):
        script = secret.replace(".py", ".sh")
        os.link(secret, script)
        assert python_source(secret).loops_around(3)
        assert syntax_of(script) is not None
        with on_behalf_of(NOBODY):
            assert python_source(secret) is None
            assert syntax_of(script) is None

    def test_a_file_in_a_closed_folder_cannot_even_be_looked_for(self, folder, secret):
        (folder / "closed").mkdir(mode=0o700)
        inside = str(folder / "closed" / "x.py")
        os.rename(secret, inside)
        with on_behalf_of(NOBODY):
            assert not is_user_file(inside)
            assert not sources.is_folder(f"{folder}/closed/..")
            assert sources.names_in(str(folder / "closed"), 9) == []
            assert list(sources.walk(str(folder / "closed"), 9)) == []
        assert is_user_file(inside)

    def test_their_groups_count(self, secret):
        os.chown(secret, 0, 64_999)
        os.chmod(secret, 0o640)
        with on_behalf_of(NOBODY):
            assert read_lines(secret) == []
        with on_behalf_of(NOBODY._replace(groups=frozenset({64_999}))):
            assert read_lines(secret)
        with on_behalf_of(NOBODY._replace(gid=64_999)):
            assert read_lines(secret)

    def test_roots_own_groups_do_not(self, secret):
        os.chmod(secret, 0o640)  # of root's group
        with on_behalf_of(NOBODY):
            assert read_lines(secret) == []

    def test_other_threads_and_what_comes_after_have_our_rights(self, secret):
        within, read = threading.Event(), []

        def look():
            within.wait(20)
            read.append(sources.read_source(secret))

        other = threading.Thread(target=look)
        other.start()
        groups = os.getgroups()
        with rights.files_as(NOBODY):
            within.set()
            other.join()
        assert b"secret" in read[0]
        assert read_lines(secret)
        assert os.getgroups() == groups

    def test_threads_that_a_task_starts_have_the_rights_of_its_client(self, secret):
        async def main():
            with on_behalf_of(NOBODY):
                return await asyncio.to_thread(read_lines, secret)

        assert asyncio.run(main()) == []


@only_root
@pytest.mark.ebpf
def test_where_rights_cannot_be_taken_on_nothing_is_opened(secret):
    """As an agent that has lost CAP_SETGID: it must not go on with its own rights."""
    read_fd, write_fd = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            with on_behalf_of(Rights(1000, 1000)):
                os.write(write_fd, repr(sources.read_source(__file__)).encode())
        finally:
            os._exit(0)
    os.close(write_fd)
    os.waitpid(child, 0)
    with open(read_fd, "rb") as told:
        assert told.read() == b"None"


def test_a_pipe_is_not_waited_for_and_a_device_not_touched(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    for path in (str(tmp_path / "pipe.py"), "/dev/null", str(tmp_path), "/nowhere", "a\0b"):
        assert sources.read_source(path) is None
        assert read_lines(path) == []
        assert python_source(path) is None
        assert sources.identity_of(path) is None
