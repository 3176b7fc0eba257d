"""What is said about processes that start processes without end."""

from __future__ import annotations

from linnix_ls.core.detectors.languages import Advice, advice_for, language_of
from linnix_ls.core.detectors.wording import Facts, Words, sentences
from linnix_ls.core.findings import Cause

_RETRIES: Advice = {
    "python": (
        "time.sleep() between two tries, longer each time up to a limit, and raise after a number"
        " of tries; tenacity does both, with @retry(wait=wait_exponential(),"
        " stop=stop_after_attempt(…)).",
        "Look at why the command fails: subprocess.run(…, check=True, capture_output=True) raises"
        " with its status, and stderr has its message.",
    ),
    "node": (
        "`await setTimeout(…)` from node:timers/promises between two tries, longer each time, and"
        " throw after a number of tries.",
        "Look at why the command fails: its 'exit' event has the status, its stderr the message.",
    ),
    "java": (
        "Thread.sleep() between two tries, longer each time, and throw after a number of tries.",
        "Look at why the command fails: exitValue() has the status, getErrorStream() the message.",
    ),
    "c": (
        "nanosleep() between two tries, longer each time, and return an error after a number of"
        " tries.",
        "Look at why the command fails: WEXITSTATUS(status) after waitpid(); a child whose exec"
        " failed must _exit().",
    ),
    "cpp": (
        "std::this_thread::sleep_for() between two tries, longer each time, and throw after a"
        " number of tries.",
        "Look at why the command fails: WEXITSTATUS(status) after waitpid(); a child whose exec"
        " failed must _exit().",
    ),
    "rust": (
        "std::thread::sleep() between two tries, longer each time, and return an error after a"
        " number of tries.",
        "Look at why the command fails: output() has its status and its stderr.",
    ),
    "shell": (
        "Put a pause into the loop and a bound on it: `until TRY; do (( SECONDS < limit )) ||"
        ' exit; sleep "$pause"; done`. For HTTP, curl --retry-connrefused --retry N'
        " --retry-delay SECONDS --retry-max-time SECONDS.",
        "Look at why the try fails: with stderr sent to /dev/null its message is hidden, and in a"
        " test only the status is left.",
    ),
    "make": (
        "In the recipe, `until TRY; do sleep $(PAUSE); done` with a limit; curl has --retry and"
        " --retry-delay.",
        "Look at why the command fails: a leading `-` or `|| true` hides its status.",
    ),
    "perl": (
        "sleep between two tries, longer each time, and die after a number of tries.",
        "Look at why the command fails: $? has the status, $! the reason if it did not start.",
    ),
    "": (
        "Wait between two tries, longer each time, and give up after a number of tries.",
        "Look at why the command fails; trying again will not change that.",
    ),
}
_POOL_RETRIES: Advice = {
    "python": (
        "A pool starts a new worker for each that dies, without end: look at why its workers fail"
        " as they start; the first traceback says it.",
        "Workers that are spawned import the main module: create the pool under"
        ' `if __name__ == "__main__":`, else each worker comes to the line that creates it, and'
        " fails there. concurrent.futures.ProcessPoolExecutor raises BrokenProcessPool instead of"
        " starting others.",
    ),
}
_FORKS: Advice = {
    "python": (
        "Keep processes instead of starting one for each round: a pool, or one that takes its work"
        " from a pipe. If the loop waits for something, wait with a call that blocks.",
    ),
    "shell": (
        "Each $( ), pipe, ( ) and & starts a process: in a loop, use what bash can do by itself"
        " (${var%…}, [[ ]], read), and sleep between two rounds if it waits for something.",
    ),
    "c": (
        "Look at what fork() returns in each branch: a child that does not _exit() or exec runs on"
        " in the parent's loop.",
    ),
    "perl": (
        "Look at what fork returns in each branch: a child that does not exit or exec runs on in"
        " the parent's loop.",
    ),
    "": (
        "Wait for the condition with a call that blocks, or pause between two tries; let each child"
        " end with exit or exec in its own branch.",
    ),
}
_RECURSIONS: Advice = {
    "python": (
        "If it starts itself: workers that are spawned import the main module, so start them under"
        ' `if __name__ == "__main__":`; a test that runs the tests must name other ones.',
        "If it is a wrapper, call what it wraps by its full path: sys.executable, or a path from"
        " shutil.which() that is not its own.",
        "Pass the depth on in an environment variable, and raise beyond a few.",
    ),
    "node": (
        "If a script starts node with process.argv or fork(__filename), test for who it is first:"
        " cluster.isPrimary, isMainThread, or process.send.",
        "If it is a wrapper, spawn what it wraps by its full path; npm and npx put"
        " node_modules/.bin, and so its own name, first on PATH.",
        "Pass the depth on in env, and exit beyond a few.",
    ),
    "npm": (
        "Follow the scripts: one of them runs `npm run` with the name of a script that led to it."
        " Have it run the tool itself (the bundler, the compiler), or give that its own script.",
        "Names with pre and post in front (prebuild, postbuild) run by themselves: they need not"
        " be called, and must not call the script that they belong to.",
    ),
    "java": (
        "If it starts itself from ProcessHandle.current().info() or java.class.path, test a system"
        " property first that only the child gets.",
        "Pass the depth on in the environment, and throw beyond a few.",
    ),
    "c": (
        "If it is a wrapper, execv() what it wraps by its full path: execvp() finds the wrapper"
        " again on PATH. See that a forked child does not run on in the parent's loop.",
        "Pass the depth on in the environment, and fail beyond a few.",
    ),
    "rust": (
        "If it is a wrapper, give Command::new() the full path of what it wraps; a build script"
        " that runs cargo needs another target directory, and another package.",
        "Pass the depth on with env(), and fail beyond a few.",
    ),
    "shell": (
        "If it is a wrapper, it finds itself again on PATH: call what it wraps by its full path"
        " (`type -ap NAME` lists all), or take the wrapper's folder out of PATH first.",
        "If it walks folders, a symbolic link may lead back up: skip links ([[ -L $entry ]]), or"
        " let find do the walk, which does not follow them. Start no copy in the background (&)"
        " without counting those that run.",
        "Pass the depth on in an exported variable, and exit beyond a few.",
    ),
    "make": (
        "Find the target whose recipe comes back to this makefile and target through $(MAKE) or a"
        " script, and name there what is to be built: `%:` rules that pass everything on to each"
        " other never end.",
        "Stop it with MAKELEVEL, which counts: $(if $(filter $(TOO_DEEP),$(MAKELEVEL)),$(error"
        " make calls itself)).",
    ),
    "perl": (
        "If it is a wrapper, exec what it wraps by its full path: by its own name it finds itself.",
        "Pass the depth on in %ENV, and die beyond a few.",
    ),
    "": (
        "Find what makes the program run itself: a PATH that finds the wrapper again, a script that"
        " calls itself, a missing end of the recursion.",
        "Pass the depth on in an environment variable, and fail beyond a few.",
    ),
}
_WORKERS: Advice = {
    "python": (
        "Create one pool for the whole run and hand it all tasks. A pool that is created inside a"
        " worker, or in a function that workers run, multiplies: run the inner part in a loop"
        " there.",
        "Size it by the CPUs that the process may use: os.process_cpu_count(), in older"
        " Pythons len(os.sched_getaffinity(os.getpid())); max_workers= of ProcessPoolExecutor,"
        " processes= of"
        " Pool. pytest -n auto and a pool in each test multiply, too.",
    ),
    "node": (
        "Size it by os.availableParallelism(), and keep one pool for the whole run; jest and vitest"
        " take --maxWorkers.",
    ),
    "java": (
        "Size it by Runtime.getRuntime().availableProcessors(), and keep one executor for the whole"
        " run; Maven's -T and Surefire's forkCount multiply.",
    ),
    "c": (
        "Size it by sysconf(_SC_NPROCESSORS_ONLN) or sched_getaffinity(), and set"
        " OMP_NUM_THREADS where workers start threads themselves.",
    ),
    "rust": (
        "Size it by std::thread::available_parallelism(), and keep one pool for the whole run.",
    ),
    "shell": (
        "Keep no more than $(nproc) in the background: `wait -n` before starting the next one, or"
        ' xargs -P "$(nproc)".',
    ),
    "make": (
        "Give make a bound: -j$(nproc), not -j alone; call the inner make as $(MAKE), so that all"
        " share it, and -l limits by the load.",
    ),
    "perl": (
        "Keep no more than there are CPUs: Parallel::ForkManager->new($n), or wait before the next"
        " fork.",
    ),
    "": ("Start as many workers as there are CPUs (nproc), in one pool for the whole run.",),
}

ADVICE: tuple[Advice, ...] = (_RETRIES, _POOL_RETRIES, _FORKS, _RECURSIONS, _WORKERS)

_POOL_CALLS = frozenset("pool map imap imap_unordered starmap map_async apply_async submit".split())


def words(facts: Facts) -> Words:
    language = language_of(facts.finding)
    match facts.finding.cause:
        case Cause.PROCESS_RECURSION | Cause.RECURSIVE_MAKE:
            return _of_recursion(facts, language)
        case Cause.WORKER_OVERSUBSCRIPTION:
            return _of_workers(facts, language)
    if facts.number("recursion_depth") is not None:
        return _of_recursion(facts, language)
    if facts.number("busy_copies") is not None:
        return _of_workers(facts, language)
    return _of_retries(facts, language)


def _of_recursion(facts: Facts, language: str) -> Words:
    predicate = facts.first(
        "starts {program} from within {program}, {recursion_depth:copy|copies} deep",
        "starts itself, {recursion_depth:copy|copies} deep",
    )
    if predicate:
        predicate += facts.say(" and {starts_per_s} starts a second")
    is_make = facts.finding.cause is Cause.RECURSIVE_MAKE
    return Words(
        predicate=predicate,
        why=sentences(
            facts.say(
                "Programs that hand work down to copies of themselves are few levels deep; here"
                " each copy leads to the next one, so there is always one more.",
                "recursion_depth",
            ),
            facts.say("{copies_alive:copy is|copies are} alive at once."),
            facts.say("In all, {starts:process was|processes were} started."),
        ),
        fix=advice_for(_RECURSIONS, "make" if is_make and not language else language),
        otherwise="It could also be a walk down a deep tree that starts the program once for each"
        " folder, and ends at the bottom.",
    )


def _of_workers(facts: Facts, language: str) -> Words:
    n_copies, n_cpus = facts.number("busy_copies"), facts.number("cpus")
    is_crowded = n_copies is not None and (n_cpus is None or n_copies > n_cpus)
    return Words(
        predicate=facts.first(
            "keeps {busy_copies:process|processes} of {program} busy on {cpus:CPU|CPUs}",
            "keeps {busy_copies:process|processes} of {program} busy at once",
            "keeps {busy_copies:process|processes} busy on {cpus:CPU|CPUs}",
            "keeps {busy_copies:process|processes} busy at once",
        ),
        why=sentences(
            ""
            if not is_crowded
            else facts.say(
                "More workers than CPUs do not get more done: they take the CPUs from one another,"
                " each holds its own memory, and whatever else runs here waits.",
                "busy_copies",
            ),
            facts.say("{starts_per_s} more are started each second."),
        ),
        fix=advice_for(_WORKERS, language),
        otherwise="It could also be meant: a load test, or workers that mostly wait for something"
        " else and happen to be busy at once. Then they will be done soon.",
    )


def _of_retries(facts: Facts, language: str) -> Words:
    command = facts.text("command")
    failed, forked = facts.number("failed_exits_share"), facts.number("forks_without_exec_share")
    if failed is not None:
        predicate = facts.first(
            "starts {command} again and again, {starts_per_s} starts a second, and"
            " {failed_exits_share} of the tries fail",
            "starts {command} again and again, and {failed_exits_share} of the tries fail",
            "starts a command again and again, {starts_per_s} starts a second, and"
            " {failed_exits_share} of the tries fail",
            "starts a command again and again, and {failed_exits_share} of the tries fail",
        )
    else:
        predicate = facts.first(
            "forks {starts_per_s} times a second, and {forks_without_exec_share} of the new"
            " processes run no program of their own",
            "forks on and on, and {forks_without_exec_share} of the new processes run no program of"
            " their own",
            "starts {starts_per_s} processes a second",
        )
    said = []
    if failed is not None:
        n_commands = facts.number("commands_in_round")
        if n_commands is None or n_commands <= 1:
            said.append(facts.say("{same_command_share} of the starts are the same command."))
        else:
            said.append(
                facts.say(
                    "{same_command_share} of the starts are the same"
                    " {commands_in_round:command|commands} in turn, and {command} is the one that"
                    " fails."
                )
            )
        said.append(
            ""
            if failed < 0.5
            else facts.say(
                "It is tried again as soon as it has failed, without waiting for anything to"
                " change.",
                "failed_exits_share",
            )
        )
    elif forked is not None:
        said.append(
            facts.say(
                "Who starts processes to have work done gives them a program, or something to do;"
                " these only come and go.",
                "forks_without_exec_share",
            )
        )
    said.append(facts.say("{starts:process was|processes were} started while it was watched."))
    calls = {name.strip().lower() for name in (facts.text("loop_calls") or "").split(",")}
    # What is started anew by a pool is the interpreter, or a copy of it.
    is_interpreter = command is not None and command.startswith((language, "a copy"))
    if language in _POOL_RETRIES and is_interpreter and calls & _POOL_CALLS:
        fix = _POOL_RETRIES[language]
        said.append(facts.say("What the line calls: {loop_calls}."))
    else:
        is_fork = forked is not None and failed is None and command is None
        fix = advice_for(_FORKS if is_fork else _RETRIES, language)
    return Words(
        predicate=predicate,
        why=sentences(*said),
        fix=fix,
        otherwise="It could also be a test that expects the command to fail, and goes through its"
        " inputs by standard input or a file.",
    )
