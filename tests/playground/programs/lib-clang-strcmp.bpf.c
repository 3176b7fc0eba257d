// expect: line=11 family=extern kind=clang
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <string.h>
int found;
SEC("tp/sched/sched_process_exec")
int ex(void *ctx)
{
	char comm[16];
	bpf_get_current_comm(comm, sizeof(comm));
	if (strcmp(comm, "bash") == 0)
		found++;
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
