import pytest

from linnix_ls.locate.perl import PerlReader
from tests.locate.programs import Folder, innermost, needs, read_until, user_frames

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio, needs("perl")]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


async def test_the_loop_and_its_callers_are_found_through_evals(folder):
    folder.write(
        "drain.pl",
        """\
my %state = (done => 0);

sub drain {
    my $n = shift;
    $n += $_ for 1 .. 2;
    until ($state{done}) {
        $n = $n * 3 % 1000;
    }
    return $n;
}

sub main {
    return eval { drain(5) };
}
main();
""",
    )
    with folder.running("perl", "drain.pl") as process:
        reading = await read_until(
            PerlReader(), process.pid, lambda r: innermost(r) and innermost(r).loops, n_looks=3
        )
    assert innermost(reading).loops == ((6, 8),)
    assert [(name, line) for name, _, line in user_frames(reading)[1:]] == [
        ("main", 13),
        ("main", 15),
    ]


async def test_a_function_of_a_module_of_the_users_is_found(folder):
    folder.write(
        "lib/Wait.pm",
        """\
package Wait;
sub for_file {
    my $path = shift;
    1 while !-e $path;
}
1;
""",
    )
    folder.write("t/wait.t", "use lib 'lib';\nuse Wait;\n\nWait::for_file('/nonexistent/file');\n")
    with folder.running("perl", "t/wait.t") as process:
        reading = await read_until(PerlReader(), process.pid, innermost)
    assert user_frames(reading) == [("for_file", "Wait.pm", 4), ("main", "wait.t", 4)]


async def test_while_a_program_runs_the_line_is_the_one_that_started_it(folder):
    folder.write("run.pl", "my $x = 1;\n\nsystem('sleep 30');\nprint 'done';\n")
    with folder.running("perl", "run.pl") as process:
        reading = await read_until(PerlReader(), process.pid, lambda r: at_line(r, 3))
    assert not reading.stacks[-1].is_running


async def test_a_one_liner_has_no_place(folder):
    with folder.running("perl", "-e", "1 while 1") as process:
        reading = await read_until(PerlReader(), process.pid, lambda r: r.language == "perl")
    assert (reading.stacks, reading.hints) == ((), ())


def at_line(reading, line):
    return innermost(reading) and innermost(reading).line == line
