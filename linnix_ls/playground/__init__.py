"""The eBPF playground: probe source checked in the editor, by the compiler and the verifier."""
