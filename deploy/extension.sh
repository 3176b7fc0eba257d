#!/bin/sh
# Builds or tests the VS Code extension.
#
#   deploy/extension.sh package   vscode-extension/dist/linnix-ls.vsix
#   deploy/extension.sh test      types, lint and the tests of what knows nothing of VS Code
#
# Packages come from vscode-extension/package-lock.json, with hashes, and run no scripts of theirs.
# Node is the one of deploy/node.sh.
set -eu
cd "$(dirname "$0")/../vscode-extension"

say() { printf 'extension: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
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
PATH="$(../deploy/node.sh):$PATH"
export PATH
ensure_packages
if [ "${1:-package}" = test ]; then
    npm run --silent check
    npm test --silent
else
    cp ../LICENSE .
    npm run --silent package
    say "vscode-extension/dist/linnix-ls.vsix"
fi
