"""What is said about a process that uses a CPU and gets nowhere."""

from __future__ import annotations

from linnix_ls.core.detectors import signs
from linnix_ls.core.detectors.cpu_spin.advice import (
    COMPILATIONS,
    LOCKS,
    LOOPS,
    POLLS,
    REGEXES,
    SEEN_AS,
    Asked,
    asked,
)
from linnix_ls.core.detectors.languages import Advice, advice_for, language_of
from linnix_ls.core.detectors.wording import Facts, Words, sentences
from linnix_ls.core.findings import Cause

ADVICE: tuple[Advice, ...] = (COMPILATIONS, LOCKS, LOOPS, REGEXES, *POLLS.values())

_VERBS = {
    Cause.PURE_LOOP: "goes round without getting anywhere",
    Cause.BUSY_POLL: "asks again and again instead of waiting",
    Cause.LOCK_SPIN: "tries for a lock again and again instead of waiting",
    Cause.REGEX_BACKTRACKING: "does not come out of a regular expression",
}
_NOWHERE = "uses the CPU without getting anywhere"
# What shows the cause; that it gets nowhere may be known without any of it.
_SHOWN_BY = {
    Cause.BUSY_POLL: ("commonest_syscall", "fruitless_share", "loop_calls"),
    Cause.LOCK_SPIN: ("commonest_syscall", "loop_calls"),
    Cause.REGEX_BACKTRACKING: ("unfinished_call",),
}
_OTHERWISE = {
    Cause.REGEX_BACKTRACKING: "It could also be a very long text that the pattern does get through"
    " in the end; then it would be slow each time, and end.",
    Cause.COMPILE_BLOWUP: "It could also be a large source, a generated one for example, that the"
    " compiler gets through in the end: a look at how much of it there is will tell.",
}


def words(facts: Facts) -> Words:
    finding = facts.finding
    language = language_of(finding)
    if finding.cause is Cause.COMPILE_BLOWUP:
        return _of_compilation(facts, language)
    cause = finding.cause if finding.cause in _VERBS else Cause.OTHER
    what = asked(facts, language) if cause in (Cause.BUSY_POLL, Cause.LOCK_SPIN) else None
    is_shown = any(facts.is_known(name) for name in _SHOWN_BY.get(cause, ()))
    verb = _VERBS[cause] if is_shown or cause is Cause.PURE_LOOP else _NOWHERE
    if what is not None and cause is Cause.BUSY_POLL:
        verb = f"{SEEN_AS.get((what, language), what)} again and again"
    sign = signs.sign(facts)
    return Words(
        predicate=f"{verb}: {sign}" if sign else "",
        why=sentences(
            *signs.meaning(facts), _called(facts, what), signs.cores(facts) if sign else ""
        ),
        fix=_advice(cause, what, language),
        otherwise=_OTHERWISE.get(
            cause,
            "It could also be work whose progress shows where nobody looked: in objects, in"
            " attributes or in what it calls. If the loop ends by itself, it is that.",
        ),
    )


def _called(facts: Facts, what: Asked | None) -> str:
    if what is None or facts.text("loop_calls") is None:
        return ""
    return facts.say("What the loop calls: {loop_calls}.")


def _advice(cause: Cause, what: Asked | None, language: str) -> tuple[str, ...]:
    match cause:
        case Cause.BUSY_POLL:
            return advice_for(POLLS[what], language, instead=POLLS[None])
        case Cause.LOCK_SPIN:
            return advice_for(LOCKS, language)
        case Cause.REGEX_BACKTRACKING:
            return advice_for(REGEXES, language)
    return advice_for(LOOPS, language)


def _of_compilation(facts: Facts, language: str) -> Words:
    return Words(
        predicate=facts.first(
            "has kept the compiler busy for {compiling_for} s and takes {rss_growth_per_cpu_s} MB"
            " more with each second of CPU",
            "has kept the compiler busy for {compiling_for} s",
            "takes {rss_growth_per_cpu_s} MB more with each second of the compiler's CPU time",
        ),
        why=sentences(
            facts.say(
                "Source code takes a compiler some memory and then no more; what goes on taking"
                " more is made by what the source tells it to make.",
                "rss_growth_per_cpu_s",
            ),
            facts.say("It is at {rss} MB."),
            signs.cores(facts),
        ),
        fix=advice_for(COMPILATIONS, language),
        otherwise=_OTHERWISE[Cause.COMPILE_BLOWUP],
    )
