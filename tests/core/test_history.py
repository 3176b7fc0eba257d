"""What is remembered of runs: events in, runs out."""

from dataclasses import replace

import pytest

from linnix_ls.core import history
from linnix_ls.core.engine import Engine
from linnix_ls.core.events import (
    CpuUsed,
    Execed,
    Exited,
    Forked,
    Ignored,
    ProcessSeen,
    Sampled,
    Source,
    Ticked,
    Unwatched,
    Watched,
)
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.core.runs import is_test_runner

EDITOR, SHELL, RUN = ProcessKey(1, 1), ProcessKey(2, 2), ProcessKey(10, 10)
MS = 1_000_000


def key(n):
    return ProcessKey(100 + n, 100 + n)


class Told:
    """An engine with an editor, told of what happens at a time in milliseconds."""

    def __init__(self, source=Source.EDITOR):
        self.engine = Engine()
        self.now_ns = 0
        self(Watched(0, EDITOR, "Testvim", source=source), seen(EDITOR, argv=("nvim",)))

    def __call__(self, *events):
        for event in events:
            self.now_ns = max(self.now_ns, event.ktime_ns)
            self.engine.receive(event)

    def forks(self, process, parent=RUN, at_ms=0):
        self(Forked(at_ms * MS, process, parent, 0, "x"))

    def execs(self, process, *argv, at_ms=0, cwd="/w"):
        self(Execed(at_ms * MS, process, None, 0, argv[0], argv, cwd=cwd))

    def runs_under_editor(self, process, *argv, at_ms=0, parent=EDITOR):
        self.forks(process, parent, at_ms)
        self.execs(process, *argv, at_ms=at_ms)

    def exits(self, process, at_ms, code=0):
        self(Exited(at_ms * MS, process, code, None))

    def ticks(self, from_ms, to_ms, step_ms=100):
        for at_ms in range(from_ms, to_ms, step_ms):
            self(Ticked(at_ms * MS, 2))

    @property
    def runs(self):
        return self.engine.history.summaries(self.now_ns)

    @property
    def run(self):
        [run] = self.runs
        return run

    def detail(self, process=RUN, since=None):
        """All pages of it."""
        detail = self.engine.history.detail(process, since, self.now_ns)
        while detail and not detail.is_complete:
            more = self.engine.history.detail(process, detail.version, self.now_ns)
            assert len(more.spans) <= history.MAX_SPANS_TOLD + 1
            assert not more.is_whole
            spans = {span.key: span for span in (*detail.spans, *more.spans)}
            detail = replace(more, spans=tuple(spans.values()), is_whole=detail.is_whole)
        return detail

    def span(self, process, run=RUN):
        return next(span for span in self.detail(run).spans if span.key == process)


def seen(process, parent=None, argv=("sh",), at_ms=0):
    return ProcessSeen(at_ms * MS, process, parent, 0, argv[0], argv)


@pytest.fixture
def told():
    """A make below the editor."""
    told = Told()
    told.runs_under_editor(RUN, "make", "-j8")
    return told


class TestOneRun:
    def test_is_what_its_first_process_is(self, told):
        told.exits(RUN, at_ms=1500, code=2)
        run = told.run
        assert (run.key, run.comm, run.argv, run.cwd) == (RUN, "make", ("make", "-j8"), "/w")
        assert (run.exit_code, run.ended_ns, run.duration_s) == (2, 1500 * MS, 1.5)

    def test_counts_processes_that_come_and_go(self, told):
        for n in range(5):
            told.forks(key(n), at_ms=n)
        for n in range(3):
            told.exits(key(n), at_ms=10)
        assert (told.run.n_processes, told.run.n_alive, told.run.peak_processes) == (6, 3, 6)

    def test_tells_who_started_whom_when_and_how_it_ended(self, told):
        told.forks(key(1), at_ms=100)
        told.execs(key(1), "cc", "-c", at_ms=110)
        told.forks(key(2), key(1), at_ms=120)
        told(CpuUsed(130 * MS, key(2), 5 * MS))
        told.exits(key(2), at_ms=140, code=1)
        assert told.span(RUN).parent is None
        assert (told.span(key(1)).parent, told.span(key(1)).n_forks) == (RUN, 1)
        child = told.span(key(2))
        assert (child.parent, child.argv, child.began_s) == (key(1), ("cc", "-c"), 0.12)
        assert (child.ended_s, child.exit_code, child.cpu_s) == (0.14, 1, 0.005)

    def test_goes_on_after_its_first_process(self, told):
        """A server that it has left behind."""
        told.forks(key(1))
        told.exits(RUN, at_ms=100)
        told.ticks(100, 2000)
        told(Sampled(1990 * MS, key(1), 1, 10 * MS))
        assert told.run.ended_ns and told.run.n_alive == 1
        assert told.detail().curves.at_s[-1] > 1

    def test_knows_what_it_had_forked_before_it_was_one(self, told):
        """A shell's copy forks, then runs a program."""
        told.forks(key(1), EDITOR)
        told.forks(key(2), key(1))
        told.execs(key(1), "pytest")
        assert {span.key for span in told.detail(key(1)).spans} >= {key(1), key(2)}

    def test_found_under_way_began_when_it_was_started(self):
        told = Told()
        told(seen(ProcessKey(7, 50), EDITOR, ("make",), at_ms=90_000))
        assert told.run.began_ns == 500 * MS
        assert told.run.duration_s == 89.5

    def test_is_over_when_it_is_watched_no_longer(self, told):
        told.forks(key(1))
        told(Unwatched(100 * MS, EDITOR))
        assert (told.run.n_alive, told.run.ended_ns) == (0, 100 * MS)

    def test_loses_what_becomes_somebody_elses(self, told):
        told.forks(key(1))
        told(Ignored(100 * MS, key(1)))
        assert told.run.n_alive == 1
        assert told.span(key(1)).ended_s == 0.1


class TestCurves:
    def test_have_the_use_of_cpu_over_the_last_second(self, told):
        for at_ms in range(0, 3000, 10):
            told(Sampled(at_ms * MS, RUN, 10, 10 * MS))
            if at_ms % 100 == 0:
                told(Ticked(at_ms * MS, 2))
        curves = told.detail().curves
        assert curves.cores[-1] == pytest.approx(1, abs=0.05)
        assert told.run.peak_cores == pytest.approx(1, abs=0.05)
        assert told.run.cpu_s == pytest.approx(3)
        told.exits(RUN, at_ms=3000)
        told.ticks(3000, 3500)
        assert told.run.on_cpu_cores == 0

    def test_of_an_hour_fit(self, told):
        for at_s in range(3600):
            told(CpuUsed(at_s * NS_PER_S, RUN, NS_PER_S // 2))
            told.ticks(at_s * 1000, at_s * 1000 + 1000, 250)
        curves = told.detail().curves
        assert len(curves.at_s) <= history.MAX_POINTS
        assert curves.at_s[0] < 30 and curves.at_s[-1] > 3570
        assert list(curves.at_s) == sorted(curves.at_s)
        assert curves.cores[-1] == pytest.approx(0.5, abs=0.05)
        assert {len(curve) for curve in (curves.cores, curves.n_processes, curves.rss_bytes)} == {
            len(curves.at_s)
        }

    def test_stop_with_the_last_process(self, told):
        told.exits(RUN, at_ms=100)
        told.ticks(100, 60_000, 250)
        assert len(told.detail().curves.at_s) == 1

    def test_have_memory_where_it_was_read(self, told):
        told.ticks(0, 600)
        told.engine.history.use_memory({RUN: 5_000})
        told.ticks(600, 900)
        told.engine.history.use_memory({RUN: 3_000, key(99): 1})
        assert told.detail().curves.rss_bytes[0] is None
        assert told.detail().curves.rss_bytes[-1] == 5_000
        assert (told.run.rss_bytes, told.run.peak_rss_bytes) == (3_000, 5_000)
        told.exits(RUN, at_ms=1000)
        assert (told.run.rss_bytes, told.run.peak_rss_bytes) == (None, 5_000)


class TestVersions:
    def test_tell_only_what_changed(self, told):
        told.forks(key(1))
        told.forks(key(2))
        first = told.detail()
        assert first.is_whole and len(first.spans) == 3
        assert told.detail(since=first.version).spans == ()
        told(CpuUsed(1, key(2), 7))
        told.forks(key(3), key(1))
        changed = told.detail(since=first.version)
        assert not changed.is_whole
        assert {span.key for span in changed.spans} == {key(1), key(2), key(3)}

    @pytest.mark.parametrize("since", [-1, 0, 10**15])
    def test_that_are_of_another_history_are_answered_with_all(self, since):
        engine = Engine(history=history.History(first_version=1_000))
        for event in (Watched(0, EDITOR, ""), seen(EDITOR), Forked(1, RUN, EDITOR, 0, "x"),
                      Execed(2, RUN, None, 0, "make", ("make",))):  # fmt: skip
            engine.receive(event)
        detail = engine.history.detail(RUN, since, 5)
        assert detail.is_whole and len(detail.spans) == 1

    def test_of_a_run_that_is_not_known_are_nothing(self, told):
        assert told.detail(key(5)) is None


class TestBounds:
    def test_a_storm_leaves_the_long_and_heavy_ones(self, told):
        told.forks(key(0), at_ms=1)
        told(CpuUsed(2, key(0), 10 * NS_PER_S))
        told.exits(key(0), at_ms=50)
        told.forks(key(1), at_ms=1)
        version = told.detail().version
        for n in range(2, 20_000):
            told.forks(key(n), at_ms=n)
            told.exits(key(n), at_ms=n + 1)
        detail = told.detail()
        assert len(detail.spans) <= history.MAX_SPANS
        assert detail.n_left_out == 20_001 - len(detail.spans)
        kept = {span.key for span in detail.spans}
        assert {RUN, key(0), key(1)} <= kept
        assert told.detail(since=version).is_whole
        assert told.run.n_processes == 20_001

    def test_who_is_left_out_has_left_its_children_to_the_one_above(self, told):
        told.forks(key(0), at_ms=1)
        told.forks(key(1), key(0), at_ms=1)
        told.exits(key(0), at_ms=1)
        for n in range(2, 6_000):
            told.forks(key(n), at_ms=n)
            told.exits(key(n), at_ms=n + 9)
        assert told.span(key(1)).parent == RUN

    def test_very_many_that_live_are_counted(self, told, monkeypatch):
        monkeypatch.setattr(history, "MAX_SPANS", 10)
        for n in range(50):
            told.forks(key(n))
        assert (told.run.n_alive, told.detail().n_left_out) == (51, 41)
        for n in range(50):
            told.exits(key(n), at_ms=5)
        assert told.run.n_alive == 1

    def test_fifty_runs_are_kept_the_newest_first(self):
        told = Told()
        for n in range(60):
            told.runs_under_editor(key(n), "make", at_ms=n * 10_000)
            told.exits(key(n), at_ms=n * 10_000 + 5_000)
        assert [run.key for run in told.runs] == [key(n) for n in range(59, 9, -1)]

    def test_an_editors_calls_of_git_do_not_push_out_the_tests(self):
        told = Told()
        told.runs_under_editor(key(0), "pytest")
        told.exits(key(0), at_ms=900)
        told.runs_under_editor(key(1), "sleep", "1000")
        for n in range(2, 200):
            told.runs_under_editor(key(n), "git", "status", at_ms=n * 1000)
            told.exits(key(n), at_ms=n * 1000 + 20)
        assert {key(0), key(1)} <= {run.key for run in told.runs}
        assert len(told.runs) == history.MAX_RUNS

    def test_a_forgotten_run_that_lives_on_disturbs_nothing(self):
        told = Told()
        for n in range(60):
            told.runs_under_editor(key(n), "sleep", at_ms=n)
        for n in range(60):
            told.exits(key(n), at_ms=100)
        assert [run.n_alive for run in told.runs] == [0] * history.MAX_RUNS

    def test_all_runs_together_have_a_bound(self, monkeypatch):
        monkeypatch.setattr(history, "MAX_SPANS_OF_ALL", 200)
        told = Told()
        for n in range(30):
            root = ProcessKey(1_000_000 + n, n)
            told.runs_under_editor(root, "make", at_ms=n * 5000)
            for m in range(50):
                told.forks(key(n * 100 + m), root, at_ms=n * 5000)
                told.exits(key(n * 100 + m), at_ms=n * 5000 + 1)
            told.exits(root, at_ms=n * 5000 + 3000)
        details = [told.detail(run.key) for run in told.runs]
        assert sum(len(detail.spans) for detail in details) <= 200
        assert all(detail.spans and detail.spans[0].key == detail.run.key for detail in details)

    def test_a_long_command_line_is_cut(self, told):
        told.forks(key(1))
        told.execs(key(1), "cc", *["x" * 90] * 1000)
        assert sum(map(len, told.span(key(1)).argv)) <= history.MAX_ARGV_CHARS + 1


class TestNames:
    def label_and_source(self, told, process=RUN):
        return next((r.label, str(r.source)) for r in told.runs if r.key == process)

    def test_below_an_editor_are_its_own(self, told):
        assert self.label_and_source(told) == (None, "editor")

    def test_without_a_source_leave_it_as_it_is(self, told):
        told(Watched(5, RUN, "zsh: make", is_root_judged=True), seen(RUN))
        assert self.label_and_source(told) == ("zsh: make", "editor")

    def test_that_come_later_are_taken(self, told):
        told(Watched(5, RUN, "task: test", is_root_judged=True, source=Source.TASK), seen(RUN))
        assert self.label_and_source(told) == ("task: test", "task")
        told(Watched(6, RUN, "", is_root_judged=True, source=Source.DEBUG), seen(RUN))
        assert self.label_and_source(told) == ("task: test", "debug")

    def test_of_a_part_of_the_editor_are_for_what_is_below_it(self):
        told = Told()
        told.forks(SHELL, EDITOR)
        told.execs(SHELL, "bash", "-i")
        told.runs_under_editor(RUN, "make", parent=SHELL)
        told(Watched(5, SHELL, "bash: make", source=Source.TERMINAL), seen(SHELL))
        assert self.label_and_source(told) == (None, "terminal")
        told.runs_under_editor(key(1), "make", parent=SHELL)
        assert self.label_and_source(told, key(1)) == (None, "terminal")

    def test_inside_of_a_run_are_its_own_if_it_has_none(self, told):
        told.forks(key(1))
        told(Watched(5, key(1), "debug: x.py", is_root_judged=True, source=Source.DEBUG),
             seen(key(1), RUN))  # fmt: skip
        assert self.label_and_source(told) == ("debug: x.py", "debug")
        told.forks(key(2))
        told(Watched(6, key(2), "debug: y.py", is_root_judged=True, source=Source.DEBUG),
             seen(key(2), RUN))  # fmt: skip
        assert self.label_and_source(told) == ("debug: x.py", "debug")

    def test_by_folder_have_no_label(self):
        told = Told()
        told(Watched(5, RUN, "/w", True, True, Source.FOLDER), seen(RUN, argv=("make",)))
        assert self.label_and_source(told) == (None, "folder")

    @pytest.mark.parametrize(
        ("source", "shown"), [(Source.EXTENSION, "test"), (Source.EDITOR, "test"),
                              (Source.TERMINAL, "terminal")],
    )  # fmt: skip
    def test_of_test_runners_say_so_where_nobody_said_more(self, source, shown):
        told = Told(source)
        told.runs_under_editor(RUN, "python3", "-m", "pytest", "-q")
        assert self.label_and_source(told) == (None, shown)

    def test_what_is_watched_and_judged_is_a_run_wherever_it_is(self):
        told = Told()
        task = ProcessKey(500, 500)
        told(Watched(5, task, "t", is_root_judged=True), seen(task, argv=("make",)))
        assert self.label_and_source(told, task) == ("t", "other")
        assert told.engine.run_of(task).key == task

    def test_a_shell_at_a_prompt_is_no_run_even_if_it_is_watched(self):
        told = Told()
        told(Watched(5, SHELL, "t", is_root_judged=True), seen(SHELL, argv=("zsh",)))
        assert told.runs == ()


@pytest.mark.parametrize(
    "command",
    ["pytest -q", "python3 -m pytest", "/v/bin/py.test", "python3 -m unittest discover",
     "python3 /ext/vscode_pytest/run_pytest_script.py", "node /w/node_modules/.bin/jest",
     "node --test", "node ./node_modules/vitest/vitest.mjs run", "npm test", "cargo test --lib",
     "cargo nextest run", "go test ./...", "ctest -V", "prove -l", "bats test.bats",
     "make check", "make -j4 test", "mvn test", "./gradlew test", "npx vitest",
     "java -cp a.jar org.junit.platform.console.ConsoleLauncher"],
)  # fmt: skip
def test_a_test_runner_is_known_by_its_words(command):
    assert is_test_runner(command.split())


@pytest.mark.parametrize(
    "command",
    ["cargo check --message-format=json", "git status", "node /ext/server.js --stdio", "make -j8",
     "java -jar jdtls.jar", "python3 latest.py", "gopls", "npm run watch", "rust-analyzer", ""],
)  # fmt: skip
def test_what_is_no_test_runner_is_not_taken_for_one(command):
    assert not is_test_runner(command.split())
