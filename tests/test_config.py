"""Settings as editors send them: what is right in them counts, whatever stands beside it."""

import dataclasses
import json

import pytest

from linnix_ls.config import MAX_PROBLEMS_TOLD, Settings, parse_settings
from linnix_ls.core.findings import Kind, Severity
from linnix_ls.core.policy import Policy
from linnix_ls.thresholds import GROUPS, names


def settings_of(**raw):
    """What is used, and what was told of the rest."""
    return parse_settings(raw)


def thresholds_of(**raw):
    settings, problems = parse_settings({"thresholds": raw})
    return settings.model_dump(mode="json")["thresholds"], problems


@pytest.mark.parametrize("raw", [None, {}, {"linnix": {}}, {"linnix": {"unknown": 1}}])
def test_nothing_said_means_the_defaults(raw):
    assert parse_settings(raw) == (Settings(), [])


@pytest.mark.parametrize("raw", [[], "x", 7, True])
def test_settings_that_are_no_object_are_not_used(raw):
    assert parse_settings(raw) == (Settings(), ["settings are not an object; defaults are used"])


def test_one_wrong_severity_does_not_lose_the_others():
    settings, [problem] = settings_of(severity={"cpu_spin": "off", "stuck": "loud"})
    assert settings.severity == {Kind.CPU_SPIN: "off"}
    assert problem.startswith("linnix.severity.stuck: ")
    assert "'warning'" in problem and "'off'" in problem


def test_one_unknown_kind_does_not_lose_the_others():
    settings, [problem] = settings_of(severity={"cpu_spni": "off", "stuck": "error"})
    assert settings.severity == {Kind.STUCK: Severity.ERROR}
    assert problem.startswith("linnix.severity.cpu_spni: ")


def test_of_a_list_only_what_is_wrong_is_left_out():
    settings, problems = settings_of(exclude=["a", 1, "b", None, "c"])
    assert settings.exclude == ("a", "b", "c")
    assert [problem.split(":")[0] for problem in problems] == [
        "linnix.exclude.1", "linnix.exclude.3",
    ]  # fmt: skip
    assert all(problem.endswith("it is left out") for problem in problems)


def test_a_wrong_setting_falls_back_to_its_default_alone():
    settings, [problem] = settings_of(min_severity="loud", tracer="psutil")
    assert (settings.min_severity, settings.tracer) == (Severity.HINT, "psutil")
    assert problem.endswith("the default is used")


def test_what_was_sent_is_not_changed():
    raw = {"severity": {"stuck": 7}, "exclude": [1, "a"], "thresholds": {"spin": {"x": 1}}}
    before = json.dumps(raw)
    parse_settings(raw)
    assert json.dumps(raw) == before


def test_many_mistakes_are_not_all_told():
    settings, problems = settings_of(exclude=["a", *range(10_000)])
    assert settings.exclude == ("a",)
    assert len(problems) == MAX_PROBLEMS_TOLD + 1
    assert problems[-1] == f"and {10_000 - MAX_PROBLEMS_TOLD} more"


def test_mistakes_are_told_shortly_however_long_they_are():
    _, problems = thresholds_of(**{"x" * 1_000_000: 1}, spin={"y" * 1_000_000: 1})
    assert len(problems) == 2
    assert all(len(problem) < 400 for problem in problems)


def nested(depth):
    value = inner = {}
    for _ in range(depth):
        inner["linnix"] = inner = {}
    return value


@pytest.mark.parametrize("name", Settings.model_fields)
@pytest.mark.parametrize(
    "value",
    [None, 0, -1, 1e400, 10**400, "", "x\0", "\ud800", [], [[]], {}, {"": ""}, {"[key]": {}},
     {"cpu_spin": {"[key]": 1}}, {"spin": {"look_again_s": {}}}, nested(500)],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_whatever_is_sent_leaves_settings_that_work(name, value):
    settings, problems = settings_of(**{name: value})
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings
    assert all(problem.startswith(f"linnix.{name}") for problem in problems)


class TestThresholds:
    def test_any_part_of_them_may_be_given(self):
        raw = {"spin": {"suspicion_cores": 0.95, "look_again_s": [1, 2.5]}, "calm_s": 5}
        settings, problems = parse_settings({"thresholds": raw})
        assert problems == []
        assert settings.thresholds.spin.suspicion_cores == 0.95
        assert settings.thresholds.spin.look_again_s == (1, 2.5)
        assert settings.thresholds.calm_s == 5
        assert settings.model_dump(mode="json")["thresholds"] == raw
        untouched = dataclasses.replace(settings.thresholds, spin=GROUPS["spin"], calm_s=3.0)
        assert untouched == Policy()

    def test_each_can_be_given_its_default_which_is_no_change(self):
        for name in names():
            group, _, last = name.rpartition(".")
            value = getattr(GROUPS[group] if group else Policy(), last)
            value = list(value) if isinstance(value, tuple) else value
            raw = {group: {last: value}} if group else {last: value}
            assert thresholds_of(**raw) == ({}, [])

    @pytest.mark.parametrize("name", names())
    @pytest.mark.parametrize(
        "value",
        [0, -1, float("nan"), float("inf"), -float("inf"), 10**400, 1e300, "1", True, None, {}, []],
    )
    def test_none_takes_a_value_that_makes_no_sense(self, name, value):
        group, _, last = name.rpartition(".")
        used, problems = thresholds_of(**({group: {last: value}} if group else {last: value}))
        if value == 0 and value is not False and "share" in last:
            assert problems == []
            return
        assert used == {}
        [problem] = problems
        assert problem.startswith(f"linnix.thresholds.{name}: ")
        assert problem.endswith("the default is used")

    @pytest.mark.parametrize("name", [name for name in names() if "share" in name])
    def test_a_share_is_between_none_and_all(self, name):
        group, _, last = name.rpartition(".")
        assert thresholds_of(**{group: {last: 1}})[0] == {group: {last: 1}}
        assert "less than or equal to 1" in thresholds_of(**{group: {last: 1.01}})[1][0]

    def test_a_count_is_whole(self):
        assert thresholds_of(spin={"min_looks": 2.5})[0] == {}

    def test_no_time_is_longer_than_what_is_remembered_nor_shorter_than_a_look(self):
        used, problems = thresholds_of(stuck={"idle_s": 61}, storm={"window_s": 0.01}, calm_s=60)
        assert used == {"calm_s": 60}
        assert len(problems) == 2

    def test_the_machine_is_everybodys(self):
        assert thresholds_of(max_examinations=9)[0] == {}
        assert thresholds_of(max_examinations=8)[0] == {"max_examinations": 8}
        assert thresholds_of(spin={"look_again_s": [0.0]})[0] == {}
        assert thresholds_of(spin={"look_again_s": [0.1] * 21})[0] == {}

    def test_one_wrong_value_does_not_lose_the_others(self):
        used, problems = thresholds_of(
            spin={"suspicion_cores": 0.9, "min_looks": "many", "look_again_s": [0.5, -1, 2]},
            leek={"grace_s": 3},
            leak={"grace_s": 2},
        )
        assert used == {
            "spin": {"suspicion_cores": 0.9, "look_again_s": [0.5, 2]}, "leak": {"grace_s": 2},
        }  # fmt: skip
        assert sorted(problem.split(":")[0] for problem in problems) == [
            "linnix.thresholds.leek",
            "linnix.thresholds.spin.look_again_s.1",
            "linnix.thresholds.spin.min_looks",
        ]

    @pytest.mark.parametrize(
        ("raw", "meant"),
        [
            ({"spn": {}}, "spin"),
            ({"spin": {"suspicion_core": 1}}, "spin.suspicion_cores"),
            ({"spin": {"idle_s": 5}}, "stuck.idle_s"),
            ({"grace_s": 5}, "leak.grace_s"),
            ({"calm": 5}, "calm_s"),
            ({"storm": {"min_start": 5}}, "storm.min_starts"),
        ],
    )
    def test_what_is_unknown_is_told_with_the_nearest_that_is_known(self, raw, meant):
        used, [problem] = thresholds_of(**raw)
        assert used == {}
        assert f": there is none; did you mean {meant}; " in problem
