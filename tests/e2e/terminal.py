"""A program in a terminal of its own, as a person would use it."""

import os
import pty
import re
import select
import subprocess
import time

CTRL_C, CTRL_Z = "\x03", "\x1a"


class Terminal:
    """Runs `argv` as leader of a session whose controlling terminal we hold the other end of."""

    def __init__(self, argv, *, cwd=None, env=None):
        self._fd, far_end = pty.openpty()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *argv],
            stdin=far_end, stdout=far_end, stderr=far_end, cwd=cwd, env=env,
        )  # fmt: skip
        os.close(far_end)
        self.pid = self._process.pid
        self.screen = ""
        self._seen = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._fd)  # hangs up
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def type(self, text):
        os.write(self._fd, text.encode())

    def enter(self, line):
        self.type(line + "\n")

    def expect(self, pattern, timeout_s=30):
        """Read until `pattern` appears after what was matched last; the match."""
        deadline = time.monotonic() + timeout_s
        while not (match := re.compile(pattern).search(self.screen, self._seen)):
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self._read(left_s):
                raise AssertionError(f"no {pattern!r} on the screen:\n{self.screen}")
        self._seen = match.end()
        return match

    def exit_code(self, timeout_s=30):
        """Everything is read, and the program has ended."""
        deadline = time.monotonic() + timeout_s
        while self._read(max(0.1, deadline - time.monotonic())):
            assert time.monotonic() < deadline, self.screen
        return self._process.wait(timeout_s)

    def signal(self, number):
        os.kill(self.pid, number)

    def _read(self, timeout_s):
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # nobody has the other end any more
            return False
        self.screen += data.decode(errors="replace")
        return bool(data)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]
