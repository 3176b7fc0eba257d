import json
from dataclasses import asdict

import pytest

from bench import capture, cost, growth
from bench.accuracy import CORPUS, CaseRun, Options, compare, judge, markdown, title
from bench.editor import bars, memory
from bench.innocents import entry, last_words, problems
from bench.innocents import markdown as innocents_markdown
from bench.latency import Measured, figures
from bench.latency import markdown as latency_markdown
from bench.publish import newest, page
from bench.scoring import Case, Place, Report
from bench.works import Work
from linnix_ls.core.events import Exited, Forked
from linnix_ls.core.ids import ProcessKey
from linnix_ls.tracer.trace_file import read_trace

ABOUT = {
    "tool": {"name": "linnix-ls", "version": "0.1.0"},
    "measured_at": "2026-01-31T12:00:00+00:00",
    "n_cpus": 2,
    "kernel": "6.1",
    "python": "3.11.2",
    "load": 0.1,
}
CASES = {
    "spin": Case(
        "spin", "cpu-spin", frozenset({"cpu-spin"}), "busy-poll", Place("a.py", 1, 9), (), "a.py", 6
    ),
    "calm": Case("calm", "benign", frozenset({"benign"}), "none", None, (), "", None),
}
SPIN = Report("cpu-spin", "busy-poll", "warning", "a.py", 3, 2.5, is_stranger=False)
LOOP = Report("cpu-spin", "pure-loop", "hint", "a.py", 30, 2.5, is_stranger=False)


def result(spin, calm=()):
    runs = {
        "spin": [CaseRun(tuple(spin), "bcc", None)],
        "calm": [CaseRun(tuple(calm), "bcc", None)],
    }
    return as_result(runs)


def as_result(runs, tracers=("bcc",)):
    return {
        **ABOUT,
        "schema": "linnix-accuracy/1",
        "options": {"corpora": ["/somewhere/cases"]},
        "tracers": list(tracers),
        "n_runs": 1,
        **judge(CASES, runs),
    }


def row(page, name):
    line = next(line for line in page.splitlines() if line.startswith(f"| {name} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_page_shows_each_case_and_the_sum():
    page = markdown(result([SPIN], [LOOP]))
    assert row(page, "spin")[1:] == [
        "cpu-spin", "detected", "exact", "a.py:3", "busy-poll", "2.5 s", "yes",
    ]  # fmt: skip
    assert "FALSE ALARM (cpu-spin/pure-loop hint)" in row(page, "calm")
    assert row(page, "precision")[1:3] == ["50%", "100%"]  # hints are no warnings


def test_a_wrong_cause_is_shown_with_the_right_one():
    assert "pure-loop (not busy-poll)" in row(markdown(result([LOOP])), "spin")


def test_results_survive_json():
    before = result([SPIN], [LOOP])
    assert markdown(json.loads(json.dumps(before))) == markdown(before)


def test_comparing_lists_the_cases_that_changed():
    page = compare(result([SPIN]), result([LOOP]))
    assert row(page, "line exact")[1:] == ["100%", "0%"]
    assert row(page, "spin")[1].startswith("detected exact")
    assert row(page, "spin")[2].startswith("detected near")
    assert "| calm" not in page


def test_comparing_a_result_with_itself_finds_nothing():
    assert "No case changed." in compare(result([SPIN]), result([SPIN]))


def test_a_run_that_measured_nothing_is_no_miss_but_a_problem():
    broken = CaseRun((), None, "no findings document; out of memory")
    one_of_two = as_result({"spin": [CaseRun((SPIN,), "bcc", None), broken]})
    assert one_of_two["summary"]["recall"] == 1.0
    assert one_of_two["problems"] == ["spin, run 2: no findings document; out of memory"]
    none = as_result({"spin": [broken]})
    assert none["summary"]["n_runaway"] == 0
    assert "NOT MEASURED" in row(markdown(none), "spin")
    assert "- spin, run 1: no findings document; out of memory" in markdown(none).splitlines()
    assert "NOT MEASURED" in compare(result([SPIN]), none)


def test_a_case_that_was_stopped_is_judged_by_what_was_said_and_is_a_problem():
    stopped = as_result({"spin": [CaseRun((SPIN,), "bcc", "the case was stopped: timeout")]})
    assert stopped["summary"]["recall"] == 1.0
    assert len(stopped["problems"]) == 1


def test_what_most_runs_did_not_say_is_listed_all_the_same():
    quiet, loud = CaseRun((), "bcc", None), CaseRun((LOOP,), "bcc", None)
    page = markdown(as_result({"calm": [quiet, loud, quiet]}))
    assert "quiet" in row(page, "calm")
    assert "- calm: false alarm: cpu-spin/pure-loop hint at a.py:30,  (1×)" in page.splitlines()
    assert "Runs differ in: calm." in page


def test_runs_are_read_back_from_json():
    run = CaseRun((SPIN, LOOP), "bcc", None, 7)
    assert CaseRun.from_json(json.loads(json.dumps(asdict(run)))) == run


def test_a_title_tells_what_was_measured_and_no_path_of_this_machine():
    assert title(result([SPIN])) == "Accuracy on cases"
    assert title(as_result({}, ["psutil"])) == "Accuracy on cases, degraded (psutil)"


def folder_of(path, *ids):
    for case_id in ids:
        folder = path / "runaway" / case_id
        folder.mkdir(parents=True)
        (folder / "case.toml").touch()
    return str(path)


def options(corpora, cases=()):
    return Options(tuple(corpora), tuple(cases), n_runs=1, tracer="auto")


def test_cases_of_several_folders_are_found(tmp_path):
    corpora = [folder_of(tmp_path / "a", "one", "two"), folder_of(tmp_path / "b", "three")]
    assert set(options(corpora).folders()) == {"one", "two", "three"}
    assert set(options(corpora, ["three"]).folders()) == {"three"}


def test_unknown_and_ambiguous_cases_are_refused(tmp_path):
    corpora = [folder_of(tmp_path / "a", "one"), folder_of(tmp_path / "b", "one")]
    with pytest.raises(ValueError, match="two cases are called one"):
        options(corpora).folders()
    with pytest.raises(ValueError, match="no such case: other"):
        options(corpora[:1], ["other"]).folders()
    with pytest.raises(ValueError, match=r"no case\.toml"):
        options([str(tmp_path / "c")]).folders()


def test_latency_rounds_without_a_diagnostic_are_counted_not_averaged():
    rounds = [Measured(0.75, 0.25, 5), None, Measured(1.5, 0.5, 5)]
    spin = figures("cpu_spin", rounds)
    assert (spin["median_s"], spin["n_missed"]) == (1.5, 1)
    meanwhile = {"CPUs full": {"cpu_spin": spin}}
    page = latency_markdown({**ABOUT, "tracer": "bcc", "n_rounds": 3, "meanwhile": meanwhile})
    cells = ["CPUs full", "1.12 s", "0.38 s", "1.00 s", "1.50 s", "2.00 s", "1", "3.0 s"]
    assert row(page, "cpu_spin") == ["cpu_spin", *cells]


def test_latency_that_measured_nothing_says_so():
    assert figures("cpu_spin", [None])["median_s"] is None


LATENCY = {
    **ABOUT,
    "schema": "linnix-latency/2",
    "tracer": "bcc",
    "n_rounds": 1,
    "meanwhile": {
        "CPUs full": {
            kind: figures(kind, [Measured(1.0, 0.1, 5)]) for kind in ("cpu_spin", "fork_storm")
        }
    },
}
QUIET = Work("quiet", "does nothing", lambda folder: None, ("true",))


def document(*findings, exit_code=0):
    return {
        "duration_s": 2.5,
        "exit_code": exit_code,
        "events": {"processes": 12, "lost": 0, "received": 40},
        "tracer": "bcc",
        "findings": [
            {
                "severity": severity,
                "kind": "cpu_spin",
                "cause": "pure_loop",
                "location": None,
                "process": {"argv": ["python3", "work.py"]},
                "flagged_s": 2.0,
            }
            for severity in findings
        ],
    }


def innocents(*entries):
    return {**ABOUT, "schema": "linnix-innocents/1", "innocents": list(entries)}


def test_a_quiet_innocent_is_no_problem():
    result = innocents(entry(QUIET, document(), "done"))
    assert problems(result) == []
    assert row(innocents_markdown(result), "quiet") == [
        "quiet", "does nothing", "2.5 s", "0", "12", "0", "none",
    ]  # fmt: skip


def test_a_warning_on_an_innocent_is_a_problem_and_a_hint_is_told():
    warned = innocents(entry(QUIET, document("hint", "warning"), ""))
    assert problems(warned) == ["quiet: accused, though innocent"]
    assert row(innocents_markdown(warned), "quiet")[-1] == "1 warning, 1 hint"
    assert problems(innocents(entry(QUIET, document("hint"), ""))) == []


def test_an_innocent_that_fails_or_never_ran_is_a_problem():
    failed = entry(QUIET, document(exit_code=2), "1 failed")
    absent = {"name": "absent", "about": "is not there", "problem": "cannot be prepared: no such"}
    result = innocents(failed, absent)
    assert problems(result) == [
        "quiet: ended with 2: 1 failed",
        "absent: cannot be prepared: no such",
    ]
    assert "NOT MEASURED" in row(innocents_markdown(result), "absent")


def test_the_last_words_of_an_innocent_are_its_own():
    assert last_words("1 test\nfailed \n\nlinnix: no runaways \n") == "failed"
    assert last_words("") == ""


def test_what_the_server_costs_is_beside_what_is_allowed():
    figures = bars._figures([0.001, 0.002, 0.004])
    text = bars.markdown(
        {
            **ABOUT,
            "schema": bars.SCHEMA,
            "tracer": "bcc",
            "start_s": {"linnix-ls": figures, "pygls alone": bars._figures([0.001] * 3)},
            "arrived_s": figures,
            "answers_ms": {"fork storm": {"hover": figures}},
            "memory": {"points": [{"events": 0, "rss_bytes": 61_000_000}]},
        }
    )
    assert "(2.00 times its median)" in text
    assert row(text, "flagged to diagnostic")[1:3] == ["3", "0.002 s"]
    assert row(text, "hover, fork storm")[-1] == "10 ms (p95)"
    assert "61.0 MB" in text


def test_a_recorded_run_is_played_as_one_of_an_editor_of_which_nothing_is_left():
    recorded = read_trace(memory.CORPUS / "py-render-pipe.trace").events
    editor = ProcessKey(1, 1)
    told = list(memory._as_below(editor, recorded, memory.Recorded()))
    forked = {event.key for event in told if isinstance(event, Forked)}
    assert forked == {event.key for event in told if isinstance(event, Exited)}
    assert told[0].parent == editor
    assert len(forked) == 3


def test_what_was_measured_elsewhere_stays_on_the_published_page(tmp_path):
    before = page([innocents(), LATENCY], pictures=tmp_path)
    again = {**LATENCY, "measured_at": "2026-02-03"}
    ours = as_result({}) | {"options": {"corpora": [str(CORPUS)]}}
    after = page([again, ours], pictures=tmp_path, before=before)
    assert "2026-02-03" in after
    assert [line for line in after.splitlines() if line.startswith("## ")] == [
        "## Time from the start of a runaway to its diagnostic",
        "## Innocents",
        "## Accuracy on bench/corpus",
    ]
    assert page([again, ours], pictures=tmp_path, before=after) == after


def test_the_published_page_holds_all_results_in_order(tmp_path):
    second = as_result({}) | {"options": {"corpora": ["/elsewhere/holdout"]}}
    ours = as_result({}) | {"options": {"corpora": [str(CORPUS)]}}
    degraded = ours | {"tracers": ["psutil"]}
    text = page([innocents(), degraded, second, ours, LATENCY], pictures=tmp_path)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Benchmarks",
        "## Time from the start of a runaway to its diagnostic",
        "## Accuracy on bench/corpus",
        "## Accuracy on holdout",
        "## Accuracy on bench/corpus, degraded (psutil)",
        "## Innocents",
    ]


def test_of_each_thing_the_newest_whole_result_is_published():
    whole = {"corpora": ["/cases"], "cases": []}
    first = as_result({}) | {"options": whole, "is_complete": True, "measured_at": "2026-01-01"}
    later = first | {"measured_at": "2026-01-02"}
    broken_off = first | {"is_complete": False, "measured_at": "2026-01-03"}
    one_case = first | {"options": whole | {"cases": ["spin"]}, "measured_at": "2026-01-04"}
    some = innocents(entry(QUIET, document(), ""))
    assert newest([later, broken_off, first, one_case, some]) == [later]


class TestWhatWatchingCosts:
    @pytest.mark.parametrize(("tick_us", "is_met"), [(600.0, True), (9_000.0, False)])
    def test_growth_is_held_against_the_logarithm(self, tick_us, is_met):
        flat = {"sizes": [1, 1_000], "event of a life": [4.0, 4.4], "sample": [2.0, 2.0]}
        shapes = {"living": flat | {"tick": [60.0, tick_us]}}
        result = {**ABOUT, "schema": growth.SCHEMA, "n_rounds": 5, "shapes": shapes}
        assert growth.is_met(result) is is_met
        assert row(growth.markdown(result), "tick")[-2:] == [f"{tick_us / 60:.1f}", "11.0"]

    def captured(self, **changed):
        whole = {
            "what": "a storm",
            "per_s": 10,
            **dict.fromkeys(("n_load", "n_kernel", "n_machine", "n_seen"), 1_000),
            "n_lost": 0,
            "caught_up_s": 0.5,
            "agent_cpu_s": 0.03,
            "n_wanted_living": 11,
            "n_living": 11,
        }
        trees = whole | {"n_trees": 50, "n_whole_trees": 50}
        many = whole | {"agent_cores_while_they_wait": 0.01}
        overload = {
            "n_lives_events": 900,
            "n_lives_told": 400,
            "n_samples_told": 2,
            "n_lost": 520,
            "n_most_samples_lost": 594,
            "is_right_again": True,
            "right_after_s": 0.6,
        }
        rows = [trees, many, whole | changed]
        return {**ABOUT, "schema": capture.SCHEMA, "rows": rows, "overload": overload | changed}

    def test_all_is_seen_when_three_counts_agree_and_losses_are_told(self):
        result = self.captured()
        assert capture.is_met(result)
        assert "500 are not; 520 events are told as lost, the other 20" in capture.markdown(result)

    @pytest.mark.parametrize("changed", [{"n_seen": 999}, {"n_lost": 400}, {"n_kernel": 1_001}])
    def test_one_that_is_missing_is_one_too_many(self, changed):
        assert not capture.is_met(self.captured(**changed))

    def test_memory_that_grows_is_told(self):
        def memory(mb):
            return {"server": {"rss_mb": mb, "pss_mb": mb}, "agent": {"rss_mb": 50, "pss_mb": 40}}

        def costs(last_mb):
            points = [{"n": n, "memory": memory(mb)} for n, mb in enumerate((60, 62, last_mb))]
            lives = {"n": 1_000, "per_s": 9, "cpu_ms_for_1000": {"server": 0.1, "agent": 30.0}}
            lives |= {"points": points}
            return {
                **ABOUT,
                "schema": cost.SCHEMA,
                "n_lost": 0,
                "start": memory(60),
                "living": memory(60),
                "idle_percent": {"nothing happens": {"server": 0.01, "agent": 0.1}},
                "lives": lives,
                "programs": lives,
            }

        assert cost.is_met(costs(63))
        assert not cost.is_met(costs(90))
        assert "+28.0 MB" in cost.markdown(costs(90))
