#!/bin/sh
# Puts llama-cpp-python into .venv; compiles it where no wheel of it has been kept yet.
#
# There are only sources of it to be had. Two to four minutes of compiling on two cores, once: the
# wheel is kept outside the tree, for other checkouts too. Half of what a plain install compiles is
# left out: pictures (LLAVA), a client for HTTPS, and llama.cpp's `common` library, which the Python
# package never loads. May be stopped at any time; the next call goes on where it was.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'llama: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

python=$PWD/.venv/bin/python
project_lock=$PWD/requirements-model.lock
build_lock=$PWD/requirements-llama-build.lock
version=$(sed -n 's/^llama-cpp-python==\([^ ]*\).*/\1/p' "$project_lock")

# For any machine with AVX2, so that a home folder may be shared; one without compiles for itself.
native=OFF
[ "$(uname -m)" != x86_64 ] || grep -qw avx2 /proc/cpuinfo || native=ON
options="-DGGML_NATIVE=$native -DLLAVA_BUILD=OFF -DLLAMA_OPENSSL=OFF"

abi=$("$python" -c 'import sys; print(f"cp{sys.version_info[0]}{sys.version_info[1]}")')
libc=$(getconf GNU_LIBC_VERSION 2>/dev/null | tr ' ' - || echo libc)
recipe=$(echo "$options without common" | cat - "$build_lock" | sha256sum | cut -c1-8)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/linnix-ls/wheels
kept=$cache/$version-$abi-$(uname -m)-$libc-native-$native-$recipe
work=$kept.build

pip() { "$python" -m pip --disable-pip-version-check --quiet "$@"; }

find_wheel() { find "$kept" -name '*.whl' 2>/dev/null | head -n 1; }

# --- progress -------------------------------------------------------------------------------

# ninja says "[12/83] Building …": on a terminal one line that counts, else a line every quarter.
show_progress() {
    is_terminal=0
    [ ! -t 2 ] || is_terminal=1
    awk -v is_terminal="$is_terminal" -v log_path="$1" '
        { print > log_path; fflush(log_path) }
        match($0, /\[[0-9]+\/[0-9]+\]/) {
            split(substr($0, RSTART + 1, RLENGTH - 2), step, "/")
            if (step[2] < 10) next # of the configuration
            percent = int(100 * step[1] / step[2])
            if (is_terminal) printf "\rllama: compiling, %d of %d files ", step[1], step[2]
            else if (percent >= said + 25) { said = percent - percent % 25; print "llama: compiling, " said " %" }
            fflush()
        }
        END { if (is_terminal) printf "\r\033[K" }
    ' >&2
}

# --- building -------------------------------------------------------------------------------

build() {
    command -v c++ >/dev/null || fail "no C++ compiler here (Debian, Ubuntu: apt-get install g++)"
    free_mb=$(df -Pm "$cache" | awk 'NR == 2 { print $4 }')
    [ "$free_mb" -ge 1500 ] || fail "compiling needs 1.5 GB in $cache, and $free_mb MB are free"
    mkdir -p "$work"

    if [ ! -e "$work/tools/ready" ]; then
        say "fetching what builds llama-cpp-python $version"
        "$python" -m venv --clear "$work/tools"
        python=$work/tools/bin/python
        pip install --require-hashes -r "$build_lock" || fail "could not fetch the build tools"
        touch "$work/tools/ready"
    fi
    python=$work/tools/bin/python
    PATH=$work/tools/bin:$PATH

    # Always in the same place, so that what is compiled already is found again.
    if [ ! -d "$work/source" ]; then
        say "fetching the sources of llama-cpp-python $version (77 MB)"
        sed -n '/^llama-cpp-python==/,/[^\\]$/p' "$project_lock" >"$work/source.lock"
        rm -rf "$work/unpacked" "$work/download"
        mkdir "$work/unpacked"
        pip download --no-cache-dir --no-deps --no-binary :all: --no-build-isolation \
            --require-hashes -r "$work/source.lock" -d "$work/download" || fail "could not fetch the sources"
        tar -xzf "$work"/download/*.tar.gz -C "$work/unpacked" --strip-components 1
        # A variable hides the option of the same name, which the package switches on.
        echo 'set(LLAMA_BUILD_COMMON OFF)' >"$work/unpacked/without-common.cmake"
        mv "$work/unpacked" "$work/source"
    fi

    say "compiling it, once for all checkouts: two to four minutes on two idle cores"
    rm -rf "$work/wheels"
    {
        status=0
        CMAKE_ARGS="$options -DCMAKE_PROJECT_INCLUDE=$work/source/without-common.cmake" \
            nice -n 10 "$python" -m pip --disable-pip-version-check --verbose wheel --no-deps \
            --no-cache-dir --no-build-isolation --config-settings build-dir="$work/objects" -w "$work/wheels" \
            "$work/source" 2>&1 || status=$?
        echo "$status" >"$work/status"
    } | show_progress "$work/build.log"
    [ "$(cat "$work/status")" -eq 0 ] || fail "compiling failed; the end of $work/build.log says why"
    mv "$work/wheels" "$kept"
    rm -rf "$work"
    say "compiled; the wheel is kept in $kept"
}

# --- installing -----------------------------------------------------------------------------

works() {
    "$python" - "$version" 2>/dev/null <<'PYTHON'
import importlib.metadata as metadata, sys

is_ours = metadata.version("llama-cpp-python") == sys.argv[1]
import llama_cpp

sys.exit(not is_ours)
PYTHON
}

! works || exit 0
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -n 9 || {
    say "another build is under way; waiting for it"
    flock 9
}
[ -n "$(find_wheel)" ] || (build)
say "installing it into .venv"
pip install --no-deps --force-reinstall "$(find_wheel)"
# The wheel is there, so of it nothing is fetched; the rest is what it imports, and the hub's client.
pip install --require-hashes -r "$project_lock" || fail "could not fetch what it needs"
works || {
    rm -rf "$kept"
    fail "it was installed, but cannot be imported: '$python -c \"import llama_cpp\"' says why"
}
