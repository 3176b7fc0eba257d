#!/bin/sh
# Pins every dependency again. Hashes, but no registry's name, are written.
#
#   requirements.lock              what `make setup` and `make run` install first
#   requirements-model.lock        what `make model` adds: the extras hub, endpoint and local
#   requirements-llama-build.lock  what builds llama-cpp-python, in an environment of its own
#   requirements-audit.lock        what `make audit` and `make sbom` run, in an environment of its own
#   requirements-dev.lock          what `make test` and `make lint` install
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
.venv/bin/python -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet uv

pin() {
    "$scratch/venv/bin/uv" pip compile --universal --python-version 3.11 \
        --generate-hashes --no-header --no-annotate --quiet "$@"
}
pin pyproject.toml --group build --group sample --output-file requirements.lock "$@"
pin pyproject.toml --extra hub --extra endpoint --extra local --constraint requirements.lock \
    --output-file requirements-model.lock "$@"
pin --group llama-build --output-file requirements-llama-build.lock "$@"
pin --group audit --output-file requirements-audit.lock "$@"
pin pyproject.toml --extra hub --extra endpoint --group dev --constraint requirements-model.lock \
    --constraint requirements.lock --output-file requirements-dev.lock "$@"
