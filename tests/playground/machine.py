"""A kernel that looks the same on every machine: for tests of authoring help."""

from linnix_ls.playground.authoring import ProbeAuthor
from linnix_ls.playground.knowledge.helpers import parse_header
from linnix_ls.playground.knowledge.tracepoints import Tracepoints
from linnix_ls.playground.probe_text import ProbeText
from linnix_ls.playground.targets import Kernel
from linnix_ls.tracer.bpf_source import bpf_dir

COMMON = """\
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;
"""
EXEC = f"""\
name: sched_process_exec
ID: 365
format:
{COMMON}
	field:__data_loc char[] filename;	offset:8;	size:4;	signed:0;
	field:pid_t pid;	offset:12;	size:4;	signed:1;
	field:pid_t old_pid;	offset:16;	size:4;	signed:1;

print fmt: "filename=%s pid=%d old_pid=%d", __get_str(filename), REC->pid, REC->old_pid
"""
FORK = f"""\
name: sched_process_fork
format:
{COMMON}
	field:char parent_comm[16];	offset:8;	size:16;	signed:0;
	field:pid_t parent_pid;	offset:24;	size:4;	signed:1;

print fmt: "comm=%s", REC->parent_comm
"""
OPENAT = f"""\
name: sys_enter_openat
format:
{COMMON}
	field:int __syscall_nr;	offset:8;	size:4;	signed:1;
	field:const char * filename;	offset:24;	size:8;	signed:0;

print fmt: "filename: 0x%08lx", ((unsigned long)(REC->filename))
"""
FORMATS = {
    "sched": {"sched_process_exec": EXEC, "sched_process_fork": FORK},
    "syscalls": {"sys_enter_openat": OPENAT},
}
HEADER = """\
/* Start of BPF helper function descriptions:
 *
 * void *bpf_map_lookup_elem(struct bpf_map *map, const void *key)
 * 	Description
 * 		Perform a lookup in *map* for an entry associated to *key*.
 * 	Return
 * 		Map value associated to *key*, or **NULL** if no entry was
 * 		found.
 *
 * u64 bpf_get_current_pid_tgid(void)
 * 	Return
 * 		A 64-bit integer.
 *
 * long bpf_trace_printk(const char *fmt, u32 fmt_size, ...)
 * 	Description
 * 		Like **printk**\\ ().
 *
 * long bpf_send_signal(u32 sig)
 * 	Description
 * 		Send signal *sig* to the process of the current task.
 */
#define ___BPF_FUNC_MAPPER(FN, ctx...)		\\
	FN(unspec, 0, ##ctx)				\\
	FN(map_lookup_elem, 1, ##ctx)		\\
	FN(trace_printk, 6, ##ctx)		\\
	FN(get_current_pid_tgid, 14, ##ctx)		\\
	FN(send_signal, 109, ##ctx)
"""
KERNEL = Kernel(None, None, has_kprobes=False, has_trampolines=False)


def an_author(btf=None):
    product = {str(path): ProbeText(path.read_text()) for path in sorted(bpf_dir().glob("*.[hc]"))}
    points = Tracepoints(FORMATS, btf, formats=FORMATS)
    return ProbeAuthor(points, parse_header(HEADER), btf, KERNEL, product)


AUTHOR = an_author()
