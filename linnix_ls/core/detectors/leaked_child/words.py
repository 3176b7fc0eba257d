"""What is said about processes that a run left behind."""

from __future__ import annotations

from linnix_ls.core.detectors.languages import Advice, advice_for, is_spawn_site, language_of
from linnix_ls.core.detectors.wording import Facts, Words, has_place, program_of, sentences

_STOP: Advice = {
    "python": (
        "Stop it on every way out, failing tests too: a fixture that yields the process, and after"
        " the yield process.terminate() and process.wait(timeout=…), then kill(). A stop() at the"
        " end of a test is not reached when an assertion fails; atexit is not, on a signal.",
        "With start_new_session=True, Ctrl-C does not reach it, and its own children stay as well:"
        " os.killpg(process.pid, signal.SIGTERM) stops them all.",
    ),
    "node": (
        "Stop it in an after hook (after, afterAll, globalTeardown), which failing tests run too:"
        " child.kill() and `await once(child, 'exit')`; for a server in the same process,"
        " server.close() and server.closeAllConnections().",
        "detached: true and unref() let it outlive you: leave them out, or kill its group with"
        " process.kill(-child.pid).",
    ),
    "java": (
        "Stop it in @AfterEach or @AfterAll, or in finally: process.destroy() and"
        " waitFor(timeout, unit), then destroyForcibly(); descendants() has what it started.",
        "Runtime.addShutdownHook() runs at a normal end and on SIGTERM, not on SIGKILL.",
    ),
    "c": (
        "kill() and waitpid() it on every way out; prctl(PR_SET_PDEATHSIG, SIGTERM) in the child"
        " ends it with its parent.",
    ),
    "cpp": (
        "Let an object own it, whose destructor kills and waits: then exceptions and early returns"
        " stop it, too. prctl(PR_SET_PDEATHSIG, SIGTERM) in the child ends it with its parent.",
    ),
    "rust": (
        "A Child that is dropped runs on: give it to a struct whose Drop calls kill() and wait(),"
        " so that a panic stops it, too; with tokio, kill_on_drop(true).",
    ),
    "shell": (
        "Stop it on every way out: right after `server & pid=$!`, trap 'kill \"$pid\"' EXIT; set -e"
        " and exit come by there, too.",
        "With setsid, nohup or disown it outlives the script on purpose: leave them out.",
    ),
    "make": (
        "Start and stop it in one recipe line, which is one shell: `server & pid=$$!;"
        " trap 'kill $$pid' EXIT; run-tests`.",
    ),
    "npm": (
        "Let a runner own it: start-server-and-test, or concurrently with --kill-others, stops it"
        " when the tests end; `server & test` does not.",
    ),
    "perl": (
        "Stop it on every way out: kill 'TERM', $pid and waitpid in an END block, which die"
        " reaches, too.",
    ),
    "": ("Stop it on every way out, failing tests too, and wait until it has ended.",),
}

ADVICE: tuple[Advice, ...] = (_STOP,)


def words(facts: Facts) -> Words:
    finding = facts.finding
    verb = "started" if is_spawn_site(finding) else "belongs to"
    # Without a place, the program is the subject.
    started = f"{verb} {program_of(finding)}, which" if has_place(finding) else ""
    return Words(
        predicate=facts.first(
            "{started} still accepts connections at {listens_at}, {outlived_run_s} s after its run"
            " ended",
            "{started} is still there {outlived_run_s} s after its run ended",
            "{started} still accepts connections at {listens_at}, though its run has ended",
            started=started,
        ).strip(),
        why=sentences(
            facts.say(
                "Nothing waits for it any more, and it keeps {listens_at}: whoever starts it again"
                " there will hear that the address is in use, or talk to this old one."
            ),
            facts.say("It also listens at {listens_at.1}."),
            ""
            if facts.text("listens_at")
            else facts.say(
                "What it was started for is over, and it still holds its files and its memory.",
                "outlived_run_s",
            ),
        ),
        fix=advice_for(_STOP, language_of(finding)),
        otherwise="It could also be meant to stay, as build servers, compiler caches and emulators"
        " are; or it needs longer than others to end.",
    )
