// expect: line=12 family=null behind comments with braces kind=verifier
/* } } { not code { */
BPF_HASH(a, u32, u64);
// another { brace
#define OPEN "{"   /* { */
TRACEPOINT_PROBE(sched, sched_process_exit) { /* { */
  u32 k = args->pid; // }
  char c = '{'; char *s = "}}}";
  {
     u64 *v = a.lookup(&k);
     if (c == '}') { return 0; }
     (*v)++;
  }
  return 0;
}
