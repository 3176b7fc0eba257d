"""What to do about a process that gets nowhere, by what its loop asks and by language."""

from __future__ import annotations

from enum import StrEnum

from linnix_ls.core.detectors.languages import Advice
from linnix_ls.core.detectors.wording import Facts


class Asked(StrEnum):
    """What a loop asks again and again; the value is said after "it"."""

    QUEUE = "asks a queue whether there is something in it"
    FILE = "looks for a file"
    DATA = "asks a descriptor for data"
    READY = "asks the kernel whether anything is ready"
    CHILD = "asks whether a process has ended"
    FLAG = "asks whether something is done"
    LOCK = "tries a lock"
    CONNECTION = "tries to connect"
    TURN = "gives its turn away and takes it back"


_SYSCALLS = {
    **dict.fromkeys(
        "stat lstat fstat newfstatat statx access faccessat faccessat2 open openat openat2"
        " getdents64 readlink readlinkat".split(),
        Asked.FILE,
    ),
    **dict.fromkeys("read pread64 recvfrom recvmsg recvmmsg accept accept4".split(), Asked.DATA),
    **dict.fromkeys(
        "epoll_wait epoll_pwait epoll_pwait2 poll ppoll select pselect6".split(), Asked.READY
    ),
    **dict.fromkeys("wait4 waitid kill".split(), Asked.CHILD),
    **dict.fromkeys("sched_yield futex flock".split(), Asked.LOCK),
    "connect": Asked.CONNECTION,
    **dict.fromkeys("nanosleep clock_nanosleep".split(), Asked.TURN),
}
# Names of standard libraries that say by themselves what is asked; in lower case.
_CALLS = {
    **dict.fromkeys(
        "get_nowait empty qsize is_empty isempty try_recv recv_nowait trypop try_pop".split(),
        Asked.QUEUE,
    ),
    **dict.fromkeys(
        "exists is_file isfile is_dir isdir existssync statsync accesssync lexists".split(),
        Asked.FILE,
    ),
    **dict.fromkeys("recv recv_into recvfrom recvmsg accept".split(), Asked.DATA),
    **dict.fromkeys(
        "select selectnow epoll_wait epoll_pwait ppoll setimmediate".split(), Asked.READY
    ),
    **dict.fromkeys("is_alive isalive waitpid try_wait".split(), Asked.CHILD),
    **dict.fromkeys(
        "is_set done isdone is_done wait_for is_finished isfinished isterminated".split(),
        Asked.FLAG,
    ),
    **dict.fromkeys(
        "acquire trylock try_lock tryacquire locked pthread_mutex_trylock compare_exchange_weak"
        " compare_exchange_strong compareandset test_and_set sched_yield".split(),
        Asked.LOCK,
    ),
    **dict.fromkeys("connect connect_ex create_connection".split(), Asked.CONNECTION),
}
_CALLS_OF = {
    # What `poll` asks depends on who is asked.
    "python": {"poll": Asked.CHILD},
    "java": {"poll": Asked.QUEUE, "peek": Asked.QUEUE},
}
# How it looks to who writes that language, where it looks otherwise.
SEEN_AS = {
    (Asked.READY, "node"): "keeps the event loop asking whether anything is ready",
}
# A waiting loop may ask for anything by these: what the loop calls says more.
_VAGUE = frozenset({Asked.READY, Asked.TURN})


def asked(facts: Facts, language: str) -> Asked | None:
    """By the names that the loop calls and by its commonest system call."""
    by_syscall = _SYSCALLS.get(facts.text("commonest_syscall") or "")
    names = [name.strip().lower() for name in (facts.text("loop_calls") or "").split(",")]
    table = {**_CALLS, **_CALLS_OF.get(language, {})}
    by_call = next((table[name] for name in names if name in table), None)
    if by_syscall is None or (by_call is not None and by_syscall in _VAGUE):
        return by_call or by_syscall
    return by_syscall


_ASYNCIO = (
    "With asyncio, await what you wait for: an asyncio.Event, a queue's get(), or the task itself"
    " in asyncio.wait_for(). A timeout that is zero or has become negative, and asyncio.sleep() of"
    " zero, return at once.",
    "With select or selectors, leave the timeout out, or make sure that it stays above zero.",
)
_VOLATILE = (
    "If another thread is to change what the condition reads, the field must be volatile (or read"
    " under the lock that it is written under): else the loop may never see the change.",
    "Better, let it sleep until then: CountDownLatch.await(), Condition.await(), or take() of a"
    " BlockingQueue. Thread.onSpinWait() does not help: it goes on spinning.",
)
_BOUND = {
    "python": "Bound the wait: take time.monotonic() before the loop and raise TimeoutError, with"
    " what was waited for, when it is over.",
    "node": "Bound the wait: `signal: AbortSignal.timeout(ms)` makes it reject when time is up.",
    "java": "Bound the wait, and throw a TimeoutException that says what was waited for.",
    "c": "Bound the wait by CLOCK_MONOTONIC, and report what was waited for when it is over.",
    "cpp": "Bound the wait by std::chrono::steady_clock, and report what was waited for when it is"
    " over.",
    "rust": "Bound the wait with Instant::now() and elapsed(), and return an error that says what"
    " was waited for.",
    "shell": "Bound the wait: compare $SECONDS with a limit, and exit with a message that says"
    " what was waited for.",
    "perl": "Bound the wait: compare time() with a limit, and die with what was waited for.",
    "": "Bound the wait by a deadline, and fail with a message that says what was waited for.",
}

LOCKS: Advice = {
    "python": (
        "Let the lock wait: lock.acquire(timeout=…) sleeps until it is free and returns False when"
        " time is up; acquire(blocking=False) in a loop spins.",
        "See that whoever holds it lets go on every way out, errors too: `with lock:`.",
    ),
    "node": (
        "Await the holder: keep a promise as the lock and await it, instead of trying again;"
        " between threads, Atomics.wait() sleeps.",
        "See that whoever holds it lets go on every way out, errors too: try and finally.",
    ),
    "java": (
        "Let the lock wait: lock(), or tryLock(timeout, unit), sleeps until it is free; tryLock()"
        " and compareAndSet() in a loop spin, with Thread.onSpinWait() too.",
        "See that whoever holds it lets go on every way out, exceptions too: unlock() in finally.",
    ),
    "c": (
        "Let the lock wait: pthread_mutex_lock(), or pthread_mutex_timedlock(), sleeps until it is"
        " free; sched_yield() between two tries is no wait.",
        "See that whoever holds it lets go on every way out: early returns and errors, too.",
    ),
    "cpp": (
        "First look for the way out that does not unlock: an exception or an early return between"
        " lock() and unlock() leaves it locked for ever. std::lock_guard or std::scoped_lock"
        " unlocks on every way out.",
        "Use std::mutex, whose lock() sleeps until it is free, in place of a loop around try_lock()"
        " or an atomic; std::this_thread::yield() between two tries is no wait.",
    ),
    "rust": (
        "Let the lock wait: Mutex::lock() sleeps until it is free; try_lock(), compare_exchange()"
        " and spin_loop() in a loop spin.",
        "Keep the guard's scope small, so that it is dropped on every way out; a leaked or stored"
        " guard holds the lock for ever.",
    ),
    "shell": (
        "Let the lock wait: `flock -w SECONDS FILE COMMAND` sleeps until it is free; mkdir or"
        " `set -o noclobber` in a loop spins.",
        "Remove a lock file on every way out: trap 'rm -f \"$lock\"' EXIT.",
    ),
    "perl": (
        "Let the lock wait: flock($fh, LOCK_EX) sleeps until it is free; with LOCK_NB it only"
        " tries.",
        "See that whoever holds it closes the file on every way out, die too.",
    ),
    "": (
        "Use a lock that sleeps until it is free (a mutex or a condition variable) instead of"
        " trying again.",
        "See that whoever holds it lets go on every way out, errors too.",
    ),
}

POLLS: dict[Asked | None, Advice] = {
    Asked.LOCK: LOCKS,
    Asked.QUEUE: {
        "python": (
            "Let the queue wait: get(timeout=…) sleeps until there is an item and raises"
            " queue.Empty when time is up; get_nowait() and empty() only ask.",
            "To end the thread, put a sentinel into the queue and return when it is taken"
            " out: get() then needs no timeout.",
        ),
        "node": (
            "Let the producer wake it: emit an event when something is added and"
            " `await once(queue, 'item')` from node:events, or iterate a stream with for await.",
            _BOUND["node"],
        ),
        "java": (
            "Let the queue wait: take(), or poll(timeout, unit), of a BlockingQueue sleeps until"
            " there is an element; poll() and isEmpty() only ask.",
            "To end the thread, interrupt it or put an element into the queue that means the end.",
        ),
        "c": (
            "Let a condition variable wait: pthread_cond_wait() while the queue is empty, and"
            " pthread_cond_signal() under the same mutex after each item is added.",
            _BOUND["c"],
        ),
        "cpp": (
            "Let a condition variable wait: ready.wait(lock, [&] { return !queue.empty(); }) on a"
            " std::condition_variable, and notify_one() after each item is added.",
            "For a limit, use wait_for() with the same predicate and look at what it returns.",
        ),
        "rust": (
            "Let the channel wait: recv(), or recv_timeout(), of std::sync::mpsc sleeps until"
            " there is a message; try_recv() only asks.",
            "For a queue of your own, wait on a Condvar and notify it after each item is added.",
        ),
        "perl": (
            "Let the queue wait: dequeue(), or dequeue_timed(), of Thread::Queue; dequeue_nb() and"
            " pending() only ask.",
            _BOUND["perl"],
        ),
        "": (
            "Take from the queue with a call that blocks, or one with a timeout, instead of asking"
            " whether it is empty.",
            _BOUND[""],
        ),
    },
    Asked.FILE: {
        "python": (
            "Sleep between two looks (time.sleep() of some tens of milliseconds), or be told:"
            " watchfiles.watch() waits for a change in the folder. If a process of yours makes it,"
            " wait for that process or read a line from its pipe.",
            _BOUND["python"],
        ),
        "node": (
            "Replace the synchronous loop: nothing else runs while it does, not even what would"
            " make the file. `await setTimeout(…)` from node:timers/promises between two looks, or"
            " fs.watch() on the folder.",
            _BOUND["node"],
        ),
        "java": (
            "Be told: a WatchService on the folder waits in take() or poll(timeout, unit). Or sleep"
            " between two looks.",
            _BOUND["java"],
        ),
        "c": (
            "Be told: inotify_add_watch() on the folder, then poll() the descriptor with a"
            " timeout. Or nanosleep() between two looks.",
            _BOUND["c"],
        ),
        "cpp": (
            "Sleep between two looks with std::this_thread::sleep_for(), or be told: inotify on the"
            " folder, and poll() with a timeout.",
            _BOUND["cpp"],
        ),
        "rust": (
            "Sleep between two looks with std::thread::sleep(), or be told: the notify crate"
            " watches the folder.",
            _BOUND["rust"],
        ),
        "shell": (
            'Put a pause into the loop: `until [[ -e $file ]]; do sleep "$pause"; done`, with a'
            " tenth of a second, looks often enough; `:` only spins. With inotify-tools,"
            " inotifywait waits for the file.",
            "Bound the wait: compare $SECONDS with a limit in the loop and exit with a message;"
            " check that whoever makes the file gives it the very name that is looked for.",
        ),
        "perl": (
            "Sleep between two looks: select(undef, undef, undef, $seconds) takes fractions of a"
            " second, and so does sleep of Time::HiRes.",
            _BOUND["perl"],
        ),
        "make": (
            "Make the file a prerequisite, so that make waits for whoever builds it; in a recipe,"
            ' `until [ -e FILE ]; do sleep "$$pause"; done` with a limit.',
        ),
        "": (
            "Sleep between two looks, or have the system tell when the file is there.",
            _BOUND[""],
        ),
    },
    Asked.DATA: {
        "python": (
            "Wait until there is something: select.select([sock], [], [], timeout), a selector's"
            " select(timeout), or a blocking socket with sock.settimeout(…). BlockingIOError means"
            " not yet, so do not try again at once.",
            "Treat b'' as the end: it means that the other side has closed, and that does not"
            " change by asking again.",
        ),
        "node": (
            "Read by events: a stream's 'data' and 'end', or for await over it, instead of a loop"
            " around readSync().",
            _BOUND["node"],
        ),
        "java": (
            "Register the channel with a Selector and wait in select(timeout), or let it block:"
            " configureBlocking(true) and socket().setSoTimeout(…).",
            "A negative result of read() is the end of the stream; leave the loop then.",
        ),
        "c": (
            "On EAGAIN, wait before trying again: poll() with POLLIN and a timeout sleeps until"
            " there"
            " is data, a hang-up, or time is up.",
            "Or let the call itself wait: clear O_NONBLOCK, with SO_RCVTIMEO as the limit. A result"
            " of zero is the end.",
        ),
        "cpp": (
            "On EAGAIN, wait before trying again: poll() on the descriptor with POLLIN and a"
            " timeout sleeps until there is data, a hang-up, or time is up.",
            "Or let the call itself wait: clear O_NONBLOCK, with SO_RCVTIMEO as the limit. A result"
            " of zero is the end.",
        ),
        "rust": (
            "On ErrorKind::WouldBlock, wait before trying again: set_nonblocking(false) with"
            " set_read_timeout(Some(…)) lets read() sleep; many sockets belong into mio or tokio.",
            "A read of no bytes, without an error, is the end of the stream: leave the loop then.",
        ),
        "shell": (
            "Let read wait: `read -r -t SECONDS line` sleeps until there is a line, and fails"
            " when time is up. A timeout of zero only asks.",
            "At the end of a file or a pipe read fails at once: leave the loop then; to follow a"
            " file that grows, read from tail -f.",
        ),
        "perl": (
            "Wait until there is something: can_read($timeout) of IO::Select; EAGAIN ($!{EAGAIN})"
            " means not yet.",
            "A sysread of no bytes is the end: leave the loop then.",
        ),
        "": (
            "Wait until there is something to read, with poll or a blocking call that has a"
            " timeout, before the next try.",
            "Leave the loop at the end of the data: that does not change by asking again.",
        ),
    },
    Asked.READY: {
        "python": _ASYNCIO,
        "node": (
            "Wait for an event instead of asking in each turn of the event loop (setImmediate,"
            " process.nextTick, a timer of zero): `await once(emitter, 'ready')` from node:events"
            " also rejects when 'error' is emitted.",
            "Make sure that both ways out call back: done, and failed. " + _BOUND["node"],
        ),
        "java": (
            "Use Selector.select() or select(timeout) instead of selectNow(), and remove each key"
            " from selectedKeys() once it is handled, else select() returns at once.",
            _BOUND["java"],
        ),
        "c": (
            "Give poll() or epoll_wait() a timeout: a negative one sleeps until something"
            " happens, one of zero only asks.",
            "Something that stays ready must be handled or taken out of the set (POLLHUP, an EOF,"
            " EPOLLOUT that nobody needs), else each wait returns at once.",
        ),
        "rust": (
            "Give the poll a timeout: None sleeps until something happens, Some(Duration::ZERO)"
            " only asks. In async code, await the future; a waker that is called from within its"
            " own poll spins.",
            _BOUND["rust"],
        ),
        "shell": (
            "Let the command wait by itself (a timeout option above zero), or sleep between two"
            " rounds.",
            _BOUND["shell"],
        ),
        "perl": (
            "Give select a timeout above zero, or undef to sleep until something happens.",
            "Take out of the set what has reached its end: it is ready for ever.",
        ),
        "": (
            "Give the call that asks a timeout above zero, or none at all: it then sleeps until"
            " something happens.",
            "Handle what stays ready, or take it out of the set.",
        ),
    },
    Asked.CHILD: {
        "python": (
            "Wait for it: process.wait(timeout=…), or communicate(timeout=…) if its output goes"
            " into a pipe, sleeps until it ends and raises subprocess.TimeoutExpired; of a thread"
            " or a multiprocessing.Process it is join(timeout).",
            "When time is up, process.kill() and process.wait(), and raise with what was waited"
            " for.",
        ),
        "node": (
            "Wait for the child's 'exit' event: `await once(child, 'exit')` from node:events;"
            " 'close' also waits for its output.",
            "Bound it: spawn's timeout option, or an AbortSignal, ends the child when time is up.",
        ),
        "java": (
            "Wait for it: process.waitFor(timeout, unit) sleeps and returns false when time is up;"
            " of a thread it is join(millis).",
            "Then destroyForcibly(), and throw with what was waited for.",
        ),
        "c": (
            "Leave WNOHANG away: waitpid(pid, &status, flags) without it sleeps until the child"
            " ends. For a"
            " limit, poll() a descriptor from pidfd_open(), or use signalfd() for SIGCHLD.",
            "ECHILD means that there is no such child (any more): leave the loop then.",
        ),
        "rust": (
            "Wait for it: child.wait() sleeps until it ends; try_wait() only asks, so sleep"
            " between two of them.",
            _BOUND["rust"],
        ),
        "shell": (
            'Wait for it: `wait "$pid"` sleeps until it ends and has its status; `wait -n` takes'
            " whichever of the jobs ends first.",
            "For a limit, start it with `timeout SECONDS COMMAND &`.",
        ),
        "perl": (
            "Wait for it: waitpid without WNOHANG sleeps until it ends; with it, it only asks.",
            "For a limit, use alarm and a $SIG{ALRM} that dies.",
        ),
        "": ("Wait for the process with a call that blocks until it ends.", _BOUND[""]),
    },
    Asked.FLAG: {
        "python": (
            "Wait for it: event.wait(timeout=…) of a threading.Event sleeps until it is set and"
            " returns False when time is up; a Future has result(timeout=…), asyncio has await.",
            _BOUND["python"],
        ),
        "node": (
            "Await the promise, or `await once(emitter, …)` from node:events, instead of asking"
            " whether it is done.",
            _BOUND["node"],
        ),
        "java": (
            "Wait for it: Future.get(timeout, unit), CountDownLatch.await(timeout, unit), or"
            " ExecutorService.awaitTermination(timeout, unit) sleeps until it is done.",
            "Thread.onSpinWait() and Thread.yield() do not help: they go on spinning.",
        ),
        "c": (
            "Let a condition variable wait: pthread_cond_wait(), or pthread_cond_timedwait(), while"
            " it is not done, and pthread_cond_signal() when it is.",
            _BOUND["c"],
        ),
        "cpp": (
            "Wait for it: future.wait() or wait_for(), std::condition_variable::wait() with a"
            " predicate, or wait() of a std::atomic with notify_one(), instead of asking.",
            _BOUND["cpp"],
        ),
        "rust": (
            "Wait for it: join() of the handle, recv() of a channel, a Condvar's wait_while(), or"
            " thread::park() until somebody calls unpark().",
            _BOUND["rust"],
        ),
        "": ("Wait for it with a call that blocks until it is done.", _BOUND[""]),
    },
    Asked.CONNECTION: {
        "python": (
            "Sleep between two tries, longer each time, and say when to give up:"
            " socket.create_connection(address, timeout=…) limits only one of them.",
            _BOUND["python"],
        ),
        "node": (
            "Try again from a timer: `await setTimeout(…)` from node:timers/promises after each"
            " 'error', longer each time, and give up after a limit.",
        ),
        "java": (
            "Sleep between two tries, longer each time, and give up after a limit.",
            _BOUND["java"],
        ),
        "c": (
            "nanosleep() between two tries, longer each time. For a connect() under way"
            " (EINPROGRESS), poll() for POLLOUT and then read SO_ERROR.",
            _BOUND["c"],
        ),
        "rust": (
            "std::thread::sleep() between two tries, longer each time;"
            " TcpStream::connect_timeout() limits only one of them.",
            _BOUND["rust"],
        ),
        "shell": (
            "Let the client try: curl --retry-connrefused --retry N --retry-delay SECONDS"
            " --retry-max-time SECONDS; else sleep between two tries.",
            _BOUND["shell"],
        ),
        "perl": ("Sleep between two tries, longer each time.", _BOUND["perl"]),
        "": ("Sleep between two tries, longer each time, and give up after a limit.",),
    },
    Asked.TURN: {
        "python": (
            "A sleep of zero is no pause: wait for what is awaited (an Event, a queue's get(), a"
            " process's wait()), or sleep for some milliseconds at least.",
            _BOUND["python"],
        ),
        "java": (
            "Thread.yield() and a sleep of zero are no pause: wait on a latch, a queue or a"
            " Condition.",
            _BOUND["java"],
        ),
        "": (
            "A sleep of zero is no pause: wait for what is awaited with a call that blocks, or"
            " sleep for some milliseconds at least.",
            _BOUND[""],
        ),
    },
    None: {
        "python": (
            "Wait instead of asking: get(timeout=…) of a queue, wait(timeout=…) of an Event or a"
            " process, select with a timeout, await in asyncio.",
            "If it must ask, time.sleep() between two rounds. " + _BOUND["python"],
        ),
        "node": (
            "Wait instead of asking: `await once(emitter, …)` from node:events, or a promise. A"
            " synchronous loop starves the event loop, so what it waits for cannot come.",
            "If it must ask, `await setTimeout(…)` from node:timers/promises between two rounds. "
            + _BOUND["node"],
        ),
        "java": (
            "Wait instead of asking: BlockingQueue.take(), Future.get(timeout, unit),"
            " CountDownLatch.await(timeout, unit) or Condition.await().",
            "If it must ask, Thread.sleep() between two rounds. " + _BOUND["java"],
        ),
        "c": (
            "Wait instead of asking: poll() with a timeout for descriptors, pthread_cond_wait() for"
            " threads, waitpid() without WNOHANG for children.",
            "If it must ask, nanosleep() between two rounds. " + _BOUND["c"],
        ),
        "cpp": (
            "Wait instead of asking: std::condition_variable::wait() with a predicate,"
            " std::future::wait(), or poll() with a timeout for descriptors.",
            "If it must ask, std::this_thread::sleep_for() between two rounds; yield() is no"
            " pause. " + _BOUND["cpp"],
        ),
        "rust": (
            "Wait instead of asking: recv() or recv_timeout() of a channel, a Condvar's wait(),"
            " thread::park(), or await.",
            "If it must ask, std::thread::sleep() between two rounds. " + _BOUND["rust"],
        ),
        "shell": (
            'Wait instead of asking: `wait "$pid"` for a process, `read -t SECONDS` for input,'
            " inotifywait for a file.",
            "If it must ask, sleep between two rounds. " + _BOUND["shell"],
        ),
        "perl": (
            "Wait instead of asking: waitpid without WNOHANG, can_read($timeout) of IO::Select,"
            " or a"
            " dequeue() that blocks.",
            "If it must ask, sleep between two rounds. " + _BOUND["perl"],
        ),
        "": (
            "Wait instead of asking: a call that blocks, or one with a timeout, sleeps until there"
            " is something to do.",
            "If it must ask, sleep between two rounds. " + _BOUND[""],
        ),
    },
}

LOOPS: Advice = {
    "python": (
        "Find the branch that leaves what the loop's condition reads as it was: an index that does"
        " not move, an empty match, a cursor that stays the same. Move on there, or raise.",
        "Check that each round moves on, and raise if it does not:"
        ' `if new == old: raise RuntimeError(f"no progress at {old!r}")`.',
    ),
    "node": (
        "Find the branch that leaves what the loop's condition reads as it was: an index that does"
        " not move, lastIndex of an empty match. Move on there, or throw.",
        "If it waits for a callback or a promise, it starves the event loop, so that can never"
        " come: await it instead.",
    ),
    "java": (
        *_VOLATILE,
        "Else find the branch that leaves what the condition reads as it was, and move on there.",
    ),
    "c": (
        "If another thread is to change what the condition reads: let pthread_cond_wait() sleep"
        " until it does, or poll() an eventfd. An _Atomic alone makes the change seen, but the loop"
        " still spins, and for ever if nobody changes it.",
        "Else find the branch that leaves what the condition reads as it was, and move on there or"
        " return an error.",
    ),
    "cpp": (
        "If another thread is to change what the condition reads: wait on a"
        " std::condition_variable with a predicate, or on a std::atomic with wait() and"
        " notify_one(), and see that every way out of that thread notifies.",
        "Else find the branch that leaves what the condition reads as it was, and move on there or"
        " throw.",
    ),
    "rust": (
        "If another thread is to change what the condition reads: wait on a Condvar, in recv() of"
        " a channel or in thread::park() instead of std::hint::spin_loop(), and see that every way"
        " out of that thread, an early return too, changes it. A channel's recv() returns an error"
        " when the sender is gone.",
        "Else find the branch that leaves what the condition reads as it was, and move on there or"
        " return an error.",
    ),
    "shell": (
        "Find the command that should change what the loop's condition tests, and see whether it"
        " fails: `set -e` and `set -u` make such failures end the script.",
        _BOUND["shell"],
    ),
    "perl": (
        "Find the branch that leaves what the loop's condition reads as it was: a pos() that does"
        " not move, a list that is never shifted. Move on there, or die.",
        "Check that each round moves on, and die if it does not.",
    ),
    "make": (
        "Find what the recipe's loop waits for, and let make build it as a prerequisite instead.",
    ),
    "": (
        "Find the branch that leaves what the loop's condition reads as it was, and move on there"
        " or fail.",
        "Check that each round moves on, and fail with a message if it does not.",
    ),
}

_NESTED = (
    "Rewrite the pattern so that each text can match in one way only: no repetition inside a"
    " repetition, as in (a+)+ or (\\s*\\w+\\s*,?)+, and no neighbours that match the same."
)
REGEXES: Advice = {
    "python": (
        _NESTED,
        "In recent Pythons a possessive quantifier (a++) or an atomic group (?>…) keeps it from"
        " going back. Or split the text by hand, with str.split() or a tokenizer.",
    ),
    "node": (
        _NESTED,
        "JavaScript has neither possessive quantifiers nor atomic groups nor a time limit for a"
        " match: limit the input's length first, or use RE2 (the re2 package), which is linear.",
    ),
    "java": (
        _NESTED,
        "A possessive quantifier (a++) or an atomic group (?>…) keeps it from going back; RE2/J is"
        " linear.",
    ),
    "c": (
        _NESTED,
        "With PCRE2, use possessive quantifiers and pcre2_set_match_limit(); RE2 is linear.",
    ),
    "cpp": (
        _NESTED,
        "std::regex goes back and has neither possessive quantifiers nor a limit: RE2 is linear,"
        " PCRE2 has both.",
    ),
    "rust": (
        _NESTED,
        "The regex crate is linear in the text; fancy-regex goes back: use it only where"
        " look-around is needed, with its backtrack_limit().",
    ),
    "shell": (
        _NESTED,
        "grep -E and awk do not go back as grep -P does; limit the input's length first.",
    ),
    "perl": (
        _NESTED,
        "A possessive quantifier (a++) or an atomic group (?>…) keeps it from going back.",
    ),
    "": (
        _NESTED,
        "Use possessive quantifiers or atomic groups where the engine has them, or one that is"
        " linear, such as RE2.",
    ),
}

COMPILATIONS: Advice = {
    "cpp": (
        "Look for what multiplies: std::visit over several variants has a case for each"
        " combination, recursive templates and macros make more of themselves. Visit one or two at"
        " a time, or decide at run time.",
        "Clang's -ftime-trace says which template takes the time; -ftemplate-depth= sets a bound.",
    ),
    "c": (
        "Look for macros that multiply, and for large tables that headers bring in: gcc -E FILE |"
        " wc -l says how much is left to compile.",
    ),
    "rust": (
        "Look for generics and macros that multiply: recursive impls, deeply nested iterators or"
        " futures. Box<dyn Trait> ends the nesting.",
        "cargo llvm-lines says what is made of each function; #![recursion_limit] sets a bound.",
    ),
    "": (
        "Look for templates, generics or macros that call for more of themselves, or multiply.",
        "If the file is just large, split it.",
    ),
}
