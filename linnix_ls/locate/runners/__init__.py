"""Which test a process belongs to, for each test runner. `registry` asks them all."""
