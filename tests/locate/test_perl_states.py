"""What Perl's memory tells of a program that runs: its variables, its operation, its matches."""

import pytest

from linnix_ls.locate.perl import PerlReader
from tests.locate.programs import Folder, facts_of, innermost, needs, read_until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio, needs("perl")]


async def looks_at(tmp_path, text, *, n_looks=8):
    folder = Folder(tmp_path)
    folder.write("drain.pl", text)
    with folder.running("perl", "drain.pl") as process:
        reading = await read_until(
            PerlReader(), process.pid, lambda r: innermost(r) and r.stacks[0].frames, n_looks=2
        )
        reading = await PerlReader().read(facts_of(process.pid), n_looks=n_looks, interval_s=0.02)
    return reading.stacks


def states(stacks):
    return {stack.state_hash for stack in stacks}


def sub(body, before=""):
    return (
        f"{before}\nsub drain {{\n    my ($n, $text, @kept) = (5, 'a word');\n{body}}}\ndrain();\n"
    )


async def test_a_loop_that_goes_round_comes_back_to_few_states(tmp_path):
    stacks = await looks_at(tmp_path, sub("    while ($n) {\n        $n = $n * 3 % 7;\n    }\n"))
    assert None not in states(stacks)
    assert len(states(stacks)) <= 6


async def test_a_loop_that_does_nothing_is_in_one_state(tmp_path):
    stacks = await looks_at(tmp_path, sub("    while ($n) {\n        next if $text;\n    }\n"))
    assert len(states(stacks)) == 1


@pytest.mark.parametrize(
    "step",
    [
        "$n++",
        "$n += 0.25",
        "$text = ($text . 'x') x 1; $text = substr($text, -40) . $n++",
        "push @kept, 1",
        "$kept[0] = $n = $n + 1",
    ],
)
async def test_a_loop_that_counts_is_in_ever_new_states(tmp_path, step):
    body = f"    while (1) {{\n        {step};\n        @kept = () if @kept > 4e6;\n    }}\n"
    stacks = await looks_at(tmp_path, sub(body))
    assert len(states(stacks)) >= 7


async def test_a_scan_through_a_text_moves_on(tmp_path):
    """By pos, which is no variable."""
    body = "    $text = 'ab ' x 8_000_000;\n    while ($text =~ /\\w/g) {\n        1;\n    }\n"
    stacks = await looks_at(tmp_path, sub(body, before=""))
    assert len(states(stacks)) >= 6


async def test_a_match_that_does_not_end_is_one_operation_in_one_state(tmp_path):
    body = "    my ($word, $may) = ('a' x 60, 'a?' x 60);\n    $word =~ /^${may}a{60}$/;\n"
    stacks = await looks_at(tmp_path, sub(body))
    assert {stack.native_leaf for stack in stacks} == {"regex"}
    assert len(states(stacks)) == 1
    assert len({stack.instruction for stack in stacks}) == 1


async def test_a_substitution_with_code_on_the_stack_does_not_hide_the_callers(tmp_path):
    text = """\
sub wait_for {
    while (1) {
        my $n = 1;
    }
}

sub fill {
    my $text = 'a-b';
    $text =~ s/(\\w)/wait_for()/ge;
}
fill();
"""
    stacks = await looks_at(tmp_path, text)
    names = [[frame.function for frame in stack.frames] for stack in stacks]
    assert names[-1] == ["wait_for", "fill", "main"]
