"""What is said about a process that takes memory without end."""

from __future__ import annotations

from linnix_ls.core.detectors import signs
from linnix_ls.core.detectors.languages import Advice, advice_for, language_of
from linnix_ls.core.detectors.wording import Facts, Words, sentences

_COLLECTIONS: Advice = {
    "python": (
        "Find what does not move on while something is appended: an index or a cursor that stays"
        " where it was, an empty match of a regular expression (found.end() == at). Move on there,"
        " or raise.",
        "Bound what is kept: collections.deque(maxlen=…), lru_cache(maxsize=…), a generator instead"
        " of a list; and raise when a list gets longer than can be right.",
    ),
    "node": (
        "Find what does not move on while something is pushed: an index that stays, lastIndex of an"
        " empty match, a page's cursor that comes again. Move on there, or throw.",
        "Bound what is kept: wait for 'drain' when write() returns false; pipeline() from"
        " node:stream/promises does.",
    ),
    "java": (
        "Find what does not move on while something is added. Bound the collection: an"
        " ArrayBlockingQueue(capacity) makes the producer wait, removeEldestEntry() of a"
        " LinkedHashMap forgets.",
        "-XX:+HeapDumpOnOutOfMemoryError with -Xmx shows what fills the heap.",
    ),
    "c": (
        "Find what does not move on while memory is allocated in the loop, and what is not freed on"
        " the way round; check each growth against a maximum and return an error.",
        "setrlimit(RLIMIT_AS, …) in the test makes malloc() fail instead of filling the machine.",
    ),
    "cpp": (
        "Find what does not move on while something is pushed in the loop: an iterator or an offset"
        " that stays. Check size() against a maximum and throw.",
        "setrlimit(RLIMIT_AS, …) in the test makes new throw std::bad_alloc instead of filling the"
        " machine.",
    ),
    "rust": (
        "Find what does not move on while something is pushed: an iterator that never gives None,"
        " an offset that stays. take(n) bounds an iterator, sync_channel(n) a queue.",
    ),
    "shell": (
        "Find what does not move on while something is appended to a variable or an array (+=), and"
        " write to a file instead of collecting.",
        "ulimit -v KILOBYTES in the script makes it fail instead of filling the machine.",
    ),
    "perl": (
        "Find what does not move on while something is pushed: a pos() that stays, a list that is"
        " never shifted. Move on there, or die.",
        "Bound what is kept, and die when it gets larger than can be right.",
    ),
    "": (
        "Find what does not move on while something is collected, and move on there or fail.",
        "Bound what is collected, and fail with a message when the bound is passed.",
    ),
}

ADVICE: tuple[Advice, ...] = (_COLLECTIONS,)


def words(facts: Facts) -> Words:
    sign = signs.sign(facts)
    growth = facts.first(
        "collects without end: {rss_growth} MB more each second, {rss} MB by now",
        "collects without end: {rss_growth} MB more each second",
        "collects the same again: {repeated_growth} of what it has added was there before",
    )
    return Words(
        predicate=growth or (f"collects without getting anywhere: {sign}" if sign else ""),
        why=sentences(
            facts.say(
                "{repeated_growth} of the memory that it has added holds the same as what it had"
                " added before; what is built differs from part to part."
            ),
            f"{sign}." if sign and growth else "",
            *signs.meaning(facts),
            facts.say(
                "It keeps what it makes each time, and memory is what will run out.", "rss_growth"
            ),
        ),
        fix=advice_for(_COLLECTIONS, language_of(facts.finding)),
        otherwise="It could also be something large that is being built, a table of rows that are"
        " nearly alike for example; that comes to an end.",
    )
