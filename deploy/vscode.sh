#!/bin/sh
# Installs VS Code's own server, once for all checkouts, and prints its folder: what the tests of
# the extension start and open in Chromium.
#
# It comes as part of the npm package code-server, with a lock file of its own; of its packages only
# two are compiled, those without which it does not start. About a minute; nothing else is fetched.
set -eu
cd "$(dirname "$0")"

say() { printf 'vscode: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

version=4.139.1
sha512=7d462f255773e19a1525f6a41a21965c532917c2b539bb2ba46bd7d7b67136928ecdd347b3b940353ebbd094ebe19840f039d6ab2bef9851bf7771d5f58cba7b

programs=$(./node.sh)
recipe=$(cat node.sh vscode.sh | sha256sum | cut -c1-8)
cache=$(dirname "$(dirname "$programs")")
kept=$cache/vscode-$version-$recipe

umask 022
exec 9>"$kept.lock"
flock 9
if [ ! -e "$kept" ]; then
    say "installing VS Code's server (code-server $version) into $kept"
    work=$kept.work
    rm -rf "$work"
    mkdir -p "$work/server"
    cd "$work"
    PATH=$programs:$PATH
    # Compiled for this Node, by its own headers, whatever another one's are set to.
    npm_config_nodedir=$(readlink -f "$programs/../node")
    npm_config_update_notifier=false
    export PATH npm_config_nodedir npm_config_update_notifier
    npm pack --silent "code-server@$version" >/dev/null || fail "could not fetch it"
    echo "$sha512  code-server-$version.tgz" | sha512sum --check --status || fail "it is not what it was"
    tar -xzf "code-server-$version.tgz" -C server --strip-components 3 package/lib/vscode
    cd server
    # Its lock file leaves out what others only would like to have.
    npm ci --silent --no-audit --no-fund --ignore-scripts --omit=dev --legacy-peer-deps ||
        fail "could not fetch its packages"
    npm rebuild @vscode/spdlog @vscode/native-watchdog >../build.log 2>&1 ||
        fail "compiling failed: see $work/build.log"
    chmod -R go+rX .
    mv "$work/server" "$kept"
    rm -rf "$work"
fi
echo "$kept"
