# Everything there is to do with a checkout. `make` alone lists it.

.DEFAULT_GOAL := help
.PHONY: help setup run model test test-fast lint audit sbom extension packages extension-test bench fuzz kernels generate pictures traces recordings lock clean

BIN := .venv/bin

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## install what is missing; leaves .venv/bin/linnix-ls
	@deploy/setup.sh run

run: setup ## watch the sample project's tests, point at the two lines, explain them with a model
	@deploy/run-sample.sh

model: setup ## build llama-cpp-python and fetch a small language model: minutes, once
	@deploy/setup.sh model

test: ## all tests, real eBPF, editors and a language model included
	@deploy/setup.sh test
	@deploy/vscode.sh >/dev/null || echo "tests that need VS Code will fail"
	@deploy/setup.sh model || echo "tests that need a language model will fail"
	@deploy/extension.sh test
	$(BIN)/python -m pytest

test-fast: ## the tests that need no process, privilege or editor: seconds
	@deploy/setup.sh test
	$(BIN)/python -m pytest -m "not e2e and not ebpf"

lint: ## ruff, mypy, layers, shell scripts
	@deploy/setup.sh test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck deploy/*.sh deploy/packages/*.sh .ci/run

audit: ## known holes in what we depend on, as far as pip's and npm's registries tell
	@deploy/setup.sh run
	@deploy/audit.sh audit

sbom: ## dist/*.cdx.json: what linnix-ls and its extension are made of (CycloneDX)
	@deploy/setup.sh run
	@mkdir -p dist
	@deploy/audit.sh sbom requirements.lock dist/linnix-ls.cdx.json
	@deploy/audit.sh sbom-extension dist/vscode-extension.cdx.json

extension: ## the VS Code extension, as vscode-extension/dist/linnix-ls.vsix
	@deploy/extension.sh package

packages: ## dist/linnix-ls_*.deb and dist/linnix-ls-*.rpm, the extension within: two minutes
	@deploy/setup.sh run
	@deploy/package.sh

extension-test: ## the extension's types, lint and tests, without VS Code
	@deploy/extension.sh test

bench: ## time to diagnostic, what the server costs an editor, accuracy, innocents, explanations: two hours on a quiet machine
	@deploy/setup.sh test
	$(BIN)/python -m bench.latency
	$(BIN)/python -m bench.heard
	$(BIN)/python -m bench.cost
	$(BIN)/python -m bench.capture
	$(BIN)/python -m bench.growth
	$(BIN)/python -m bench.editor
	$(BIN)/python -m bench.playground
	$(BIN)/python -m bench.playing --minutes 10
	@deploy/bench-tools.sh
	$(BIN)/python -m bench.overhead
	$(BIN)/python -m bench.start
	$(BIN)/python -m bench.soak
	$(BIN)/python -m bench.accuracy
	$(BIN)/python -m bench.innocents
	@deploy/setup.sh model
	$(BIN)/python -m bench.explain.quality --model smollm2-135m
	$(BIN)/python -m bench.explain.hover --model smollm2-135m
	$(BIN)/python -m bench.explain.neighbour --model smollm2-135m

kernels: ## the agent on kernels of Debian from 5.10 on, in QEMU without KVM: a quarter of an hour, as root
	@deploy/setup.sh test
	$(BIN)/python -m bench.kernels

fuzz: ## hostile input by the thousand: MINUTES=10, or as long as you like
	@deploy/setup.sh test
	$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),10)

generate: ## write anew tracer/wire.py, docs/thresholds.md, the settings in docs and extension
	@deploy/setup.sh test
	$(BIN)/python -m linnix_ls.tracer.generate_wire
	$(BIN)/python -m linnix_ls.generate_thresholds
	$(BIN)/python -m linnix_ls.generate_extension_settings
	$(BIN)/python -m linnix_ls.generate_settings_tables

pictures: ## docs/run.svg and docs/pictures anew, from real runs; then look at them
	@deploy/setup.sh test
	$(BIN)/python docs/draw_run.py
	LINNIX_PICTURES=docs/pictures $(BIN)/python -m pytest tests/e2e/test_vscode.py -k Pictures

traces: ## record tests/traces anew, those of the corpus too: a quarter of an hour
	@deploy/setup.sh test
	tests/traces/record.sh
	tests/traces/record.sh --corpus

recordings: ## record what happens in the lessons of the playground anew: half a minute, as root
	@deploy/setup.sh test
	$(BIN)/python -m tests.playground.record_lessons

lock: ## pin the dependencies again (deploy/lock.sh --upgrade: the newest ones)
	deploy/lock.sh

clean: ## remove everything that the other targets made, but for models and the wheel kept outside
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist bench/results
	rm -rf vscode-extension/node_modules vscode-extension/dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
