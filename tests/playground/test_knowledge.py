"""What authoring help knows: of texts that are the same everywhere, and of the kernel that runs."""

import json
import os
import struct

import pytest

from linnix_ls.playground import authoring
from linnix_ls.playground.knowledge import helpers, maps, root, tracepoints
from linnix_ls.playground.knowledge.btf import BTF_PATH, Btf, Kind
from tests.playground.machine import EXEC, FORMATS, HEADER

needs_btf = pytest.mark.skipif(not BTF_PATH.exists(), reason="this kernel has no BTF")


class TestTracepoints:
    def test_a_format_file_is_read(self):
        event = tracepoints.parse_format("sched", "sched_process_exec", EXEC)
        assert [each.bcc_declaration for each in event.fields] == [
            "int data_loc_filename",
            "pid_t pid",
            "pid_t old_pid",
        ]
        assert event.fields[1].offset == 12
        assert event.fields[1].is_signed
        assert event.print_format.startswith('"filename=%s')

    def test_arrays_are_declared_as_c_does_it(self):
        text = "\tfield:char[16] comm;\toffset:8;\tsize:16;\tsigned:0;\n"
        [field] = tracepoints.parse_format("a", "b", text).fields
        assert field.bcc_declaration == "char comm[16]"

    @pytest.mark.parametrize("told", [None, [], "x", {}, {"sched": 1}, {"sched": {"x": None}}])
    def test_what_an_agent_says_can_be_anything(self, told):
        points = tracepoints.from_json(told, None)
        if points is not None:
            for category in points.categories:
                for name in points.events(category):
                    points.event(category, name)

    def test_what_an_agent_passes_on_is_what_it_reads(self):
        points = tracepoints.from_json(json.loads(json.dumps(FORMATS)), None)
        assert points.categories == ["sched", "syscalls"]
        assert points.event("syscalls", "sys_enter_openat").fields[1].declaration == (
            "const char *filename"
        )
        assert points.event("syscalls", "nothing") is None

    @needs_btf
    def test_the_kernels_types_alone_agree_with_tracefs(self):
        btf = Btf.of_this_kernel()
        known, all_points = tracepoints.from_types(btf), tracepoints.from_tracefs(btf)
        assert "sched_process_exec" in known.events("sched")
        if all_points is None:
            pytest.skip("only root may read tracefs")
        for category in known.categories:
            for name in known.events(category):
                event, true_event = known.event(category, name), all_points.event(category, name)
                if event.fields and true_event:
                    assert [(each.name, each.offset) for each in event.fields] == [
                        (each.name, each.offset) for each in true_event.fields
                    ]


class TestHelpers:
    def test_are_read_from_the_kernels_header(self):
        found = helpers.parse_header(HEADER)
        assert found["bpf_map_lookup_elem"].prototype == (
            "void *bpf_map_lookup_elem(struct bpf_map *map, const void *key)"
        )
        assert found["bpf_get_current_pid_tgid"].arguments == ()
        assert found["bpf_trace_printk"].text == "Like printk()."
        assert found["bpf_send_signal"].refused == "sends a signal to a process"

    def test_are_numbered_by_position_in_older_headers(self):
        text = HEADER.replace("FN(unspec, 0, ##ctx)", "FN(unspec),")
        for number in (1, 6, 14, 109):
            text = text.replace(f", {number}, ##ctx)", "),")
        assert helpers.parse_header(text)["bpf_map_lookup_elem"].number == 1

    @pytest.mark.parametrize(
        "text", ["", "Start of BPF helper function descriptions:", HEADER[:300]]
    )
    def test_of_half_a_header_are_fewer(self, text):
        assert len(helpers.parse_header(text)) < 5

    @needs_btf
    def test_without_the_header_have_names_and_numbers(self, tmp_path):
        found = helpers.read_helpers(Btf.of_this_kernel(), header=tmp_path / "none.h")
        assert found["bpf_probe_write_user"].refused
        assert found["bpf_ktime_get_ns"].prototype == "bpf_ktime_get_ns(…)"


class TestTypes:
    @needs_btf
    def test_of_this_kernel_are_read(self):
        btf = Btf.of_this_kernel()
        members = {each.name: each for each in btf.members(btf.find("task_struct"))}
        assert members["real_parent"].declaration == "struct task_struct *real_parent"
        assert members["comm"].declaration == "char comm[16]"
        assert members["comm"].size == 16
        parent, is_pointer = btf.record(members["real_parent"].type_id)
        assert is_pointer
        assert parent == btf.find("task_struct")
        assert "task_struct" in btf.names(Kind.STRUCT, "task_s", 10)

    @needs_btf
    def test_every_struct_of_this_kernel_can_be_declared(self):
        btf = Btf.of_this_kernel()
        for name in btf.names(Kind.STRUCT, "", 1 << 20)[::10]:
            for member in btf.members(btf.find(name)):
                assert member.name in member.declaration

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\0" * 100,
            struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 12, 12, 1) + b"\xff" * 13,
            struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 12, 1 << 30, 1) + b"\0" * 13,
        ],
    )
    def test_that_are_damaged_are_refused(self, content):
        with pytest.raises(ValueError, match="BTF"):
            Btf(content)


def test_every_method_and_type_of_the_tables_is_there():
    for map_type in maps.TYPES.values():
        assert set(map_type.methods) <= maps.METHODS.keys()
    for macro in maps.MACROS.values():
        assert macro.type in {"", *maps.TYPES}


@pytest.mark.parametrize("told", [b"", b"{", b"[]", b"\xff", b'{"tracepoints": 3, "callers": 4}'])
def test_an_author_is_loaded_whatever_an_agent_says(told):
    assert authoring.load(told).complete("TRACEPOINT_PROBE(sch", 1, 21)


@pytest.mark.ebpf
def test_what_an_agent_finds_out_says_who_may_call_a_helper():
    assert os.geteuid() == 0
    facts = json.loads(root.knowledge())
    assert "sched_process_exec" in facts["tracepoints"]["sched"]
    assert "bpf_get_current_comm" in facts["callers"]["tracepoint"]
    assert "bpf_skb_store_bytes" not in facts["callers"]["tracepoint"]
    assert "bpf_perf_prog_read_value" in facts["callers"]["perf_event"]
    assert "bpf_perf_prog_read_value" not in facts["callers"]["tracepoint"]
