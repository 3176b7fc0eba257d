"""docs/thresholds.md says what core/policy.py does, and every threshold is worth its place."""

import asyncio
import json
import re
import shlex
from itertools import pairwise

import pytest

from linnix_ls.app import replay_feed
from linnix_ls.cli.output import policy_of
from linnix_ls.config import parse_settings, parse_thresholds
from linnix_ls.core.engine import DETECTORS
from linnix_ls.core.policy import Policy
from linnix_ls.generate_thresholds import KINDS, PAGE, page, reasons, unit
from linnix_ls.thresholds import GROUPS, changed, names
from tests.test_project import ROOT

TEXT = PAGE.read_text()


def test_the_page_is_what_the_generator_writes():
    assert page() == TEXT, "run `make generate`"


def test_every_threshold_is_on_it_once():
    listed = re.findall(r"`([\w.]+)`", "".join(re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)))
    assert sorted(listed) == sorted(names())


def test_every_group_belongs_to_a_kind_and_every_kind_to_a_group():
    assert KINDS.keys() == GROUPS.keys()
    assert {kind for kinds in KINDS.values() for kind in kinds} == {d.kind for d in DETECTORS}


@pytest.mark.parametrize("defaults", [*GROUPS.values(), Policy()], ids=lambda d: type(d).__name__)
def test_no_reason_is_left_of_a_threshold_that_has_gone(defaults):
    own = {name for name in vars(type(defaults))["__slots__"] if name not in GROUPS}
    assert set(reasons(type(defaults))) == own


def test_what_is_named_in_its_text_exists():
    known = {*names(), *(last for name in names() for last in [name.rpartition(".")[2]])}
    text = TEXT.partition("## What scales")[2].partition("\n## ")[0]
    for name in re.findall(r"`([\w.]+)`", text):
        assert name in known or name == "per_cpu_s"


def test_its_examples_work():
    [settings] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    raw = json.loads(settings)["linnix.thresholds"]
    parsed, problems = parse_settings({"thresholds": raw})
    assert (changed(parsed.thresholds), problems) == (raw, [])
    [commands] = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for command in commands.splitlines():
        words = shlex.split(command)
        given = [after for word, after in pairwise(words) if word[:3] == "--t"]
        assert changed(policy_of(given))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("growth_bytes_per_s", "bytes a second"),
        ("storm_of_syscalls_per_cpu_s", "syscalls a second of CPU"),
        ("busy_copies_per_cpu", "copies for each CPU"),
        ("idle_s", "s"),
        ("idle_cores", "cores"),
        ("compile_rss_bytes", "bytes"),
        ("min_looks", ""),
        ("fruitless_share", ""),
    ],
)
def test_the_unit_is_in_the_name(name, words):
    assert unit(name) == words


def test_every_page_of_a_kind_links_to_its_thresholds():
    for group, kinds in KINDS.items():
        page_of_kind = (ROOT / f"docs/findings/{kinds[0]}.md").read_text()
        assert f"[thresholds and their reasons](../thresholds.md#{group})" in page_of_kind
        assert f"\n## {group}\n" in TEXT


def extreme(candidates):
    """Every threshold at the first of these values that it takes."""
    raw = {}
    for name in names():
        group, _, last = name.rpartition(".")
        for value in candidates:
            given = [value] if last == "look_again_s" else value
            alone = {group: {last: given}} if group else {last: given}
            if not parse_thresholds(alone)[1]:
                raw.setdefault(group, {}).update({last: given}) if group else raw.update(alone)
                break
    policy, problems = parse_thresholds(raw)
    assert problems == []
    return policy


@pytest.mark.parametrize("candidates", [(0, 1e-300, 1, 0.1), (10**12, 1, 60, 8)])
@pytest.mark.parametrize(
    "trace", sorted((ROOT / "tests/traces").glob("*.trace")), ids=lambda p: p.stem
)
@pytest.mark.asyncio
async def test_whatever_a_client_sets_its_engine_goes_on(candidates, trace):
    """A feed reports what its engine raises to the loop."""
    raised = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    feed, _ = await replay_feed(trace, policy=extreme(candidates))
    assert (await feed.status()).n_received
    await feed.close()
    assert raised == []
