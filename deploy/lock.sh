#!/bin/sh
# Pins every dependency again: requirements.lock is what `make run` installs, requirements-dev.lock
# what `make test` and `make lint` install. Hashes, but no registry's name, are written.
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
.venv/bin/python -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet uv

pin() {
    "$scratch/venv/bin/uv" pip compile pyproject.toml --universal --python-version 3.11 \
        --generate-hashes --no-header --no-annotate --quiet "$@"
}
pin --group build --group sample --output-file requirements.lock "$@"
pin --group dev --constraint requirements.lock --output-file requirements-dev.lock "$@"
