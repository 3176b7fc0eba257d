#!/bin/sh
# Looks at what linnix-ls is made of.
#
#   deploy/audit.sh audit               known holes in the dependencies of all lock files
#   deploy/audit.sh sbom LOCK FILE      what is in a lock file, as a CycloneDX document
#   deploy/audit.sh sbom-extension FILE the same of the VS Code extension
#
# What is known of holes comes from the registries that pip and npm are set up with: `audit` says so
# where one of them does not tell, and fails (with 3), as it does (with 1) where there is a hole.
# The tools are in an environment of their own, outside the tree, as requirements-audit.lock pins them.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'audit: %s\n' "$*" >&2; }

tools() {
    if [ "$(id -u)" -eq 0 ]; then
        cache=/var/cache/linnix-ls-tools
    else
        cache=${XDG_CACHE_HOME:-$HOME/.cache}/linnix-ls-tools
    fi
    tools=$cache/audit-$(cat requirements-audit.lock .venv/pyvenv.cfg | sha256sum | cut -c1-12)
    [ ! -e "$tools/ready" ] || return 0
    mkdir -p "$cache"
    chmod 755 "$cache"
    rm -rf "$tools"
    .venv/bin/python -m venv "$tools"
    "$tools/bin/pip" install -qq --disable-pip-version-check --require-hashes -r requirements-audit.lock
    touch "$tools/ready"
}

npm_of_ours() {
    npm=$(command -v npm) || { say "there is no npm here"; return 3; }
    (cd vscode-extension && "$npm" "$@")
}

audit() {
    status=0
    for lock in requirements*.lock; do
        say "$lock"
        # Each lock has all that it needs: nothing is resolved, and nothing installed.
        # Strict: what is not found where holes are listed is not taken for free of them.
        out=$("$tools/bin/pip-audit" --strict --require-hashes --disable-pip --progress-spinner off -r "$lock" 2>&1) &&
            continue
        case $out in
            *"Found "[0-9]*" known vulnerabilit"*)
                printf '%s\n' "$out" >&2
                [ "$status" = 3 ] || status=1
                ;;
            *)
                printf '%s\n' "$out" | tail -n 1 >&2
                say "not looked through: $lock (no answer from where known holes are listed)"
                status=3
                ;;
        esac
    done
    say "vscode-extension/package-lock.json"
    if out=$(npm_of_ours audit --audit-level=low 2>&1); then
        :
    elif printf '%s' "$out" | grep -q '^# npm audit report'; then
        printf '%s\n' "$out" >&2
        [ "$status" = 3 ] || status=1
    else
        printf '%s\n' "$out" | head -n 4 >&2
        say "not looked through: package-lock.json (no answer from npm's registry)"
        status=3
    fi
    [ "$status" != 0 ] || say "nothing known"
    return "$status"
}

case ${1:-} in
    audit)
        tools
        audit
        ;;
    sbom)
        tools
        # The same for the same lock: it says when and as what number it was made only if asked to.
        PYTHONWARNINGS=ignore "$tools/bin/cyclonedx-py" requirements --output-reproducible --of JSON --sv 1.6 \
            --pyproject pyproject.toml -o "${3:?}" "${2:?}"
        ;;
    sbom-extension)
        file=$(realpath -m "${2:?}")
        npm_of_ours sbom --sbom-format cyclonedx --package-lock-only >"$file"
        ;;
    *)
        say "unknown word '${1:-}': audit, sbom or sbom-extension"
        exit 2
        ;;
esac
