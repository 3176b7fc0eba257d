"""Which line of a script a command line came from."""

import pytest

from linnix_ls.locate.commandline import best_match, n_literal_characters_matched, spellings


@pytest.mark.parametrize(
    ("template", "command"),
    [
        ("sleep 5", "sleep 5"),
        ('sleep "$n"', "sleep 5"),
        ("curl -sf http://$host:$port/health", "curl -sf http://localhost:80/health"),
        ("cc -c $< -o $@", "cc -c a.c -o a.o"),
        ("$(CC) -c $(CFLAGS) x.c", "cc -c -O2 x.c"),
        ("$(CC) -c $(CFLAGS) x.c", "cc -c x.c"),
        ("rm *.o", "rm a.o b.o"),
        ("echo `date` now", "echo Mon now"),
        ("cp  a   b", "cp a b"),
        ("python3 'my tool.py' --x", "python3 my tool.py --x"),
        ("run ${x:-$(f $(g))} end", "run 5 end"),
        ("$tool --flag", "curl --flag"),
    ],
)
def test_what_is_written_literally_is_found_again(template, command):
    assert n_literal_characters_matched(template, command)


@pytest.mark.parametrize(
    ("template", "command"),
    [
        ("sleep 5", "sleep 6"),
        ("sleep $n", "nap 5"),
        ("cc -c $< -o $@", "cc -c a.c"),
        ("$tool", "curl"),
        ("", "curl"),
        ("$x$y", "curl"),
        ("ab $x ba", "ab a"),
    ],
)
def test_what_is_not_there_is_no_match(template, command):
    assert not n_literal_characters_matched(template, command)


def test_the_template_with_the_most_of_it_wins():
    templates = ["curl $url", "curl -sf $url/health", "curl -sf $url/ready"]
    assert best_match(templates, ["curl -sf localhost/health"]) == 1
    assert best_match(templates, ["wget x"]) is None
    assert best_match([], ["x"]) is None
    assert best_match(templates, []) is None


@pytest.mark.parametrize(
    ("argv", "spelling"),
    [
        (("/usr/bin/curl", "-s"), "/usr/bin/curl -s"),
        (("/usr/bin/curl", "-s"), "curl -s"),
        (("/bin/sh", "-c", "sleep 5"), "sleep 5"),
        (("/bin/sh", "-e", "-c", "sleep 5"), "sleep 5"),
        (("bash", "-ec", "sleep 5"), "sleep 5"),
        (("/bin/bash", "./wait.sh", "5"), "./wait.sh 5"),
        (("/usr/bin/python3", "/ws/tool.py", "-v"), "tool.py -v"),
    ],
)
def test_a_command_may_have_been_written_in_several_ways(argv, spelling):
    assert spelling in spellings(argv)


def test_of_nothing_there_is_no_spelling():
    assert spellings(()) == []


@pytest.mark.parametrize(
    "template",
    [
        "$(" * 5_000,
        "${" * 5_000 + "}" * 5_000,
        "`" * 9_999,
        "$(a" * 3_000 + ")" * 3_000,
        "*" * 9_999,
    ],
)
def test_a_hostile_template_takes_no_time(template):
    for command in ("x" * 10_000, "(" * 10_000, template):
        n_literal_characters_matched(template, command)
