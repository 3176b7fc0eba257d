"""Probes of the playground, loaded for real: what they count, and what is left of them."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import pytest_asyncio

from linnix_ls.errors import PlaygroundError
from linnix_ls.playground.dialect import Dialect
from linnix_ls.playground.loader import MAX_PROBES, ProbeHost, ProbeRefused
from linnix_ls.playground.permission import Client
from linnix_ls.playground.service import Service
from linnix_ls.tracer.kernel_headers import find_bpftool
from tests.starter import STARTER

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.ebpf,
    pytest.mark.asyncio,
    pytest.mark.timeout(240),
]

ROOT = Client(os.getpid(), 0, 0, frozenset({0}))
COUNTER = """
struct name { char comm[16]; };
BPF_HASH(counts, struct name, u64);
TRACEPOINT_PROBE(sched, sched_process_exec) {
    struct name key = {};
    bpf_get_current_comm(&key.comm, sizeof(key.comm));
    counts.increment(key);
    return 0;
}
"""
SENDER = """
struct event { u64 ts; u32 pid; int fixed; u8 bytes[3]; char comm[16]; };
BPF_RINGBUF_OUTPUT(events, 16);
BPF_HASH(counts, u32, u64);
TRACEPOINT_PROBE(sched, sched_process_exec) {
    struct event e = {};
    e.ts = bpf_ktime_get_ns();
    e.pid = bpf_get_current_pid_tgid() >> 32;
    e.fixed = -7;
    e.bytes[1] = 200;
    bpf_get_current_comm(&e.comm, sizeof(e.comm));
    counts.increment(e.pid);
    events.ringbuf_output(&e, sizeof(e), 0);
    return 0;
}
"""
DEAR = """
BPF_ARRAY(sums, u64, 1);
TRACEPOINT_PROBE(sched, sched_switch) {
    u64 sum = 0;
    for (int i = 0; i < 4000; i++)
        sum += bpf_ktime_get_ns();
    sums.increment(0, sum);
    return 0;
}
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def written():
    return []


@pytest_asyncio.fixture
async def client(cache, written):
    def write_down(client, name, source, outcome, **more):
        written.append({"name": name, "outcome": outcome, **more})

    loader = ProbeHost(cache, write_down).open(ROOT)
    yield loader
    await loader.close()


@pytest.fixture
def program(tmp_path):
    """A program that nobody else on this machine runs."""
    path = tmp_path / f"pr{secrets.token_hex(4)}"
    shutil.copy("/bin/true", path)
    return path


async def until(condition, timeout_s=30.0):
    end_s = time.monotonic() + timeout_s
    while not (result := await condition()):
        assert time.monotonic() < end_s, "it does not come about"
        await asyncio.sleep(0.05)
    return result


async def events_of(client, handle, program, n, *, sequence=0):
    """The first n records about that program."""

    async def found():
        reading = await client.read(handle.id, sequence)
        events = [e for e in reading.events if e.fields.get("comm") == program.name]
        return events if len(events) >= n else None

    return await until(found)


def entries(reading, name):
    return next(dict_of(each.entries) for each in reading.maps if each.name == name)


def dict_of(pairs):
    return {json.dumps(key): value for key, value in pairs}


def bpftool(*words):
    shown = subprocess.run([find_bpftool(), "-j", *words], capture_output=True, check=True)
    return json.loads(shown.stdout)


def n_remaining(written, map_name):
    """Programs, links and maps of a test that the kernel still has."""
    ids = {each["id"] for record in written for each in record["programs"]}
    return (
        sum(each["id"] in ids for each in bpftool("prog", "show"))
        + sum(each.get("prog_id") in ids for each in bpftool("link", "show"))
        + sum(each.get("name") == map_name for each in bpftool("map", "show"))
    )


async def until_nothing_remains(written, map_name):
    async def gone():
        return n_remaining(written, map_name) == 0

    await until(gone)


async def test_a_counter_of_execs_counts_each_of_them(client, program):
    handle = await client.load(Dialect.BCC, "count.bpf.c", COUNTER)
    for _ in range(37):
        subprocess.run([program], check=True)

    reading = await client.read(handle.id, 0)

    assert entries(reading, "counts")[json.dumps({"comm": program.name})] == 37
    (told,) = reading.programs
    assert told.attached_to == "tracepoint sched:sched_process_exec"
    assert told.run_count >= 37
    assert told.run_time_ns > 0
    assert told.n_instructions > 0
    assert 0 < reading.cpu_share < 0.05
    assert reading.problem is None


@pytest.mark.parametrize("is_perf", [False, True], ids=["ring buffer", "perf buffer"])
async def test_records_have_the_fields_of_their_struct(client, program, is_perf):
    source = SENDER
    if is_perf:
        source = source.replace("BPF_RINGBUF_OUTPUT(events, 16)", "BPF_PERF_OUTPUT(events)")
        source = source.replace(
            "ringbuf_output(&e, sizeof(e), 0)", "perf_submit(args, &e, sizeof(e))"
        )
    handle = await client.load(Dialect.BCC, "send.bpf.c", source)
    before_ns = time.monotonic_ns()
    with subprocess.Popen([program]) as process:
        pass

    (event,) = await events_of(client, handle, program, 1)

    assert event.fields["pid"] == process.pid
    assert event.fields["fixed"] == -7
    assert event.fields["bytes"] == [0, 200, 0]
    assert before_ns < event.ktime_ns == event.fields["ts"] < time.monotonic_ns()
    assert (event.map, event.generation) == ("events", 1)


async def test_records_of_an_unknown_kind_are_shown_as_they_are(client, program):
    source = """
    BPF_RINGBUF_OUTPUT(events, 16);
    TRACEPOINT_PROBE(sched, sched_process_exec) {
        struct { u32 number; } e = { 0x01020304 };
        events.ringbuf_output(&e, sizeof(e), 0);
        return 0;
    }
    """
    handle = await client.load(Dialect.BCC, "raw.bpf.c", source)
    subprocess.run([program], check=True)

    async def found():
        return (await client.read(handle.id, 0)).events

    assert (await until(found))[0].fields == {"raw": "04030201"}


async def test_raw_tracepoints_the_cpu_clock_and_maps_of_each_cpu(client):
    source = """
    BPF_PERCPU_ARRAY(switches, u64, 1);
    BPF_HISTOGRAM(sizes, u64);
    RAW_TRACEPOINT_PROBE(sched_switch) {
        switches.increment(0);
        return 0;
    }
    int on_clock(struct bpf_perf_event_data *ctx) {
        sizes.increment(bpf_log2l(ctx->sample_period));
        return 0;
    }
    """
    handle = await client.load(Dialect.BCC, "clock.bpf.c", source)

    async def both():
        reading = await client.read(handle.id, 0)
        return reading if all(each.run_count for each in reading.programs) else None

    reading = await until(both)
    maps = {each.name: each for each in reading.maps}
    assert {each.attached_to for each in reading.programs} == {
        "raw tracepoint sched_switch",
        "CPU clock",
    }
    assert maps["sizes"].is_histogram
    assert not maps["switches"].is_histogram
    ((key, total),) = maps["switches"].entries
    assert key == 0
    assert total == sum(maps["switches"].per_cpu[0]) > 0


LIBBPF = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
struct event { u32 pid; s64 big; char comm[16]; };
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 65536); } events SEC(".maps");
struct name { char comm[16]; };
struct {
    __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1024);
    __type(key, struct name); __type(value, u64);
} counts SEC(".maps");
SEC("tracepoint/sched/sched_process_exec") int on_exec(void *context) {
    struct name key = {};
    u64 one = 1, *count;
    bpf_get_current_comm(&key.comm, sizeof(key.comm));
    count = bpf_map_lookup_elem(&counts, &key);
    if (count) __sync_fetch_and_add(count, 1);
    else bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
    struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
    if (!e) return 0;
    e->pid = bpf_get_current_pid_tgid() >> 32;
    e->big = -5000000000;
    bpf_get_current_comm(&e->comm, sizeof(e->comm));
    bpf_ringbuf_submit(e, 0);
    return 0;
}
SEC("tp_btf/sched_switch") int on_switch(void *context) { return 0; }
SEC("raw_tp/sched_switch") int on_raw_switch(void *context) { return 0; }
SEC("perf_event") int on_clock(void *context) { return 0; }
"""


async def test_libbpfs_dialect_loads_reads_and_is_exchanged(client, program):
    handle = await client.load(Dialect.LIBBPF, "x.bpf.c", LIBBPF)
    with subprocess.Popen([program]) as process:
        pass
    (event,) = await events_of(client, handle, program, 1)
    assert event.fields == {"pid": process.pid, "big": -5_000_000_000, "comm": program.name}

    again = await client.replace(handle.id, f"{LIBBPF}\n", trial_s=0)
    assert (again.kept_maps, again.new_maps) == (("counts",), ("events",))
    subprocess.run([program], check=True)

    async def all_ran():
        reading = await client.read(handle.id, 0)
        return reading if all(each.run_count for each in reading.programs) else None

    reading = await until(all_ran)
    assert entries(reading, "counts")[json.dumps({"comm": program.name})] == 2
    assert [each.attached_to for each in reading.programs] == [
        "tracepoint sched:sched_process_exec",
        "raw tracepoint sched_switch",
        "raw tracepoint sched_switch",
        "CPU clock",
    ]


async def test_names_that_act_come_out_escaped(client, tmp_path):
    hostile = tmp_path / "\x1b[31m\n\u202e<b>"
    shutil.copy("/bin/true", hostile)
    counting = await client.load(Dialect.BCC, "count.bpf.c", COUNTER)
    sending = await client.load(Dialect.BCC, "send.bpf.c", SENDER)
    with subprocess.Popen([hostile]) as process:
        pass

    async def found():
        reading = await client.read(sending.id, 0)
        return [each for each in reading.events if each.fields["pid"] == process.pid]

    (event,) = await until(found)
    assert event.fields["comm"] == "\\x1b[31m\\n\\u202e<b>"
    counts = entries(await client.read(counting.id, 0), "counts")
    assert counts[json.dumps({"comm": "\\x1b[31m\\n\\u202e<b>"})] == 1


async def test_a_probe_that_costs_too_much_is_detached(client, written):
    handle = await client.load(Dialect.BCC, "dear.bpf.c", DEAR)
    with (
        subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes,
        subprocess.Popen(["cat"], stdin=yes.stdout, stdout=subprocess.DEVNULL),
    ):

        async def detached():
            reading = await client.read(handle.id, 0)
            return reading if reading.problem else None

        try:
            reading = await until(detached)
        finally:
            yes.kill()
            yes.stdout.close()

    assert "of a CPU within 2 s, and 5% are allowed" in reading.problem
    assert reading.programs[0].run_count > 0
    assert reading.maps[0].entries[0][1] > 0  # what it had summed up can still be read
    await until_nothing_remains(written, "none")


async def test_a_probe_ends_when_its_time_is_over(client, written):
    map_name = f"m{secrets.token_hex(4)}"
    source = COUNTER.replace("counts", map_name)
    handle = await client.load(Dialect.BCC, "count.bpf.c", source, ttl_s=1)

    async def ended():
        return (await client.read(handle.id, 0)).problem

    assert (await until(ended)).startswith("its time was over")
    await until_nothing_remains(written, map_name)


OWNER = """
import asyncio, json, os, sys
from pathlib import Path
from linnix_ls.playground.dialect import Dialect
from linnix_ls.playground.loader import ProbeHost
from linnix_ls.playground.permission import Client

async def main():
    host = ProbeHost(
        Path(sys.argv[1]), lambda *_, **more: print(json.dumps(more["programs"]), flush=True)
    )
    client = host.open(Client(os.getpid(), 0, 0, frozenset({0})))
    await client.load(Dialect.BCC, "x.bpf.c", sys.stdin.read())
    await asyncio.sleep(1000)

asyncio.run(main())
"""


async def test_one_that_dies_while_it_is_replaced_is_replaced(client, written, program):
    handle = await client.load(Dialect.BCC, "send.bpf.c", SENDER)
    probe = client._probes[handle.id]
    replacing = asyncio.create_task(client.replace(handle.id, SENDER, trial_s=0))
    while probe.pending is None:  # noqa: ASYNC110 - until the next one is attached, and not yet the probe
        await asyncio.sleep(0)
    probe.on_end(1, "died", "it was killed", None)
    assert (await replacing).generation == 2
    subprocess.run([program], check=True)
    await events_of(client, handle, program, 1)


async def test_one_that_is_unloaded_before_it_could_be_replaced_stays_unloaded(client, written):
    handle = await client.load(Dialect.BCC, "count.bpf.c", COUNTER)
    first = asyncio.create_task(client.replace(handle.id, COUNTER, trial_s=0))
    await asyncio.sleep(0)  # it has begun; the others wait for it, in the order of who unloads
    probe = client._probes[handle.id]
    unloading = asyncio.create_task(client.unload(handle.id))
    await asyncio.sleep(0)
    client._probes[handle.id] = probe
    second = asyncio.create_task(client.replace(handle.id, COUNTER, trial_s=0))
    await asyncio.sleep(0)
    del client._probes[handle.id]
    await asyncio.gather(first, unloading)
    with pytest.raises(PlaygroundError, match="there is no probe"):
        await second
    await until_nothing_remains(written, "counts")


async def test_nothing_is_left_when_the_owner_is_killed(cache):
    map_name = f"m{secrets.token_hex(4)}"
    source = COUNTER.replace("counts", map_name) + "RAW_TRACEPOINT_PROBE(sched_switch){return 0;}"
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(cache)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        owner.stdin.write(source.encode())
        owner.stdin.close()
        written = [{"programs": json.loads(await asyncio.to_thread(owner.stdout.readline))}]
        assert n_remaining(written, map_name) == 4  # two programs, a link, a map
        os.kill(owner.pid, signal.SIGKILL)

    await until_nothing_remains(written, map_name)


async def test_an_agent_runs_probes_and_ends_them_with_their_client(tmp_path):
    path = tmp_path / "agent.sock"
    map_name = f"m{secrets.token_hex(4)}"
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "linnix_ls.cli.main", "agent", "--socket", str(path)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:

        async def listens():
            return path.is_socket()

        await until(listens)
        reader, writer = await asyncio.open_unix_connection(path, limit=64 << 20)

        async def ask(method, **params):
            request = {"id": 1, "method": method, "params": params}
            writer.write(json.dumps(request).encode() + b"\n")
            while (answer := json.loads(await reader.readline())).get("id") != 1:
                pass
            return answer["result"]

        source = SENDER.replace("counts", map_name)
        handle = await ask("probe_load", dialect="bcc", name="x", source=source, ttl_s=60)
        await ask("probe_replace", probe_id=handle["id"], source=f"{source}\n", trial_s=0)
        with subprocess.Popen(["/bin/true"]) as process:
            pass

        async def found():
            reading = await ask("probe_read", probe_id=handle["id"], since_event=0)
            return [e for e in reading["events"] if e["fields"]["pid"] == process.pid]

        (event,) = await until(found)
        assert event["generation"] == 2
        assert n_remaining([], map_name) == 1
        writer.close()
        await until_nothing_remains([], map_name)
    finally:
        agent.terminate()
        await agent.wait()


async def test_loading_and_unloading_leaves_nothing(client, written):
    map_name = f"m{secrets.token_hex(4)}"
    source = SENDER.replace("counts", map_name)
    fds = None
    for _ in range(int(os.environ.get("LINNIX_PROBE_CYCLES", "4"))):
        handle = await client.load(Dialect.BCC, "x.bpf.c", source)
        await client.replace(handle.id, source + "\n", trial_s=5)
        await client.read(handle.id, 0)
        await client.unload(handle.id)
        fds = fds or len(os.listdir("/proc/self/fd"))

    assert len(os.listdir("/proc/self/fd")) == fds
    await until_nothing_remains(written, map_name)


async def test_each_client_has_its_own_probes(cache):
    host = ProbeHost(cache, lambda *_, **__: None)
    one, two = host.open(ROOT), host.open(ROOT)
    handle = await one.load(Dialect.BCC, "count.bpf.c", COUNTER)
    try:
        for refused in (
            two.read(handle.id, 0),
            two.unload(handle.id),
            two.replace(handle.id, COUNTER),
        ):
            with pytest.raises(PlaygroundError, match="there is no probe p1"):
                await refused
        assert (await one.read(handle.id, 0)).problem is None
    finally:
        await one.close()
        await two.close()
    assert host.n_probes == 0


async def test_who_has_no_permission_is_refused(cache):
    nobody = Client(os.getpid(), 65534, 65534, frozenset({65534}))
    playground = Service(cache, ProbeHost(cache).open).open(nobody)
    with pytest.raises(PlaygroundError, match="only root and members of the group") as refused:
        await playground.load(Dialect.BCC, "count.bpf.c", COUNTER, ttl_s=60)
    assert "linnix-ls-probes" in refused.value.fix
    await playground.close()


async def test_a_user_who_may_loads_without_root(cache, program):
    nobody = Client(os.getpid(), 65534, 65534, frozenset({65534}))
    loader = ProbeHost(cache, lambda *_, **__: None).open(nobody)
    try:
        handle = await loader.load(Dialect.BCC, "send.bpf.c", SENDER)
        worker_pid = loader._probes[handle.id].worker._process.pid
        assert os.stat(f"/proc/{worker_pid}").st_uid in (0, 65534)
        assert "Uid:\t65534\t65534\t65534" in Path(f"/proc/{worker_pid}/status").read_text()
        subprocess.run([program], check=True)
        await events_of(loader, handle, program, 1)
    finally:
        await loader.close()


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        (COUNTER.replace("return 0", "return nothing"), "compile", "line 8"),
        (COUNTER.replace("return 0", "u64 *v = counts.lookup(&key); return *v"), "load", "line 8"),
        (COUNTER.replace("return 0", "bpf_send_signal(9); return 0"), "policy", "line 8"),
        (COUNTER.replace("sched_process_exec", "sched_process_exex"), "attach", "line 4"),
        (COUNTER.replace("u64)", "u64, 1 << 22)"), "limit", "MB"),
        ("int f(void *ctx) { return 0; }", "attach", "f: this is attached to tracepoints"),
        ("BPF_HASH(x);", "limit", "there is no program"),
    ],
    ids=["compiler", "verifier", "policy", "no tracepoint", "memory", "no target", "nothing"],
)
async def test_a_refusal_says_where_and_why(client, source, kind, said):
    with pytest.raises(ProbeRefused) as refused:
        await client.load(Dialect.BCC, "bad.bpf.c", source)
    assert said in refused.value.message
    assert refused.value.kind == kind
    assert refused.value.fix


async def test_a_client_has_a_limited_number(client):
    for _ in range(MAX_PROBES):
        await client.load(Dialect.BCC, "count.bpf.c", COUNTER)
    with pytest.raises(ProbeRefused, match="4 probes of a client"):
        await client.load(Dialect.BCC, "count.bpf.c", COUNTER)


async def test_ten_reloads_under_load_lose_nothing_and_double_nothing(client, program):
    handle = await client.load(Dialect.BCC, "send.bpf.c", SENDER)
    seen, generations, sequence = [], set(), 0

    async def collect():
        nonlocal sequence
        reading = await client.read(handle.id, sequence)
        for event in reading.events:
            sequence = event.sequence
            if event.fields["comm"] == program.name:
                seen.append(event.fields["pid"])
                generations.add(event.generation)
        return reading

    with subprocess.Popen(
        [sys.executable, "-c", STARTER, program, "200"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as starter:
        for number in range(10):
            reload = asyncio.create_task(
                client.replace(handle.id, f"{SENDER}// {number}\n", trial_s=0)
            )
            while not reload.done():
                await collect()
                await asyncio.sleep(0.05)
            assert (await reload).kept_maps == ("counts",)
        output, _ = await asyncio.to_thread(starter.communicate)
    started = list(map(int, output.split()))

    async def all_there():
        await collect()
        return len(seen) >= len(started)

    await until(all_there)
    reading = await collect()
    assert Counter(seen) == Counter(started)
    assert generations == set(range(1, 12))
    assert reading.n_lost == 0
    (counts,) = (each for each in reading.maps if each.name == "counts")
    counted = dict(counts.entries)
    assert all(counted[pid] == 1 for pid in started if pid in counted)


async def test_a_replacement_that_is_refused_leaves_the_old_one_running(client, program):
    handle = await client.load(Dialect.BCC, "send.bpf.c", SENDER)
    for bad in ("return 0 0;", "u64 *v = counts.lookup(&e.pid); return *v;"):
        with pytest.raises(ProbeRefused, match="line"):
            await client.replace(handle.id, SENDER.replace("return 0;", bad))
    subprocess.run([program], check=True)

    (event,) = await events_of(client, handle, program, 1)

    assert event.generation == 1


async def test_a_map_that_means_something_else_begins_anew(client, program):
    handle = await client.load(Dialect.BCC, "count.bpf.c", COUNTER)
    subprocess.run([program], check=True)

    same = await client.replace(handle.id, f"// the same\n{COUNTER}", trial_s=0)
    assert (same.generation, same.kept_maps, same.new_maps) == (2, ("counts",), ())
    # The same size, and another meaning.
    other = COUNTER.replace("char comm[16]; }", "char comm[12]; u32 x; }")
    changed = await client.replace(handle.id, other, trial_s=0)
    assert (changed.generation, changed.kept_maps, changed.new_maps) == (3, (), ("counts",))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("if_any", "if (e.pid) return 0;"), "it sent nothing for"),
        (
            ("if_any", "for (int i = 0; i < 60000; i++) e.ts += bpf_ktime_get_ns();"),
            "of a CPU within",
        ),
    ],
    ids=["silent", "dear"],
)
async def test_a_replacement_that_fails_its_trial_is_taken_back(client, program, change, said):
    source = SENDER.replace("counts.increment", "if_any counts.increment")
    handle = await client.load(Dialect.BCC, "send.bpf.c", source.replace("if_any", ""))
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, program, "150"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as starter:
        await events_of(client, handle, program, 20)
        await client.replace(handle.id, source.replace(*change), trial_s=8)

        async def taken_back():
            reading = await client.read(handle.id, 0)
            return reading if reading.note else None

        reading = await until(taken_back, 60)
        await events_of(client, handle, program, 20, sequence=reading.events[-1].sequence)
        starter.stdin.close()

    assert said in reading.note
    assert reading.note.startswith("generation 2 was taken back")
    assert reading.problem is None
    assert reading.generation == 3
