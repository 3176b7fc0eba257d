"""Words that the gate knows: what may be said of each cause, and which calls a patch may add.

Tables only. They are short on purpose: what is missing costs a note, what is wrong costs trust.
"""

from __future__ import annotations

import re

from linnix_ls.core.findings import Cause

# -- what no note may say ------------------------------------------------------------------------


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(rf"\b(?:{pattern})(?!\w)" for pattern in patterns), re.IGNORECASE)


# The finding is no matter of opinion. All of these are about it, however they are meant.
CONTRADICTIONS = _any(
    r"nothing (?:\w+ ){0,2}(?:to (?:fix|change|do|worry)|wrong|is wrong|needs?|has to)\b",
    r"no (?:\w+ )?(?:problem|issue|bug|error|change|changes|fix|fixes|action|need|reason|concern|"
    r"runaway|loop|deadlock|leak|modification)s?\b",
    r"(?:not|\w+n't|never) (?:\w+ ){0,3}(?:problem|issue|bug|runaway|concern|wrong|broken|stuck|"
    r"spinning|looping|blocked|hung|hanging|deadlocked|leaking|growing|busy|polling)\b",
    r"(?:not|\w+n't) (?:need|require|have) (?:to|any|a)\b",
    r"(?:not|\w+n't) (?:necessary|needed|required)\b",
    r"harmless|benign|innocent|legitimate|intentional(?:ly)?|intended|by design|on purpose\b",
    r"expected|normal(?:ly)?|acceptable|reasonable|typical(?:ly)?|common(?:ly)?|usual(?:ly)?\b",
    r"false (?:positive|alarm)|(?:safe|safely) (?:to )?ignored?|(?:can|may|could) be ignored\b",
    r"ignore (?:this|the|it)\b",
    r"(?:mak(?:es?|ing)|made) (?:\w+ ){0,2}progress|progress(?:es|ing)\b",
    r"(?:doing|does|do) (?:\w+ )?work|useful work|legitimate work|busy working|computing\b",
    r"works? (?:\w+ )?(?:fine|correctly|well|properly|as)|working (?:\w+ )?(?:fine|correctly|as)\b",
    r"(?:is|are|looks?|seems?|appears?) (?:\w+ )?(?:fine|ok|okay|good|correct|right|valid"
    r"|healthy)\b",
    r"(?:will|would|should) (?:\w+ )?(?:finish|terminate|complete|end|stop|resolve)"
    r" (?:by itself|on its own|eventually|soon|normally)\b",
    r"already|unchanged|leave|as (?:it|they|is) (?:is|are)|do nothing",
    r"keep (?:the|this) (?:code|loop)",
    r"suppress|silence the|disable (?:the |this )?(?:check|warning|rule|watch|tool|diagnostic)\b",
    r"low (?:cpu|usage|rate)|high(?:er|ly)? (?:rate|number|usage|load|value)\b",
)
# Guesses, and talk about itself or about what it was told.
GUESSES = _any(
    r"probably|likely|perhaps|maybe|possibly|presumably|apparently|seems?|seemingly|appears?\b",
    r"might|may be|could be (?:due|caused|a|an|the|that)|suggests?|indicat(?:es|ing)|i think\b",
    r"suspect|assum(?:e|es|ing)|guess|unclear|unknown|unsure|not sure|hard to (?:say|tell)\b",
)
ECHOES = _any(
    r"ignore (?:all|any|previous|prior|earlier|above|the above)|(?:previous|prior) instructions?\b",
    r"instructions?|system prompt|prompt|language model|as an ai|i(?:'m| am) (?:sorry|an?)|i"
    r" can(?:no|')t\b",
    r"json|schema|whole lines|without margin|margin|(?:the |in )?SOURCE (?:block|section)\b",
    r"here (?:is|are|'s)|sure|certainly|of course|hello|thank|please note|in (?:summary"
    r"|conclusion)\b",
    r"the (?:finding|tool|user|programmer|evidence)\b",
)
# What nobody measured. Allowed where the source or the finding speaks of it.
TOPICS = frozenset(
    "network internet disk disks hardware permission permissions privilege privileges virus malware"
    " attacker attack security vulnerability kernel driver firewall dns bandwidth latency database"
    " server servers gpu swap antivirus configuration config dependency dependencies version"
    " versions upgrade downgrade garbage cache cached scheduler hypervisor container docker"
    " kubernetes cloud power battery temperature thermal filesystem mount nfs windows linux macos"
    " race corruption corrupted overflow segfault crash crashes crashed exception-safe encoding"
    " locale timezone clock-skew interrupt interrupts signal signals socket sockets port ports"
    " client clients user users password cpu-bound compiler interpreter gil".split()
)

_POLLING = {Cause.BUSY_POLL, Cause.LOCK_SPIN, Cause.RETRY_LOOP}
_LOOPING = _POLLING | {Cause.PURE_LOOP, Cause.UNBOUNDED_GROWTH}
# Names of causes, and what else goes by them. Where the rules use the word themselves it is theirs.
CAUSE_WORDS: tuple[tuple[re.Pattern[str], frozenset[Cause]], ...] = tuple(
    (_any(pattern), frozenset(causes))
    for pattern, causes in (
        (r"dead-?lock\w*", {Cause.DEADLOCK, Cause.PIPE_DEADLOCK}),
        (r"live-?lock\w*|starvation|starv\w+|priority inversion|race conditions?|data race", set()),
        (r"(?:memory )?leaks?\b|leak(?:ed|ing)|out of memory|oom\b|memory (?:usage|growth"
        r"|exhaust\w*)",
         {Cause.UNBOUNDED_GROWTH, Cause.ORPHAN_SERVER}),
        (r"fork bomb|fork storm|forks\b|forking", {Cause.PROCESS_RECURSION, Cause.RETRY_LOOP}),
        (r"regex\w*|regular expressions?|backtrack\w*|quantifiers?", {Cause.REGEX_BACKTRACKING}),
        (r"recurs\w+", {Cause.PROCESS_RECURSION, Cause.RECURSIVE_MAKE, Cause.COMPILE_BLOWUP}),
        (r"(?:infinite|endless|never-?ending|unbounded) loops?", _LOOPING),
        (r"spin(?:s|ning|-?lock\w*)?\b|busy[- ]?(?:wait\w*|loop\w*|poll\w*)|poll(?:s|ing)?\b",
         _LOOPING),
        (r"contention|contended|critical section", {Cause.LOCK_SPIN, Cause.DEADLOCK}),
        (r"mutex\w*|locks?\b|locking", {Cause.LOCK_SPIN, Cause.DEADLOCK}),
        (r"zombies?|orphan\w*", {Cause.ORPHAN_SERVER}),
        (r"templates?|macros?|metaprogramming|instantiat\w+", {Cause.COMPILE_BLOWUP}),
        (r"oversubscri\w+|too many (?:workers|threads|processes)", {Cause.WORKER_OVERSUBSCRIPTION}),
        (r"thrash\w*|page faults?|context switch\w*", set()),
    )
)  # fmt: skip

# -- what helps ----------------------------------------------------------------------------------

_BOUND = r"deadline|bound\w*|limit\w*|maximum|max_\w+|break|raise|return|give up|attempts?|timeout"
_WAIT = r"wait\w*|block\w*|sleep\w*|timeout|select\w*|event\w*|pause|delay\w*|condition variable"
_TAKE = r"\.get\(|\bget\(|join\w*|recv|take\(|await|backoff|back off|back-off"
# A note must name one of these; what else it says may be of no use, but this is not wrong.
REMEDIES: dict[Cause, re.Pattern[str]] = {
    cause: re.compile(rf"\b(?:{pattern})|{_TAKE if cause in _POLLING else r'(?!)'}", re.IGNORECASE)
    for cause, pattern in {
        Cause.PURE_LOOP: rf"{_BOUND}|condition|advance\w*|increment\w*|decrement\w*|progress|exit"
        r"|end|stop|updat\w+|chang\w+|empty",
        Cause.BUSY_POLL: rf"{_WAIT}|{_BOUND}",
        Cause.LOCK_SPIN: r"mutex|condition|wait\w*|release\w*|unlock\w*|notify\w*|park\w*",
        Cause.REGEX_BACKTRACKING: r"nested|repetition\w*|possessive|atomic|anchor\w*|split\w*"
        r"|parse\w*"
        r"|quantifier\w*|character class|without a regular expression|simplif\w+|linear|rewrit\w+",
        Cause.COMPILE_BLOWUP: r"specializ\w+|base case|split\w*|fewer|instantiat\w+|depth"
        r"|terminat\w+|iterat\w+|reduce\w*",
        Cause.PROCESS_RECURSION: r"itself|recurs\w+|absolute|PATH|full path|guard\w*|exec|depth|end"
        r"|stop\w*|base case|remove\w*|call\w* \S+ directly|directly|instead of",
        Cause.RECURSIVE_MAKE: r"itself|recurs\w+|target\w*|prerequisite\w*|directory|folder"
        r"|remove\w*"
        r"|depend\w*|instead of|end",
        Cause.RETRY_LOOP: rf"{_WAIT}|{_BOUND}|exit|tries|back ?off|longer",
        Cause.WORKER_OVERSUBSCRIPTION: r"cpu_count|process_cpu_count|nproc|availableParallelism"
        r"|availableProcessors|available_parallelism|hardware_concurrency|sched_getaffinity"
        r"|limit\w*"
        r"|fewer|as many|number of cpus|max_workers|processes=",
        Cause.PIPE_DEADLOCK: r"communicate|drain\w*|close\w*|read\w*|thread|capture_output"
        r"|timeout|run\("
        r"|stdin|stdout",
        Cause.DEADLOCK: r"order|release\w*|timeout|with\b|finally|same lock|one lock|unlock\w*"
        r"|tryLock",
        Cause.ORPHAN_SERVER: r"terminat\w+|kill\w*|finally|fixture|context manager|with\b|trap"
        r"|close\w*"
        r"|stop\w*|wait\w*|addfinalizer|tearDown\w*|after\w*|shutdown|yield",
        Cause.UNBOUNDED_GROWTH: rf"{_BOUND}|condition|advance\w*|end\b|empty|maxlen|clear\w*"
        rf"|stop\w*",
        Cause.OTHER: rf"{_WAIT}|{_BOUND}|close\w*|release\w*|stop\w*|terminat\w+",
    }.items()
}
# Advice that hides the runaway, or makes it worse.
_NEVER = (
    r"replace (?:the )?(?:`[^`]{1,80}` ?|\w+ ){0,2}loop (?:with|by) (?:an? |the )?`?(?:\w+\.)?"
    r"(?:u?sleep|delay|pause|break|return)"
    r"|(?:with|by|use|using|add) (?:a |an )?recurs\w+|background|asynchronous\w*|detach\w*"
    r"|rais(?:e|ing) the (?:\w+ )?(?:limit|timeout|deadline)|(?:longer|larger|higher) \w+"
    r"|supervis\w+|restart\w*|reboot|ulimit|more (?:memory|ram|cpus?|cores|workers|threads"
    r"|processes)"
    r"|increas\w+|nice\b|comment(?:ed|ing)? (?:it )?out|skip\w*|xfail|delet\w+ the test"
    r"|parallel\w*|multi-?thread\w*|faster|optimi[sz]\w+|performan\w+|efficien\w+|cach(?:e|ing)\b"
    r"|sudo|kill -9|killall|pkill"
)
_PAUSES = r"|sleep\w*|paus\w+|delay\w*"
_PACED = _POLLING | {Cause.ORPHAN_SERVER, Cause.OTHER}
# A loop that cannot end is not mended by one that ends for another reason.
_OTHER_LOOP = r"|replace (?:the )?(?:`[^`]{1,80}` ?|\w+ ){0,2}loop (?:with|by) (?:a )?`?for`?"
# It waits for the end of what is meant to stay.
_WAITS_FOR_END = r"|subprocess\.run|check_output|check_call"
WRONG_REMEDIES: dict[Cause, re.Pattern[str]] = {
    cause: re.compile(
        rf"\b(?:{_NEVER}{'' if cause in _PACED else _PAUSES}"
        rf"{'' if cause in _POLLING else _OTHER_LOOP}"
        rf"{_WAITS_FOR_END if cause is Cause.ORPHAN_SERVER else ''})|(?<!\w)-j ?\d*\b",
        re.IGNORECASE,
    )
    for cause in Cause
}

# -- words of advice -----------------------------------------------------------------------------

IMPERATIVES = frozenset(
    "add use replace call wait pass sleep break return raise limit bound set move check make change"
    " remove close read release acquire insert introduce ensure give stop start put handle catch"
    " keep increment decrement advance update exit drain terminate join take hold wrap swap switch"
    " turn let split rewrite drop yield block throw guard test compare assign define store run"
    " await send write open kill end clear reset consider modify adjust include apply implement"
    " create reduce declare emit lock unlock notify signal skip".split()
)
# With these, and with the finding's and the source's own words, a sentence may state something.
NEUTRAL = frozenset(
    "a an the this that these those it its they them their there here which who what when while"
    " until where how why if then else than so and or but not nor as at by for from in into of off"
    " on onto out over to up with within without between after before again against also both each"
    " every any all another other different same one once is are was be been being has have had"
    " do does did can will would should must need may let get gets got go goes"
    " loop loops looping call calls calling called caller code function method line lines block"
    " body program process processes thread threads statement value values variable result results"
    " condition conditions end ends ending exit exits begin begins start starts stop stops run runs"
    " wait waits waiting sleep sleeps block blocks blocking poll polls polling ask asks asking"
    " return returns raise raises break breaks continue continues pass passes timeout deadline"
    " limit bound pause delay round rounds time times second seconds next new old first last empty"
    " full more less only instead rather directly way change changes replace replaces use uses"
    " used using add adds check checks test tests read reads write writes close closes open opens"
    " release releases hold holds lock locks item items data something nothing input output"
    " available ready done work cpu immediately repeatedly forever true false none make makes"
    " avoid avoids avoiding prevent prevents preventing forever anew signal signals event events"
    " message error errors blocked woken wakes wake idle instead whether between reached reaches"
    " exceeded exceeds passed advance advances advanced progress bounded limited thing things"
    " linear past itself"
    " keep keeps come comes try tries trying give gives up happen happens number count".split()
)
# A statement with one of these is a claim that nobody measured.
CLAIMS = _any(r"never|always|not|\w+n't|cannot|nothing|none|only|every time|all the|fails?|failed")
# And these are none in advice either.
BOLD_CLAIMS = _any(
    r"never|always|nothing|none|cannot|every time|all the|to ensure|ensures|ensuring|guarantee\w*",
    r"properly|correctly|safely|without (?:\w+ ){0,2}(?:waiting|blocking|sleeping)",
)
# What follows one of these in advice states something, too.
REASONS = re.compile(
    r"\b(?:because|since|due to|caused by|as (?:it|the|this)|causing|which|so|otherwise|making)\b"
    r"|, (?=(?:the|it|they|its|this|an?)\b)",
    re.IGNORECASE,
)

# Words that are code, or look like it, and say nothing of this file.
KEYWORDS = frozenset(
    "if else elif while for do done then fi case esac in break continue return raise throw throws"
    " try except catch finally with as pass def class lambda yield await async import from not and"
    " or is None True False null true false nil undefined let const var new this self super void"
    " int long bool boolean char float double string str bytes list dict set tuple auto static"
    " final public private protected struct enum impl fn pub mut loop match use mod unsafe where"
    " function local export exit echo printf test shift trap exec goto switch default sizeof"
    " volatile atomic my our sub last next redo until unless die foreach PATH CPU CPUs EOF API"
    " JSON TODO AND OR NOT I/O IO ID OK stdin stdout stderr JavaScript TypeScript GNU POSIX".split()
)

# Of those, the ones that point at a place.
LOOP_WORDS = frozenset(("while", "until", "for", "loop", "continue"))

# -- standard ways to wait and to bound ----------------------------------------------------------

_SAFE: dict[str, str] = {
    "python": "time.sleep asyncio.sleep asyncio.wait_for asyncio.timeout asyncio.wait"
    " time.monotonic"
    " time.perf_counter time.time select.select os.cpu_count os.process_cpu_count"
    " os.sched_getaffinity wait wait_for get join acquire release communicate terminate close"
    " is_set"
    " set clear notify notify_all poll min max len range next any all bool int enumerate isinstance"
    " TimeoutError RuntimeError ValueError StopIteration IndexError EOFError BrokenPipeError"
    " threading.Event threading.Condition queue.Empty subprocess.TimeoutExpired sleep monotonic",
    "javascript": "setTimeout setInterval clearTimeout clearInterval setImmediate Date.now Promise"
    " performance.now Atomics.wait once resolve reject then Error Math.min Math.max close end"
    " Promise.race AbortSignal.timeout os.availableParallelism os.cpus",
    "java": "Thread.sleep Thread.onSpinWait System.nanoTime System.currentTimeMillis wait await"
    " notify"
    " notifyAll poll take tryLock lock unlock join awaitTermination get close countDown interrupt"
    " Math.min Math.max Runtime.getRuntime availableProcessors IllegalStateException"
    " TimeoutException RuntimeException InterruptedException LockSupport.parkNanos isInterrupted"
    " TimeUnit",
    "c": "usleep nanosleep sleep poll select epoll_wait pselect ppoll sched_yield clock_gettime"
    " time"
    " pthread_mutex_lock pthread_mutex_unlock pthread_cond_wait pthread_cond_timedwait"
    " pthread_cond_signal sem_wait sem_timedwait waitpid wait close abs pause sizeof errno EAGAIN"
    " EWOULDBLOCK EINTR ETIMEDOUT POLLIN POLLOUT POLLHUP POLLERR pollfd timespec CLOCK_MONOTONIC"
    " tv_sec tv_nsec fd events revents",
    "c++": "std::this_thread::sleep_for std::this_thread::yield wait wait_for wait_until notify_one"
    " notify_all lock unlock std::chrono::milliseconds std::chrono::seconds std::lock_guard"
    " std::unique_lock std::mutex std::condition_variable std::min std::max join"
    " std::runtime_error std::thread::hardware_concurrency std::chrono::steady_clock::now"
    " std::chrono std::this_thread std::atomic atomic",
    "rust": "thread::sleep std::thread::sleep Duration::from_millis Duration::from_secs"
    " Instant::now"
    " elapsed wait wait_timeout recv recv_timeout lock unwrap park park_timeout yield_now"
    " spin_loop hint::spin_loop std::hint::spin_loop min max ok err is_some is_none"
    " thread::yield_now std::thread::yield_now available_parallelism Condvar Mutex panic",
    "shell": "sleep wait break continue return exit test true false echo printf local nproc seq :"
    " SECONDS timeout let [ [[ read",
    "perl": "sleep select usleep time die last next return waitpid alarm min max",
    "make": "",
    "json": "",
}  # fmt: skip
_SAFE["typescript"] = _SAFE["tsx"] = _SAFE["javascript"]
_SAFE["c++"] += " " + _SAFE["c"]
# Of a probe: what only reads, or gives back. What else the policy refuses, it refuses there too.
_SAFE["bpf"] = (
    "bpf_probe_read_kernel bpf_probe_read_user bpf_probe_read_kernel_str bpf_probe_read_user_str"
    " BPF_CORE_READ bpf_core_field_exists bpf_map_lookup_elem bpf_map_update_elem"
    " bpf_map_delete_elem bpf_ringbuf_submit bpf_ringbuf_discard bpf_ringbuf_reserve"
    " bpf_ringbuf_output bpf_perf_event_output bpf_get_current_pid_tgid bpf_get_current_comm"
    " bpf_ktime_get_ns bpf_get_smp_processor_id bpf_get_current_task_btf bpf_task_release"
    " bpf_task_acquire bpf_rcu_read_lock bpf_rcu_read_unlock bpf_spin_unlock bpf_loop"
    " bpf_iter_num_destroy __sync_fetch_and_add __builtin_memcpy __builtin_memset __builtin_memcmp"
    " lookup lookup_or_try_init update delete increment atomic_increment ringbuf_submit"
    " ringbuf_discard ringbuf_reserve ringbuf_output perf_submit sizeof"
    " u8 u16 u32 u64 s8 s16 s32 s64 NULL verifier GPL"
)
# A patch may call these though the file does not yet. With a dot or `::`, only so.
SAFE_CALLS: dict[str | None, frozenset[str]] = {
    language: frozenset(names.split()) for language, names in _SAFE.items()
}
# Names that a note may use though the source does not: those, and what they take.
_ARGUMENTS = (
    "timeout deadline attempts max_attempts delay backoff maxsize maxlen seconds poll_interval"
)
API_WORDS: dict[str | None, frozenset[str]] = {
    language: frozenset(re.findall(r"\w+", f"{names} {_ARGUMENTS}"))
    for language, names in _SAFE.items()
}
SAFE_IMPORTS = frozenset("time asyncio threading queue select os".split())
# What a patch may call its own new variables.
LOCAL_NAME = re.compile(
    r"(?:(?:max|min|n|num|total|next|last|first|start|end|poll|retry|wait)_?)?"
    r"(?:attempts?|tries|try|retries|deadline|started?|elapsed|timeout|limit|remaining|count|delay"
    r"|backoff|interval|now|rounds?|bound|wait|pause|guard|seconds|time|ts|i|n|e|exc|error|_|ms|s"
    r"|millis|ready|pfd|lk|lock|workers?|cpus?)(?:_(?:s|ms|ns|seconds|time|count|at))?",
    re.IGNORECASE,
)

# Of a unit of evidence, the words that may follow the number. A rate must say so too.
UNIT_WORDS: dict[str, tuple[str, ...]] = {
    "cores": ("core",),
    "s": ("s", "sec", "second"),
    "calls/s": ("system call", "call", "syscall"),
    "starts/s": ("start", "process", "time"),
    "processes": ("process", "copies", "copy", "worker", "busy", "start"),
    "MB": ("mb", "megabyte"),
    "MB/s": ("mb", "megabyte"),
    "bytes": ("byte",),
    "share": ("%", "percent"),
    "cpus": ("cpu",),
    "states": ("different state", "state"),
}

# Of a probe: what would get around the verifier, and what its author has not asked for.
AROUND_THE_VERIFIER = re.compile(
    r"\b(?:disabl\w+|turn\w* off|by-?pass\w*|trick\w*|circumvent\w*|suppress\w*|ignor\w+|CAP_\w+"
    r"|privileg\w+|kernel module|sysctl|asm volatile|delet\w+ the"
    r"|remov\w+ the (?:check|program|map))",
    re.IGNORECASE,
)

# Put in the place of a poll, these only ask again: a turn given away, a timeout of zero.
NO_WAIT = re.compile(
    r"\byield\w*\s*\(|\bsched_yield|\bonSpinWait|\bspin_loop|\btimeout\s*=\s*0(?:\.0*)?(?![.\d])"
    r"|\bsleep\w*\(\s*0(?:\.0*)?\s*\)|,\s*0\s*\)",
    re.IGNORECASE,
)
# What is told to be done with code, and not what it is told to replace.
_TOLD = (
    r"(?<!instead of )(?<!rather than )(?<!without )\b(?:with|use|using|add|insert|call|calling)\b"
    r"(?:(?!\binstead\b|\brather\b|\bwithout\b)[^.`]){0,80}`[^`]{0,200}"
)
# Advice that names the right kind of thing and does not do it.
NO_REMEDY: dict[Cause, re.Pattern[str]] = {
    **dict.fromkeys(
        (Cause.BUSY_POLL, Cause.LOCK_SPIN),
        re.compile(rf"{_TOLD}(?:{NO_WAIT.pattern})", re.IGNORECASE),
    ),
    # A child outlives its parent in the same session, too.
    Cause.ORPHAN_SERVER: re.compile(rf"{_TOLD}\bstart_new_session\s*=\s*False"),
}
