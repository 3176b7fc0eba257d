"""Native programs: addresses as functions, files and lines. Really compiled, really running."""

import asyncio
import os
import subprocess

import pytest

from linnix_ls.locate import native
from linnix_ls.locate.native import symbolise
from tests.locate.specimens import NO_PID, running

SPIN = """\
#include <stdio.h>

static inline __attribute__((always_inline)) int is_full(volatile int *ring) {
here:
    if (*ring > 100) return 1;
    FILE *out = fopen(WHERE, "w");
    fprintf(out, "%p %p\\n", &&here, __builtin_return_address(0));
    fclose(out);
    puts("ready");
    fflush(stdout);
    for (;;)
        if (*ring) return 1;
}

__attribute__((noinline)) int drain(volatile int *ring) {
    return is_full(ring) + 1;
}

int main(void) {
    static volatile int ring;
    return drain(&ring);
}
"""
HERE, INLINED_AT, CALLED_AT = 4, 16, 21


class Spinner:
    """A spinning program in a folder, with the addresses at which it says that it is."""

    def __init__(self, folder, *flags):
        self.folder = folder
        self.source = folder / "ring.c"
        self.program = folder / "spinner"
        self.source.write_text(SPIN)
        self.addresses_file = folder.parent / "addresses"
        where = f'-DWHERE="{self.addresses_file}"'
        command = ["cc", *flags, where, "-o", str(self.program), str(self.source)]
        subprocess.run(command, check=True)

    def running(self):
        return running(self.program)

    @property
    def stack(self):
        return tuple(int(text, 16) for text in self.addresses_file.read_text().split())


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "straße mit ü"
    folder.mkdir()
    return folder


def frames(pid, *stacks):
    snapshots = asyncio.run(symbolise(pid, stacks))
    return [(f.function, f.path, f.line) for s in snapshots for f in s.frames]


pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="reads other processes: needs root"),
]


@pytest.mark.parametrize("flags", [["-g"], ["-g", "-no-pie"], ["-g", "-fPIE", "-pie"]])
def test_an_address_is_a_line_and_inlined_functions_come_first(folder, flags):
    spinner = Spinner(folder, *flags)
    with spinner.running() as pid:
        found = frames(pid, spinner.stack)
    source = str(spinner.source)
    assert [function for function, _, _ in found] == ["is_full", "drain", "main"]
    assert {path for _, path, _ in found} == {source}
    assert found[0][2] - HERE in (0, 1)
    assert found[1][2] == INLINED_AT
    assert found[2][2] == CALLED_AT


def test_they_are_the_users_own(folder):
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        [stack] = asyncio.run(symbolise(pid, [spinner.stack]))
    assert all(frame.is_user_code for frame in stack.frames)
    assert stack.is_running


def test_every_sample_counts_once(folder):
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        stacks = asyncio.run(symbolise(pid, [spinner.stack] * 50))
    assert len(stacks) == 50


def test_without_debug_information_there_are_functions_only(folder):
    spinner = Spinner(folder)
    with spinner.running() as pid:
        found = frames(pid, spinner.stack)
    assert found == [("drain", None, None), ("main", None, None)]


def test_without_symbols_there_is_nothing(folder):
    spinner = Spinner(folder, "-s")
    with spinner.running() as pid:
        assert frames(pid, spinner.stack) == []


def test_of_a_program_that_was_deleted_lines_are_still_known(folder):
    """As every rebuild does it."""
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        spinner.program.unlink()
        found = frames(pid, spinner.stack)
    assert [function for function, _, _ in found] == ["is_full", "drain", "main"]


def test_of_a_program_that_was_replaced_nothing_wrong_is_said(folder):
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        before = spinner.stack
        spinner.program.unlink()
        spinner.program.write_bytes(b"something else")
        found = frames(pid, before)
    assert [function for function, _, _ in found] in ([], ["is_full", "drain", "main"])


def test_addresses_that_are_no_code_are_left_out(folder):
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        assert frames(pid, (0, 1, 0xDEAD_BEEF, 2**64 - 1)) == []
        only_leaf = frames(pid, (spinner.stack[0], 0xDEAD_BEEF))
    assert [function for function, _, _ in only_leaf] == ["is_full", "drain"]


def test_no_stacks_are_none():
    assert frames(os.getpid()) == []


def test_a_process_that_has_gone_has_none():
    assert frames(NO_PID - 1, (0x1000, 0x2000)) == []


def test_a_process_that_vanishes_meanwhile_has_none(folder):
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        stack = spinner.stack
    assert frames(pid, stack) == []


def test_without_binutils_functions_stay_unknown(folder, monkeypatch):
    spinner = Spinner(folder, "-g")
    with spinner.running() as pid:
        monkeypatch.setenv("PATH", "/nowhere")
        assert frames(pid, spinner.stack) == []


def test_an_addr2line_that_hangs_is_given_up(folder, tmp_path, monkeypatch):
    spinner = Spinner(folder, "-g")
    slow = tmp_path / "bin" / "addr2line"
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\necho $$ > '{tmp_path}/pid'\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(native, "SYMBOLISE_TIMEOUT_S", 0.3)
    with spinner.running() as pid:
        monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
        assert frames(pid, spinner.stack) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("place", "path", "line"),
    [
        ("/ws/a.c:7", "/ws/a.c", 7),
        ("/ws/a.c:7 (discriminator 3)", "/ws/a.c", 7),
        ("/ws/x/../a:b.c:7", "/ws/a:b.c", 7),
        ("/ws/a.c:?", "/ws/a.c", None),
        ("/ws/a.c:0", "/ws/a.c", None),
        ("??:0", None, None),
        ("??:?", None, None),
    ],
)
def test_places_are_read_as_addr2line_writes_them(place, path, line):
    [(_, [frame])] = native._parse_addr2line(f"0x0000000000001000\nf\n{place}\n").items()
    assert (frame.function, frame.path, frame.line) == ("f", path, line)


def test_a_name_may_look_like_an_address_or_hold_a_line_separator():
    found = native._parse_addr2line("0x10\n0xdead_function\n/ws/a.c:7\ng\u2028h\n/ws/b.c:8\n")
    assert [(f.function, f.line) for f in found[0x10]] == [("0xdead_function", 7), ("g\u2028h", 8)]


@pytest.mark.parametrize(
    "output",
    [
        "",
        "0x",
        "0xzz\nf\n/a.c:1\n",
        "f\n/a.c:1\n",
        "0x1000\nf\n",
        "0x1000\n??\n??:0\n",
        "0x1000\nf\n/a.c\n",
        "0x1000\nf\n/a.c:²\n",
        f"0x1000\nf\n/a.c:{'9' * 9999}\n",
        "\n" * 9,
    ],
)
def test_whatever_addr2line_says_it_does_not_matter(folder, tmp_path, monkeypatch, output):
    spinner = Spinner(folder, "-g")
    odd = tmp_path / "bin" / "addr2line"
    odd.parent.mkdir()
    (tmp_path / "output").write_text(output)
    odd.write_text(f"#!/bin/sh\ncat '{tmp_path}/output'\n")
    odd.chmod(0o755)
    with spinner.running() as pid:
        monkeypatch.setenv("PATH", f"{odd.parent}:{os.environ['PATH']}")
        assert frames(pid, spinner.stack) == []
