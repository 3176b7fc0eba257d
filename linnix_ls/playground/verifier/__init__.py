"""From the kernel verifier's log to what it means, and where."""
