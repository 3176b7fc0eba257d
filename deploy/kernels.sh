#!/bin/sh
# Fetches Debian's own kernels, once for all checkouts, and prints their folder: what
# `python -m bench.kernels` starts in QEMU. As root; about a minute.
#
#   deploy/kernels.sh [SUITE]...      by default all that are known: see below
#
# Each becomes FOLDER/SUITE with `vmlinuz`, `modules/` (the few that its root needs), `config` and
# `release`. They come through apt, with lists of its own, from where this machine's packages come
# from; nothing of the machine's apt or kernel is changed. A kernel is fetched again when its
# folder is removed.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'kernels: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

[ "$(id -u)" -eq 0 ] || fail "this needs root"
[ $# -gt 0 ] || set -- bullseye bookworm bookworm-backports trixie # 5.10, 6.1, 6.12, 6.12
cache=/var/cache/linnix-ls-tools/kernels

umask 022
mkdir -p "$cache"
exec 9>"$cache.lock"
flock 9

missing=
for program in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static xz:xz-utils; do
    command -v "${program%%:*}" >/dev/null || missing="$missing ${program#*:}"
done
if [ -n "$missing" ]; then
    say "installing with apt:$missing"
    # shellcheck disable=SC2086  # words
    deploy/setup.sh install-packages $missing
fi

# Where Debian's own packages come from here, by apt's own account.
mirror() {
    # shellcheck disable=SC2016  # apt's words, not the shell's
    apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^Debian [a-z]* //p' | head -n 1
}

# Apt with lists and a cache of its own, for one suite only.
fetch() {
    suite=$1
    work=$cache/$suite.work
    rm -rf "$work"
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/deb" "$work/kept/modules"
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$keys] $from $suite main" >"$work/sources.list"
    cat >"$work/apt.conf" <<CONFIGURATION
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
CONFIGURATION
    export APT_CONFIG="$work/apt.conf"
    apt-get update -qq >"$work/log" 2>&1 || fail "no lists of $suite: see $work/log"
    package=$(apt-cache show linux-image-cloud-amd64 | sed -n 's/^Depends: \(linux-image[^ ]*\).*/\1/p' | head -n 1)
    [ -n "$package" ] || fail "there is no kernel in $suite"
    (cd "$work/deb" && apt-get download -qq "$package" >>"$work/log" 2>&1) ||
        fail "could not fetch $package: see $work/log"
    unset APT_CONFIG
    dpkg-deb -x "$work"/deb/*.deb "$work/root"
    mv "$work"/root/boot/vmlinuz-* "$work/kept/vmlinuz"
    mv "$work"/root/boot/config-* "$work/kept/config"
    echo "${package#linux-image-}" >"$work/kept/release"
    # What is not there is built in. Busybox does not load compressed ones.
    for module in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci fuse virtiofs overlay; do
        find "$work/root" "(" -name "$module.ko" -o -name "$module.ko.xz" ")" -exec cp {} "$work/kept/modules/" ";"
    done
    find "$work/kept/modules" -name '*.xz' -exec xz -d {} +
    rm -rf "${cache:?}/$suite"
    mv "$work/kept" "$cache/$suite"
    rm -rf "$work"
}

from=
for suite in "$@"; do
    [ ! -e "$cache/$suite" ] || continue
    [ -n "$from" ] || from=$(mirror)
    if [ -z "$from" ]; then
        apt-get update -qq >/dev/null
        from=$(mirror)
    fi
    [ -n "$from" ] || fail "apt does not say where Debian's packages come from"
    say "fetching the kernel of $suite"
    fetch "$suite"
done
echo "$cache"
