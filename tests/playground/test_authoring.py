"""Help with writing probes: a text with the cursor as a bar, and what is said there."""

import pytest

from linnix_ls.playground.base import Sort
from tests.playground.machine import AUTHOR

MAPS = """\
struct seen { u32 pid, tgid; char comm[16]; struct seen *next; };
BPF_HASH(counts, u32, struct seen);
BPF_RINGBUF_OUTPUT(events, 8);
BPF_TABLE("lru_hash", u64, u64, recent, 100);
"""
EXEC = f"{MAPS}TRACEPOINT_PROBE(sched, sched_process_exec)\n{{\n    "
LIBBPF = "#include <bpf/bpf_helpers.h>\n"


def at_cursor(text):
    offset = text.index("|")
    before = text[:offset]
    line_start = before.rfind("\n") + 1
    return before + text[offset + 1 :], before.count("\n") + 1, offset - line_start + 1


def complete(text, **more):
    found = AUTHOR.complete(*at_cursor(text), **more)
    return [item.text for item in found.items] if found else []


def hover(text, **more):
    found = AUTHOR.hover(*at_cursor(text), **more)
    return f"{found.described.code}\n{found.described.text}" if found else None


def definition(text, **more):
    source, line, column = at_cursor(text)
    found = AUTHOR.definition(source, line, column, **more)
    if found is None:
        return None
    if found.path is None:
        text = source
    else:
        with open(found.path) as file:
            text = file.read()
    span = found.span
    line_text = text.split("\n")[span.line - 1]
    return found.path and found.path.rpartition("/")[2], line_text[
        span.column - 1 : span.end_column - 1
    ]


class TestCompletion:
    def test_has_categories_and_then_events(self):
        assert complete("TRACEPOINT_PROBE(|") == ["sched", "syscalls"]
        assert complete("TRACEPOINT_PROBE(sy|") == ["syscalls"]
        assert complete("TRACEPOINT_PROBE(sched, |)\n{\n}\n") == [
            "sched_process_exec",
            "sched_process_fork",
        ]

    def test_has_a_word_within_a_name_if_it_is_long_enough(self):
        assert complete("TRACEPOINT_PROBE(sched, exec|") == ["sched_process_exec"]
        assert complete("TRACEPOINT_PROBE(sched, ex|") == []

    def test_goes_on_within_sections(self):
        assert "tracepoint/" in complete(f'{LIBBPF}SEC("|')
        assert complete(f'{LIBBPF}SEC("tp/|")') == ["tp/sched/", "tp/syscalls/"]
        assert complete(f'{LIBBPF}SEC("tracepoint/syscalls/sys|')[0].endswith("sys_enter_openat")

    def test_does_not_offer_sections_that_this_kernel_cannot_attach(self):
        assert not [each for each in complete(f'{LIBBPF}SEC("|') if "probe/" in each]

    def test_has_the_fields_of_the_tracepoint_around(self):
        assert complete(f"{EXEC}u32 pid = args->|") == ["data_loc_filename", "pid", "old_pid"]
        assert complete(
            f"{EXEC}}}\nTRACEPOINT_PROBE(sched, sched_process_fork)\n{{ args->|;\n}}"
        ) == [
            "parent_comm",
            "parent_pid",
        ]

    def test_has_no_fields_outside_of_a_tracepoint(self):
        assert complete(f"{MAPS}int f(void *args)\n{{\n    args->|") == []

    def test_has_the_methods_of_a_map_by_its_macro(self):
        assert "lookup" in complete(f"{EXEC}counts.|")
        assert complete(f"{EXEC}events.|")[0] == "ringbuf_output"
        assert complete(f"{EXEC}recent.up|") == ["update"]

    def test_says_the_types_of_the_map(self):
        source, line, column = at_cursor(f"{EXEC}counts.look|")
        first = AUTHOR.complete(source, line, column).items[0]
        assert first.detail == "struct seen *counts.lookup(u32 *key)"

    def test_follows_the_fields_of_a_struct_of_this_text(self):
        assert complete(f"{EXEC}struct seen *it = 0;\n it->|") == ["pid", "tgid", "comm", "next"]
        assert complete(f"{EXEC}struct seen *it = 0;\n it->next->next[2].tg|") == ["tgid"]
        assert complete(f"{EXEC}((struct seen *)x)->c|") == ["comm"]

    def test_has_the_structs_of_the_products_own_probes(self):
        assert "ktime_ns" in complete(f"{EXEC}struct exec_event event; event.header.|")

    def test_takes_the_last_declaration_of_its_function(self):
        text = f"{EXEC}struct seen *it;\n}}\nint g(struct nothing *it)\n{{\n    it->|\n}}\n"
        assert complete(text) == []

    def test_has_helpers_and_marks_the_refused_ones(self):
        assert complete(f"{EXEC}bpf_get_c|") == ["bpf_get_current_pid_tgid"]
        source, line, column = at_cursor(f"{EXEC}bpf_send|")
        [item] = AUTHOR.complete(source, line, column).items
        assert item.is_refused
        assert item.sort is Sort.HELPER
        assert "sends a signal" in item.detail

    def test_has_map_types_where_they_belong(self):
        assert "BPF_MAP_TYPE_LRU_HASH" in complete(f"{LIBBPF}struct {{ __uint(type, BPF_MAP_TYPE_|")
        assert complete('BPF_TABLE("lru|') == ["lru_hash", "lru_percpu_hash"]

    def test_offers_no_macros_of_bcc_in_the_other_dialect(self):
        assert complete(f"{LIBBPF}BPF_HAS|") == []

    @pytest.mark.parametrize(
        "text",
        ["// TRACEPOINT_PROBE(sch|", "/* args->| */", '"counts.|"', "x = 3.|", "|", "args|->x"],
    )
    def test_has_nothing_where_nothing_belongs(self, text):
        assert complete(text) == []

    def test_leaves_to_clangd_what_it_tells_with_our_header(self):
        for text in ("args->|", "counts.|", "bpf_get_c|", "cou|"):
            assert complete(EXEC + text, has_clangd=True) == []
        assert complete("TRACEPOINT_PROBE(sched, sched_process_e|", has_clangd=True)


class TestHover:
    def test_shows_the_record_of_a_tracepoint(self):
        shown = hover("TRACEPOINT_PROBE(sched, sched_process_e|xec)")
        assert "int data_loc_filename;  /* at 8, 4 bytes */" in shown
        assert "As the kernel prints it:" in shown
        assert "TP_DATA_LOC_READ_CONST" in shown

    def test_shows_it_as_the_kernel_has_it_in_a_section(self):
        assert "__data_loc char[] filename" in hover(f'{LIBBPF}SEC("tp/sched/sched_pro|cess_exec")')

    def test_shows_a_helper_with_its_text_and_number(self):
        shown = hover(f"{EXEC}bpf_map_lookup|_elem(&m, &k)")
        assert shown.startswith("void *bpf_map_lookup_elem(struct bpf_map *map, const void *key)")
        assert "Map value associated to key, or NULL if no entry was found." in shown
        assert "Helper number 1." in shown

    def test_says_first_that_a_helper_is_refused(self):
        assert "\nRefused in the playground: it sends a signal" in hover(
            f"{EXEC}bpf_send_sig|nal(9)"
        )

    def test_says_of_a_map_what_it_is(self):
        assert "BPF_HASH(counts, u32, struct seen)" in hover(f"{EXEC}cou|nts.lookup(&x)")

    def test_says_of_a_method_what_it_does_also_beside_clangd(self):
        assert "or NULL" in hover(f"{EXEC}counts.loo|kup(&x)")
        assert hover(f"{EXEC}counts.loo|kup(&x)", has_clangd=True).startswith("\n")

    def test_knows_bccs_form_of_printk(self):
        assert "(const char *fmt, ...)" in hover(f"{EXEC}bpf_trace_|printk(1)")
        assert "u32 fmt_size" in hover(f"{LIBBPF}int f() {{ bpf_trace_|printk(1)")

    def test_covers_the_word(self):
        source, line, column = at_cursor(f"{EXEC}u32 é = args->p|id;")
        span = AUTHOR.hover(source, line, column).span
        assert source.split("\n")[span.line - 1][span.column - 1 : span.end_column - 1] == "pid"


class TestSignature:
    def signature(self, text, **more):
        found = AUTHOR.signature(*at_cursor(text), **more)
        return (found.label, found.parameters[found.active]) if found else None

    def test_is_that_of_the_innermost_call(self):
        label, parameter = self.signature(
            f"{EXEC}bpf_map_lookup_elem(f(1, 2), (struct x[]){{1|"
        ) or ("", "")
        assert (label, parameter) == ("", "")  # within braces nothing is known
        label, parameter = self.signature(f"{EXEC}bpf_map_lookup_elem(f(1, 2), x[1]|")
        assert parameter == "const void *key"

    def test_has_the_types_of_the_map(self):
        assert self.signature(f"{EXEC}counts.update(&key, |") == (
            "int counts.update(u32 *key, struct seen *leaf)",
            "struct seen *leaf",
        )

    def test_is_there_for_macros_with_or_without_clangd(self):
        for has_clangd in (False, True):
            _, parameter = self.signature("BPF_HASH(x, u32, |", has_clangd=has_clangd)
            assert parameter == "leaf_type = u64"

    def test_stays_at_the_last_of_any_number_and_ends_after_too_many(self):
        _, parameter = self.signature(f'{EXEC}bpf_trace_printk("x", 1, 2, 3|')
        assert parameter == "..."
        assert self.signature(f"{EXEC}counts.delete(1, 2|") is None


class TestDefinition:
    def test_is_found_in_this_text(self):
        assert definition(f"{EXEC}cou|nts.lookup(1)") == (None, "counts")
        assert definition(f"{EXEC}struct se|en x;") == (None, "seen")
        assert definition("static int help|er(int x)\n{\n}\nint f() { }") == (None, "helper")

    def test_is_found_in_the_products_own_probes(self):
        assert definition(f"{EXEC}is_wat|ched(x)") == ("scope.h", "is_watched")
        assert definition(f"{EXEC}struct exec_e|vent e;") == ("events.h", "exec_event")
        assert definition('#include "eve|nts.h"\n') == ("events.h", "")

    def test_of_this_text_is_clangds_business_if_it_is_there(self):
        assert definition(f"{EXEC}cou|nts.lookup(1)", has_clangd=True) is None
        assert definition(f"{EXEC}is_wat|ched(x)", has_clangd=True)


HOSTILE = [
    "\0\ufffd\x1b[2J" * 100,
    'SEC("' * 3000,
    "BPF_HASH(" * 3000,
    "{" * 20_000,
    "a->" * 10_000,
    "struct x { struct y { " * 1000,
    "((" * 10_000,
    "f(\n" * 10_000,
    "struct a *x; " * 5000,
    "BPF_HASH(a" + "(b)" * 10_000,
    "f(a,b)\n{ g(); }\n" * 2000,
    "#define \\\n" * 4000,
    "TRACEPOINT_PROBE(",
    "TRACEPOINT_PROBE()\n{ args->",
    "RAW_TRACEPOINT_PROBE()\n{ ctx->",
    'BPF_TABLE(",,,", , , ,)\nBPF_TABLE(x)\nBPF_HASH()\nBPF_HASH(,)\n',
    "struct s { int a : 3, *b[2], (*c)(int); } x; struct s *p; void f() { p->",
    "struct a { struct a *b; }; void f(struct a *x) { " + "x->b" + "->b" * 5000 + "->",
    "x" * 300_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_is_too_strange(text):
    last = text.count("\n") + 1, len(text) - text.rfind("\n")
    for line, column in (last, (1, 1), (1, 7), (10**9, 10**9), (-1, -1)):
        for ask in (AUTHOR.complete, AUTHOR.hover, AUTHOR.signature, AUTHOR.definition):
            ask(text, line, column)
    AUTHOR.tokens(text)


def test_help_is_there_at_every_point_of_a_probe_as_it_is_typed():
    text = f"{EXEC}u32 pid = args->pid;\n    counts.increment(pid);\n    return 0;\n}}\n"
    for end in range(len(text) + 1):
        line, column = text.count("\n", 0, end) + 1, end - text.rfind("\n", 0, end)
        AUTHOR.complete(text[:end], line, column)
        AUTHOR.signature(text[:end], line, column)
        AUTHOR.hover(text, line, column)
