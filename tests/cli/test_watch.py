import argparse
import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from linnix_ls.cli.screen import Screen
from linnix_ls.cli.watch import RunWatch
from linnix_ls.core.events import Exited, Watched
from linnix_ls.core.findings import Kind, Severity
from linnix_ls.core.history import RunDetail, Span
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.core.policy import Policy
from linnix_ls.errors import TracerUnavailable
from linnix_ls.feed.base import FeedState, FeedStatus, ProcessView, StatusChanged
from linnix_ls.report.document import Busy
from linnix_ls.tracer.trace_file import read_trace
from tests.cli.feed import RUN, ToldFeed
from tests.report.samples import PUMP, SPIN, a_spin

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def a_watch(feed=None, **options):
    """A run that has begun; yields the watch and a way to read the screen."""
    args = argparse.Namespace(
        command=["/usr/bin/pytest", "-q"],
        tracer="auto",
        agent_socket=None,
        record=None,
        explain="auto",
        min_severity="hint",
        stop_runaways=False,
        attach_to_jvm=True,
        policy=Policy(),
    )
    vars(args).update(options)
    read_fd, write_fd = os.pipe()
    screen = Screen(write_fd)
    watch = RunWatch(args, screen)
    shown = []

    def read_screen():
        if not shown:
            screen.close()
            os.close(write_fd)
            with os.fdopen(read_fd) as file:
                shown.append(file.read())
        return shown[0]

    try:
        if feed:
            await watch.open(feed.open, 4400)
            watch.begin()
        yield watch, read_screen
        await watch.close()
    finally:
        read_screen()


async def test_the_command_is_watched_as_a_run_and_judged():
    feed = ToldFeed()
    async with a_watch(feed) as (watch, _):
        assert feed.watched == [(4400, "pytest", True, True)]
        assert watch.progress == "pretending"
    assert feed.is_closed


async def test_the_feed_is_asked_for_with_what_the_options_say():
    policy = Policy(calm_s=9)
    asked = []

    async def open_feed(settings, *, on_progress):
        asked.append(
            (settings.tracer, settings.agent_socket, settings.attach_to_jvm, settings.thresholds)
        )
        return ToldFeed()

    options = {"tracer": "psutil", "agent_socket": "/a.sock", "attach_to_jvm": False}
    async with a_watch(**options, policy=policy) as (watch, _):
        await watch.open(open_feed, 4400)
    assert asked == [("psutil", "/a.sock", False, policy)]


async def test_a_finding_is_shown_once_when_it_is_raised_and_reported_as_it_ended():
    feed = ToldFeed()
    async with a_watch(feed) as (watch, screen):
        feed.raises(SPIN)
        feed.raises(replace(SPIN, confidence=0.99))
        feed.ends(SPIN, 77)
        feed.ends_run()
        await watch.end(1)
        facts, status, [finding] = await watch.result()
        assert (facts.command, facts.exit_code) == (("/usr/bin/pytest", "-q"), 1)
        assert status.n_received == 3  # as of now, not as of the snapshot
        assert finding.ended_ns == 77
        assert screen().count("warning[cpu_spin]") == 1


async def test_one_that_turns_out_to_be_none_is_withdrawn():
    feed = ToldFeed()
    async with a_watch(feed) as (watch, screen):
        feed.raises(SPIN)
        feed.clears(SPIN)
        feed.ends_run()
        await watch.end(0)
        assert (await watch.result())[2] == ()
        assert not watch.has_found([Kind.CPU_SPIN])
        assert "linnix: f1 (cpu_spin) is withdrawn\n" in screen()


async def test_one_that_is_cleared_after_its_end_stays_in_the_report():
    feed = ToldFeed()
    async with a_watch(feed) as (watch, _):
        feed.raises(SPIN)
        feed.ends(SPIN, 77)
        feed.clears(SPIN)
        assert [finding.ended_ns for finding in (await watch.result())[2]] == [77]


async def test_those_of_less_than_the_wanted_severity_are_left_out():
    feed = ToldFeed()
    async with a_watch(feed, min_severity="warning") as (watch, screen):
        feed.raises(a_spin(id="f1", severity=Severity.INFORMATION))
        feed.raises(a_spin(id="f2", severity=Severity.WARNING))
        feed.raises(a_spin(id="f3", severity=Severity.ERROR))
        assert [finding.id for finding in (await watch.result())[2]] == ["f2", "f3"]
        assert "information[" not in screen()


@pytest.mark.parametrize(("explain", "is_explained"), [("rules", True), ("none", False)])
async def test_explanations_can_be_left_out(explain, is_explained):
    feed = ToldFeed()
    async with a_watch(feed, explain=explain) as (watch, screen):
        feed.raises(SPIN)
        [finding] = (await watch.result())[2]
        assert (finding.explanation is not None) == is_explained
        assert ("help: " in screen()) == is_explained


async def test_knows_which_kinds_were_found():
    feed = ToldFeed()
    async with a_watch(feed) as (watch, _):
        feed.raises(SPIN)
        assert watch.has_found([Kind.FORK_STORM, Kind.CPU_SPIN])
        assert not watch.has_found([Kind.FORK_STORM])
        assert not watch.has_found([])


class TestAfterTheEnd:
    """Waits only for what may still come, and never for long."""

    async def ends(self, feed, later=lambda: None, **options):
        async with a_watch(feed, **options) as (watch, _):
            loop = asyncio.get_running_loop()
            began = loop.time()
            loop.call_later(0.05, later)
            await watch.end(0)
            return (await watch.result())[2], loop.time() - began

    async def test_the_last_findings_are_waited_for(self):
        feed = ToldFeed()

        def later():
            feed.raises(SPIN)
            feed.ends_run()

        findings, _ = await self.ends(feed, later)
        assert [finding.id for finding in findings] == ["f1"]

    async def test_those_still_open_may_end(self):
        feed = ToldFeed()

        def later():
            feed.raises(SPIN)
            feed.ends_run()
            asyncio.get_running_loop().call_later(0.05, feed.ends, SPIN, 77)

        [finding], _ = await self.ends(feed, later)
        assert finding.ended_ns == 77

    async def test_what_outlives_it_is_given_time_to_be_found(self):
        view = ProcessView(PUMP.key, RUN, RUN, "x", ("x",), "/", 1.0, 1.0, None, None, False)
        feed = ToldFeed(processes=(view,))

        def later():
            feed.ends_run()
            asyncio.get_running_loop().call_later(0.1, feed.raises, SPIN)

        findings, _ = await self.ends(feed, later)
        assert [finding.id for finding in findings] == ["f1"]

    async def test_a_feed_that_says_nothing_more_is_not_waited_for_long(self):
        _, duration_s = await self.ends(ToldFeed())
        assert duration_s < 10


class TestProblems:
    async def test_degradation_is_said_once_with_its_fix(self):
        status = FeedStatus(FeedState.WATCHING, "psutil", "no eBPF", "sudo x")
        feed = ToldFeed(status)
        async with a_watch(feed) as (_, screen):
            feed.tell(StatusChanged(status))
            assert screen() == "linnix: degraded: no eBPF\n  fix: sudo x\n"

    async def test_the_agents_death_is_said(self):
        feed = ToldFeed()
        async with a_watch(feed) as (_, screen):
            feed.tell(StatusChanged(FeedStatus(FeedState.OFF, None, "the agent has gone")))
            assert screen() == "linnix: watching has stopped: the agent has gone\n"

    async def test_a_feed_that_refuses_does_not_keep_the_command_from_running(self):
        async with a_watch(ToldFeed(refusal="no")) as (watch, screen):
            await watch.end(5)
            facts, status, findings = await watch.result()
            assert (facts.exit_code, status.state, findings) == (5, FeedState.OFF, ())
            assert status.degraded == "nothing was watched"
            assert screen() == "linnix: nothing is watched: no\n"

    async def test_a_missing_tracer_ends_it_before_the_command_begins(self):
        async def open_feed(settings, *, on_progress):
            raise TracerUnavailable("no eBPF", cause="no_btf")

        async with a_watch() as (watch, _):
            with pytest.raises(TracerUnavailable):
                await watch.open(open_feed, 4400)

    async def test_a_missing_tracer_is_only_told_once_the_command_runs(self):
        async def open_feed(settings, *, on_progress):
            raise TracerUnavailable("no eBPF", cause="no_btf")

        async with a_watch() as (watch, screen):
            watch.begin()
            await watch.open(open_feed, 4400)
            assert screen() == "linnix: nothing is watched: no eBPF\n"


class TestStopping:
    async def stops(self, finding):
        feed = ToldFeed()
        async with a_watch(feed, stop_runaways=True) as (watch, screen):
            feed.raises(finding)
            feed.ends_run()
            await watch.end(0)
            return feed.stopped, screen()

    async def test_a_runaway_is_stopped_and_that_is_said(self):
        stopped, shown = await self.stops(SPIN)
        assert stopped == [(PUMP.key, False)]
        assert "linnix: python3(4412): stopped\n" in shown

    async def test_a_storm_is_stopped_with_all_its_processes(self):
        stopped, _ = await self.stops(a_spin(kind=Kind.FORK_STORM))
        assert stopped == [(PUMP.key, True)]

    async def test_nothing_is_stopped_without_being_asked(self):
        feed = ToldFeed()
        async with a_watch(feed) as (watch, _):
            feed.raises(SPIN)
            feed.ends_run()
            await watch.end(0)
        assert feed.stopped == []

    async def test_a_refusal_is_said(self):
        feed = ToldFeed()
        async with a_watch(feed, stop_runaways=True) as (watch, screen):
            feed.refusal = "not yours"
            feed.raises(SPIN)
            feed.ends_run()
            await watch.end(0)
            assert "python3(4412) was not stopped: not yours\n" in screen()


class TestRecording:
    EVENTS = (Watched(1, RUN, "pytest", is_run=True), Exited(2, RUN, 0, None))

    async def test_what_the_engine_is_told_is_written(self, tmp_path):
        path = tmp_path / "r.trace"
        feed = ToldFeed()
        async with a_watch(feed, record=str(path)) as (watch, _):
            assert feed.is_recording
            feed.sees(*self.EVENTS)
            feed.ends_run()
            await watch.end(4)
            facts, _, _ = await watch.result()
        trace = read_trace(path)
        assert trace.events == self.EVENTS
        assert (trace.exit_code, trace.is_truncated) == (4, False)
        assert trace.header.started_ns == facts.started_ns
        assert trace.header.command == ("/usr/bin/pytest", "-q")

    async def test_what_was_seen_before_the_command_began_is_in_it(self, tmp_path):
        path = tmp_path / "r.trace"
        feed = ToldFeed()
        async with a_watch(record=str(path)) as (watch, _):
            await watch.open(feed.open, 4400)
            feed.sees(self.EVENTS[0])
            watch.begin()
            feed.sees(self.EVENTS[1])
        assert read_trace(path).events == self.EVENTS

    async def test_a_feed_that_opens_late_is_recorded_from_then_on(self, tmp_path):
        path = tmp_path / "r.trace"
        feed = ToldFeed()
        async with a_watch(record=str(path)) as (watch, _):
            watch.begin()
            await watch.open(feed.open, 4400)
            feed.sees(*self.EVENTS)
        assert read_trace(path).events == self.EVENTS

    async def test_a_full_disk_ends_the_recording_and_nothing_else(self):
        feed = ToldFeed()
        async with a_watch(feed, record="/dev/full") as (watch, screen):
            feed.sees(*self.EVENTS * 20_000)
            feed.ends_run()
            await watch.end(0)
            await watch.close()
            assert "linnix: the recording broke off: " in screen()


@pytest.mark.parametrize(
    ("began_s", "cpu_s", "found", "busy"),
    [
        (1.0, 48.0, False, Busy("python3", 4412, 48.0)),
        (1.0, 29.0, False, None),  # not for long
        (-200.0, 48.0, False, None),  # now and then
        (1.0, 48.0, True, None),  # there is a finding, which says more
    ],
)
async def test_a_process_that_kept_a_cpu_is_named_where_nothing_was_proved(
    began_s, cpu_s, found, busy
):
    feed = ToldFeed()
    span = Span(
        ProcessKey(4412, 1), RUN, "python3", ("python3",), began_s, None, None, None, cpu_s, 0, ()
    )
    feed.detail = RunDetail(1, True, True, None, (span,), 0, None)
    async with a_watch(feed) as (watch, _):
        watch._started_ns -= 52 * NS_PER_S
        if found:
            feed.raises(a_spin())
        feed.ends_run()
        await watch.end(0)
        facts, _, _ = await watch.result()
        assert facts.busy == busy


async def test_a_feed_that_remembers_no_runs_is_no_trouble():
    feed = ToldFeed()
    async with a_watch(feed) as (watch, _):
        watch._started_ns -= 52 * NS_PER_S
        feed.ends_run()
        await watch.end(0)
        assert (await watch.result())[0].busy is None
