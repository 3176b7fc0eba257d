"""How the signs that a busy process gets nowhere (`detectors.stagnation`) are told."""

from __future__ import annotations

from linnix_ls.core.detectors.wording import Facts

# More system calls a second than that leave no room for a pause between two rounds.
WITHOUT_PAUSE_PER_S = 1_000


def sign(facts: Facts) -> str:
    """The one that decided, as a clause; empty when it is not known."""
    n_states = facts.number("distinct_states")
    return (
        asking(facts)
        or facts.say("{looks_at_match} looks found it in one and the same match", "unfinished_call")
        or (
            facts.say("{looks} looks found it in one and the same match", "unfinished_call")
            if facts.text("unfinished_call")
            else ""
        )
        or facts.say(
            "in {looks} looks what should end the loop was always one of the same"
            " {distinct_conditions:value|values}"
        )
        or (
            facts.say("in {looks} looks its variables were always the same", "distinct_states")
            if n_states == 1
            else facts.say("{looks} looks found its variables in {distinct_states:state|states}")
        )
        or facts.say(
            "in {looks} looks each round began with one of {distinct_rounds:set|sets} of variables"
        )
        or facts.say("of {samples} samples of its registers {new_registers_share} were new")
        or (
            facts.say(
                "in {looks_at_registers} looks nothing in its registers and on its stack counted"
                " up or down",
                "advancing_registers",
            )
            if facts.number("advancing_registers") == 0
            else ""
        )
    )


def asking(facts: Facts) -> str:
    """That it makes too many system calls, if that is what decided."""
    if facts.text("commonest_syscall") is None and facts.number("fruitless_share") is None:
        return ""
    return facts.first(
        "{syscalls_per_s} system calls a second, most often {commonest_syscall}",
        "{syscalls_per_s} system calls a second, of which {fruitless_share} bring nothing",
    )


def meaning(facts: Facts) -> list[str]:
    """Why that is no progress, and what else was seen, as sentences; some of them empty."""
    said = [*_asking_means(facts)]
    if facts.text("unfinished_call"):
        return [
            *said,
            facts.say(
                "A match is done in an instant as a rule; this one goes on, as the pattern lets it"
                " try the same text in ever more ways.",
                "unfinished_call",
            ),
        ]
    said += [
        facts.say(
            "Something else may count, but what the loop asks for comes back to where it was.",
            "distinct_conditions",
        )
        or facts.say(
            "A program that gets on leaves a state for good; this one comes back to where it was,"
            " and from there it can only do the same again.",
            "distinct_states",
        )
        or facts.say(
            "Whatever a round calls, the next one begins as one before it did, so it will go the"
            " same way.",
            "distinct_rounds",
        )
        or facts.say(
            "Work brings new values into the registers all the time; here the machine comes back"
            " to where it was, so nothing in the loop changes what it waits for.",
            "new_registers_share",
        )
    ]
    if (facts.number("top_leaves_share") or 0) >= 0.5:
        said.append(
            facts.say("{top_leaves_share} of the samples are in the same few instructions.")
        )
    if (facts.number("returns") or 0) > 0:
        said.append(facts.say("It was seen to come back {returns:time|times}."))
    if facts.number("advancing_words") == 0:
        said.append(
            facts.say(
                "Nothing in its memory counts up or down either, and whoever gets anywhere counts"
                " something.",
                "advancing_words",
            )
        )
    if facts.text("commonest_syscall") is None and facts.number("syscalls_per_s") == 0:
        said.append(
            facts.say("It makes no system calls: nothing comes in or goes out.", "syscalls_per_s")
        )
    return said


def _asking_means(facts: Facts) -> list[str]:
    share, rate = facts.number("fruitless_share"), facts.number("syscalls_per_s")
    said = []
    if share is not None and share >= 0.5:
        at_once = rate is not None and rate >= WITHOUT_PAUSE_PER_S
        if at_once:
            said.append(
                facts.say(
                    "{fruitless_share} of these calls fail or find nothing, and it asks again at"
                    " once: it waits, but by asking.",
                    "syscalls_per_s",
                )
            )
        said.append("" if at_once else facts.say("{fruitless_share} of them find nothing."))
    elif share is not None:
        said.append(
            facts.say(
                "They only look at things and change none, and only {fruitless_share} of them fail"
                " or find nothing: the answers are there, and it asks all the same."
            )
        )
    if (facts.number("commonest_syscall_share") or 0) >= 0.5:
        said.append(facts.say("{commonest_syscall_share} of them are {commonest_syscall}."))
    said.append(
        facts.say("It looks for {commonest_path} again and again.")
        or (
            facts.say("It looks for one and the same path again and again.", "paths")
            if facts.number("paths") == 1
            else facts.say("All it looks for is {paths:path|paths}, again and again.")
        )
    )
    return said


def cores(facts: Facts) -> str:
    """What it costs meanwhile."""
    used, wanted = facts.number("on_cpu_cores"), facts.number("runnable_cores")
    if used is not None and wanted is not None and wanted > 1.2 * used:
        return facts.say(
            "Meanwhile it uses {on_cpu_cores:core|cores} and wants {runnable_cores:core|cores}."
        )
    return facts.say("Meanwhile it keeps {on_cpu_cores:core|cores} busy.")
