"""The thresholds, each with its reason. Figures are from bench/corpus on two cores.

Users can set each of them (`linnix_ls.thresholds`); docs/thresholds.md is made from this file, so
names end in their unit and every name stands before a reason.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpinPolicy:
    """When a process is looked at for spinning, and what then counts as a spin.

    Attributes:
        suspicion_window_s: shorter bursts than this are nobody's business.
        suspicion_cores: CPU, as a part of the fair share, above which a process is suspected. A
            spinner uses all it gets; 0.85 leaves room for the sampler's grain. Scales with load:
            where four tasks want each CPU, a quarter of it is enough.
        min_runnable_cores: running or waiting for a CPU. Near 1.0 for a spinner at any load, but
            a reader of stacks makes it stand still for up to a quarter of the time.
        min_on_cpu_s: CPU used within a look; with less, nothing follows from what did not change.
        max_waits_per_s: voluntary switches. Who sleeps that often waits as it should.
        storm_of_syscalls_per_cpu_s, max_productive_share: system calls with each second of CPU.
            Innocents stay below 62,000, pollers of cheap calls start at 100,000. Of theirs, none
            moves data or changes anything; in a benchmark of latency that polls, 3 % do.
        max_answers_per_s: the same by the second, as on a loaded machine both ask more often than
            they are answered. node wakes itself up to 300 times.
        fruitless_share, fruitless_syscalls_per_cpu_s: of the calls from which something could
            have come, those that fail or find nothing. Innocent builds reach 45 %. Who does 0.1
            ms of work between two of them may only be looking up from it.
        min_lookups_per_path: who looks for a file that often within a look waits for it. A
            search asks for each a few times.
        max_contender_registers_share: threads that contend for a lock yield 330,000 times a
            second without being runaways; their registers are new in 90 % of samples and more,
            those of one that waits for ever in a few.
        max_quiet_syscalls_per_s, max_quiet_productive_calls_per_s, max_quiet_faults_per_s: a loop
            without progress asks the kernel for nothing. A JVM's own threads make up to 100 calls
            a second for nothing. Scale with load: who is starved gets on as well, but slowly.
        max_new_registers_share: of sampled register sets, how many differ. Native loops without
            progress show 0.7 to 3.4 %, innocents 50 % and more.
        min_top_leaves_share: of samples, in the four commonest instruction addresses. At least
            87 % in such loops, at most 69 % in innocents.
        min_samples: in which registers were seen; a look at a spinner takes 70, and of fewer than
            20 shares say little.
        max_distinct_states_share: of looks at a program's variables, how many differ. A loop
            without progress has few states, however often it is looked at.
        max_distinct_rounds: of looks at a loop from which it calls others. A few where an object
            is made each time in one of a few places.
        max_words_advancing_in_rounds: that rise or fall all the time in such a loop's memory.
            CPython counts in its bytecode how often it took a wrong guess; whatever a program
            counts is two words and more, as numbers are made anew.
        min_returns: to states or places that were left before: once may be chance.
        min_condition_returns: of what a loop's condition looks at. It tells much (see
            `locate.python`), and what gets on does not come back to the very same.
        min_interpreter_share: of samples, in the loop that executes bytecode itself. Next to
            none while a program is inside one long native call; a third and more in a loop.
        max_productive_calls_per_s: more system calls that achieve something are work. Scales
            with load, as those of who is starved are fewer.
        min_looks: at its variables. That fewer are alike may be chance.
        max_changed_pages, max_never_same_words: of memory, in a loop without progress. Such
            loops change 4 to 30 pages between the same few contents; up to 4 words are never
            the same (counters in CPython's bytecode). Programs that compute show one word that
            counts, hundreds of pages, or both.
        max_left_words: of memory, that change for good: results that are written.
        min_looks_at_registers: what counts slowly need not have moved within fewer.
        min_looks_at_match, max_pages_changed_by_match: of a regular expression. A JVM's own
            threads change up to 15 pages in the time; a program that matches many texts makes
            objects, and changes hundreds.
        compile_s, compile_rss_bytes, compile_growth_bytes_per_cpu_s: a compiler at one file.
            Honest large sources take up to 60 MB with each second of CPU. The time scales with
            load.
        look_again_s: after each look that found it busy, the time to the next. The longer it gets
            on, the less likely it is a runaway, and each look costs it a little. One that got on
            plainly counts as two.
    """

    suspicion_window_s: float = 0.6
    suspicion_cores: float = 0.85
    min_runnable_cores: float = 0.7
    min_on_cpu_s: float = 0.12
    max_waits_per_s: float = 2_000
    storm_of_syscalls_per_cpu_s: float = 90_000
    max_productive_share: float = 0.01
    max_answers_per_s: float = 1_000
    fruitless_share: float = 0.9
    fruitless_syscalls_per_cpu_s: float = 10_000
    min_lookups_per_path: int = 20
    max_contender_registers_share: float = 0.5
    max_quiet_syscalls_per_s: float = 1_000
    max_quiet_productive_calls_per_s: float = 20
    max_quiet_faults_per_s: float = 100
    max_new_registers_share: float = 0.15
    min_top_leaves_share: float = 0.85
    min_samples: int = 20
    max_distinct_states_share: float = 0.4
    max_distinct_rounds: int = 3
    max_words_advancing_in_rounds: int = 1
    min_returns: int = 2
    min_condition_returns: int = 3
    min_interpreter_share: float = 0.1
    max_productive_calls_per_s: float = 200
    min_looks: int = 5
    max_changed_pages: int = 200
    max_never_same_words: int = 12
    max_left_words: int = 4
    min_looks_at_registers: int = 8
    min_looks_at_match: int = 4
    max_pages_changed_by_match: int = 60
    compile_s: float = 5.0
    compile_rss_bytes: float = 300e6
    compile_growth_bytes_per_cpu_s: float = 75e6
    look_again_s: tuple[float, ...] = (0.3, 0.3, 0.5, 0.5, 0.5, 1.0, 2.0, 3.0, 5.0)


@dataclass(frozen=True, slots=True)
class MemoryPolicy:
    """When a loop without end is about memory.

    Attributes:
        growth_bytes_per_s, growth_looks: it has grown so fast, from each of so many looks to
            the next. Test suites and builds seldom keep that up. Scales with load.
        severe_rss_bytes: when it is that large it is a warning, before that a notice.
        min_sequences, seen_again_share: of text and numbers in new memory, which part has come
            before in the same order. 99 % and more where the same records are added again; at
            most 53 % in tables, fixtures, parsed files that differ.
        repeated_share: of words in new memory, which part repeats those a record before. 95 %
            and more only where nothing but the same is added; up to 92 % in honest tables.
        mostly_repeated_share, partly_seen_again_share: of both somewhat less, where each record
            has a number of its own. Honest tables have one of them, but not both.
    """

    growth_bytes_per_s: float = 15e6
    growth_looks: int = 2
    severe_rss_bytes: float = 200e6
    min_sequences: int = 500
    seen_again_share: float = 0.97
    repeated_share: float = 0.96
    mostly_repeated_share: float = 0.9
    partly_seen_again_share: float = 0.4


@dataclass(frozen=True, slots=True)
class StormPolicy:
    """When starts of processes are a storm.

    Attributes:
        window_s: over which starts are counted: long enough to see a pause.
        min_starts, min_starts_per_s: below these nothing is a storm yet. They do not scale with
            load: what tells an endless retry from a polite one is its pace.
        long_window_s, min_slow_starts: of programs that take their time to fail, over which and
            from how many on, if each is started at once when another has ended.
        same_argv_share, failed_exits_share: a retry that fails at once repeats itself: 95 % and
            more of both. A polite one does too, but not ten times a second. Test suites start
            many programs, but different ones, and they succeed.
        recursion_depth: a program under that many copies of itself. Innocents reach 12.
        same_command_depth: the same, with the very same arguments in the same folder. A wrapper
            or a re-exec makes one or two; four have no way to end.
        same_round_depth: the same, where other commands come between them, and the same ones each
            time: programs that start one another in a circle.
        bare_forks_per_s: forks without exec; configure scripts peak at 933.
        nested_copies, nested_copies_above: processes alive at once that have at least so many
            copies of themselves above: recursion in width. Innocents have 28 processes at most.
        busy_copies_per_cpu: copies of one program that all want a CPU at once. `make -j` without
            a number reaches 28 for each in an honest build of 60 files. Scales with the number of
            CPUs.
        busy_nested_copies_per_cpu: the same of workers that were started by workers, which
            nobody means. Scales with the number of CPUs.
    """

    window_s: float = 2.0
    min_starts: int = 20
    long_window_s: float = 5.0
    min_slow_starts: int = 12
    min_starts_per_s: float = 10
    same_argv_share: float = 0.9
    failed_exits_share: float = 0.9
    recursion_depth: int = 16
    same_command_depth: int = 4
    same_round_depth: int = 2
    bare_forks_per_s: float = 1_000
    nested_copies: int = 30
    nested_copies_above: int = 3
    busy_copies_per_cpu: int = 40
    busy_nested_copies_per_cpu: int = 20


@dataclass(frozen=True, slots=True)
class StuckPolicy:
    """When a process that does nothing is looked at.

    Attributes:
        idle_s: shorter waits are common. It need not scale with load: who is starved, suspended
            or frozen uses no CPU either, but does not wait, and that is looked at.
        idle_cores: CPU used all the same: the JVM's own threads take 1 % of one.
        busy_cores: CPU used by who started it, above which nobody waits for it. Scales with load.
    """

    idle_s: float = 4.0
    idle_cores: float = 0.02
    busy_cores: float = 0.2


@dataclass(frozen=True, slots=True)
class LeakPolicy:
    """When what a run leaves behind is a leak.

    Attributes:
        grace_s: it may take that long to end by itself. Scales with load: on a loaded machine a
            server takes longer to shut down.
        max_grace_s: but no longer than this, however loaded the machine is.
    """

    grace_s: float = 1.0
    max_grace_s: float = 2.0

    def grace_at(self, load: float) -> float:
        """The grace when there are so many tasks for each CPU."""
        return min(self.grace_s * load, max(self.grace_s, self.max_grace_s))


@dataclass(frozen=True, slots=True)
class Policy:
    """All thresholds.

    Attributes:
        max_examinations: at once; each costs the machine some CPU.
        measures_at_once, cpu_s_per_measure: that many busy processes may be measured at any time,
            and one more for each so many seconds of CPU that is used by what is watched: a build
            has hundreds that are busy, and a measure costs 0.1 s and more. A single process that
            spins is looked at less often than that by itself.
        calm_s, calm_cores: a raised finding of a busy process ends when it has used less CPU than
            that for this long; so little is no loop. The CPU scales with load. A storm ends when
            nothing has been started for this long.
    """

    spin: SpinPolicy = SpinPolicy()
    memory: MemoryPolicy = MemoryPolicy()
    storm: StormPolicy = StormPolicy()
    stuck: StuckPolicy = StuckPolicy()
    leak: LeakPolicy = LeakPolicy()
    max_examinations: int = 2
    measures_at_once: int = 4
    cpu_s_per_measure: float = 2.0
    calm_s: float = 3.0
    calm_cores: float = 0.3
