#!/bin/sh
# Installs the tools that bench.overhead compares linnix-ls with, from the distribution (Debian,
# Ubuntu), as root. Nothing else needs them; one that cannot be had is left out, and the benchmark
# says so.
set -eu

command -v apt-get >/dev/null || {
    echo "bench-tools: there is no apt-get here" >&2
    exit 1
}
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || echo "bench-tools: apt-get update failed; trying with the lists that are there" >&2
for package in bpftrace forkstat libbpf-tools linux-perf strace; do
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
        echo "bench-tools: could not install $package" >&2
done
