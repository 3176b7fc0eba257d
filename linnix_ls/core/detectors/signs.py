"""How the signs that a busy process gets nowhere (`detectors.stagnation`) are told."""

from __future__ import annotations

from linnix_ls.core.detectors.wording import Facts

# More system calls a second than that leave no room for a pause between two rounds.
WITHOUT_PAUSE_PER_S = 1_000


def sign(facts: Facts) -> str:
    """The one that decided, as a clause; empty when it is not known."""
    return asking(facts) or _matching(facts) or _coming_back(facts) or _standing_still(facts)


def asking(facts: Facts) -> str:
    """That it makes too many system calls, if that is what decided."""
    if facts.text("commonest_syscall") is None and facts.number("fruitless_share") is None:
        return ""
    return facts.first(
        "{syscalls_per_s} system calls a second, {commonest_syscall_share} of them"
        " {commonest_syscall}",
        "{syscalls_per_s} system calls a second, most often {commonest_syscall}",
        "{syscalls_per_s} system calls a second, of which {fruitless_share} bring nothing",
        "{fruitless_share} of its system calls bring nothing",
    )


def _matching(facts: Facts) -> str:
    said = "looks found it in one and the same match"
    return facts.say(f"{{looks_at_match}} {said}", "unfinished_call") or facts.say(
        f"{{looks}} {said}", "unfinished_call"
    )


def _coming_back(facts: Facts) -> str:
    if facts.number("distinct_conditions") is None and facts.number("distinct_states") == 1:
        return facts.say(
            "in {looks} looks its variables were always the same", "distinct_states"
        ) or facts.say("its variables were always the same", "distinct_states")
    if facts.number("distinct_conditions") is None and facts.number("distinct_rounds") == 1:
        return facts.say(
            "in {looks} looks its rounds always began alike", "distinct_rounds"
        ) or facts.say("its rounds always began alike", "distinct_rounds")
    return facts.first(
        "in {looks} looks what should end the loop was always one of the same"
        " {distinct_conditions:value|values}",
        "what should end the loop was always one of the same {distinct_conditions:value|values}",
        "{looks} looks found its variables in {distinct_states:state|states}",
        "its variables were found in {distinct_states:state|states}",
        "in {looks} looks its rounds began in {distinct_rounds:way|ways}",
        "its rounds were found to begin in {distinct_rounds:way|ways}",
        "of {samples} samples of its registers {new_registers_share} were new",
        "{new_registers_share} of the samples of its registers were new",
    )


def _standing_still(facts: Facts) -> str:
    if facts.number("advancing_registers") != 0:
        return ""
    said = "nothing in its registers and on its stack counted up or down"
    return facts.say(f"in {{looks_at_registers}} looks {said}", "advancing_registers") or facts.say(
        said, "advancing_registers"
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
            "Something else may count, but what the loop asks for takes the same values again and"
            " again.",
            "distinct_conditions",
        )
        or _only_few(
            facts,
            facts.number("distinct_states"),
            facts.number("looks"),
            "A program that gets on changes something; here all variables stay as they were."
            if facts.number("distinct_states") == 1
            else "A program that gets on leaves a state for good; this one comes back to where it"
            " was, and from there it can only do the same again.",
            "distinct_states",
        )
        or _only_few(
            facts,
            facts.number("distinct_rounds"),
            facts.number("looks"),
            "Whatever a round calls, another one begins with the same variables as one before it,"
            " so it will go the same way.",
            "distinct_rounds",
        )
        or _only_few(
            facts,
            facts.number("new_registers_share"),
            1,
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


def _only_few(facts: Facts, n: float | None, of: float | None, sentence: str, name: str) -> str:
    """The sentence, if it holds: less than half of what was seen was different."""
    return facts.say(sentence, name) if n is not None and (of is None or n < 0.5 * of) else ""


def _asking_means(facts: Facts) -> list[str]:
    share, rate = facts.number("fruitless_share"), facts.number("syscalls_per_s")
    said = []
    if share is not None and share >= 0.5:
        said.append(
            facts.say(
                "{fruitless_share} of these calls fail or find nothing, and it asks again at once:"
                " it waits, but by asking.",
                "syscalls_per_s",
            )
            if rate is not None and rate >= WITHOUT_PAUSE_PER_S
            else facts.say("{fruitless_share} of its system calls fail or find nothing.")
        )
    elif share is not None:
        said.append(
            facts.say(
                "Its system calls only look at things and change none, and {fruitless_share} of"
                " them fail or find nothing: who only looks waits for something to change."
            )
        )
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
