import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def spool(verb, run):
    subprocess.run([sys.executable, "-m", "spool", verb, str(run)], cwd=ROOT, check=True, timeout=15)


@pytest.fixture(scope="session")
def port(tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    spool("start", run)
    yield int((run / "port").read_text())
    spool("stop", run)


@pytest.mark.parametrize("client", range(8))
def test_client_is_answered(port, client):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        answers = sock.makefile("rb")
        for i in range(110):
            sock.sendall(b"message %d of %d\n" % (i, client))
            assert answers.readline().startswith(b"queued ")
            time.sleep(0.01)
