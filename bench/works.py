"""The innocents: real test suites, builds and computations that do what they are there for.

Each is fetched by the ordinary clients (pip, npm, apt-get) when it is first needed, into a folder
that is kept, and runs without a network then. Not here: how they are watched (`innocents`).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench import machine

PYTHON = "/usr/bin/python3"  # the system's: its test suite is a package of the distribution
PREPARE_TIMEOUT_S = 600
XZ_BYTES = 60 << 20  # two minutes and more: xz -9 takes its time
N_NODE_MODULES = 400
N_RUST_MODULES = 120


class CannotPrepare(Exception):
    """What could not be had, in words."""


@dataclass(frozen=True, slots=True)
class Work:
    """One innocent.

    Attributes:
        prepare: fetches and makes what it needs in the folder that it is given; sources go into
            `work` there, of which each run gets a copy.
        command: what runs in that copy; ``{prepared}`` is the folder.
        environment: beside our own.
    """

    name: str
    about: str
    prepare: Callable[[Path], None]
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def prepared(work: Work) -> Path:
    """The folder with what it needs; made once, kept until this module changes.

    Raises:
        CannotPrepare: something could not be had.
    """
    fingerprint = machine.fingerprint(Path(__file__).read_bytes())
    folder = machine.cache_folder() / f"innocent-{work.name}-{fingerprint}"
    done = folder / "done"
    if not done.exists():
        for old in machine.cache_folder().glob(f"innocent-{work.name}-*"):
            shutil.rmtree(old)
        (folder / "work").mkdir(parents=True)
        try:
            work.prepare(folder)
        except (OSError, subprocess.SubprocessError) as error:
            raise CannotPrepare(str(error)) from error
        done.touch()
    return folder


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> None:
    """Raises CannotPrepare with what the command said last."""
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=PREPARE_TIMEOUT_S,
        check=False,
    )
    if ended.returncode:
        last = " / ".join(ended.stdout.strip().splitlines()[-3:])
        raise CannotPrepare(f"{command[0]} {command[1]} failed ({ended.returncode}): {last}")


def _venv(folder: Path, *requirements: str | Path) -> None:
    run(sys.executable, "-m", "venv", folder / "venv")
    pip = ("-m", "pip", "install", "-qq", "--disable-pip-version-check")
    run(folder / "venv/bin/python", *pip, *requirements)


def fetch_sdist(name: str, version: str, folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
    run(*pip, "--no-deps", "--no-binary", name, "--dest", folder, f"{name}=={version}")


def python_suite(name: str, version: str, about: str, *options: str) -> Work:
    """A package's own tests, out of its source distribution from PyPI."""

    def prepare(folder: Path) -> None:
        fetch_sdist(name, version, folder / "sdist")
        [archive] = (folder / "sdist").iterdir()
        run("tar", "-xf", archive, "-C", folder / "work", "--strip-components=1")
        _venv(folder, "pytest", folder / "work")

    pytest = ("{prepared}/venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    return Work(f"suite-{name}", about, prepare, (*pytest, *options))


def _cpython(module: str) -> Work:
    """One of CPython's own tests."""

    def prepare(_folder: Path) -> None:
        has_it = f"import test.support, test.{module}"
        if subprocess.run([PYTHON, "-c", has_it], capture_output=True, check=False).returncode:
            version = subprocess.check_output(
                [PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], text=True
            )
            package = f"libpython{version.strip()}-testsuite"
            run("apt-get", "install", "-y", "-qq", package, DEBIAN_FRONTEND="noninteractive")
            run(PYTHON, "-c", has_it)

    name = module.removeprefix("test_").replace("_", "-")
    return Work(f"cpython-{name}", f"CPython's {module}", prepare, (PYTHON, "-m", "test", module))


def _prepare_bundle(folder: Path) -> None:
    work = folder / "work"
    package = {
        "name": "site",
        "version": "1.0.0",
        "private": True,
        "scripts": {"build": "webpack --mode production"},
        "devDependencies": {"webpack": "5.98.0", "webpack-cli": "6.0.1"},
    }
    (work / "package.json").write_text(json.dumps(package))
    (work / "src").mkdir()
    for n in range(N_NODE_MODULES):
        used = [n // 2, n // 3] if n else []
        imports = "".join(f"import * as m{i} from './part{i}.js';\n" for i in sorted({*used}))
        total = " + ".join(f"m{i}.total(rows)" for i in sorted({*used})) or "0"
        (work / f"src/part{n}.js").write_text(
            imports + f"export const names = {json.dumps([f'name{n}-{i}' for i in range(40)])};\n"
            "export function total(rows) {\n"
            "  let sum = 0;\n"
            f"  for (const row of rows) {{ sum += row.length * {n} + names.indexOf(row); }}\n"
            f"  return sum + ({total});\n}}\n"
        )
    last = N_NODE_MODULES - 1
    (work / "src/index.js").write_text(
        "".join(f"import * as p{n} from './part{n}.js';\n" for n in range(last // 2, last))
        + f"console.log({' + '.join(f'p{n}.total(p{n}.names)' for n in range(last // 2, last))});\n"
    )
    # Fills the cache, and leaves a lock file that says from where: else npm asks again.
    run(
        *("npm", "install", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved=false"),
        cwd=work,
        npm_config_cache=f"{folder}/npm",
    )
    shutil.rmtree(work / "node_modules")


_EXTENSIONS = (("regex", "2026.11.19"), ("markupsafe", "3.0.4"))


def _prepare_extension(folder: Path) -> None:
    for name, version in _EXTENSIONS:
        fetch_sdist(name, version, folder / "sdists")
    _venv(folder, "setuptools>=77", "wheel")


def _prepare_xz(folder: Path) -> None:
    """A log as a busy server writes it."""
    rng = random.Random(3)
    paths = [f"/{rng.choice('abcdef')}/{rng.randrange(10**6):x}/page" for _ in range(5000)]
    n_bytes = 0
    with open(folder / "access.log", "w") as file:
        while n_bytes < XZ_BYTES:
            n_bytes += file.write(
                f"10.0.{rng.randrange(256)}.{rng.randrange(256)} {n_bytes:x} GET"
                f" {rng.choice(paths)} {rng.choice((200, 200, 304, 404))} {rng.randrange(10**7)}\n"
            )


def _prepare_crate(folder: Path) -> None:
    work = folder / "work"
    (work / "src").mkdir()
    (work / "Cargo.toml").write_text(
        '[package]\nname = "ledger"\nversion = "0.1.0"\nedition = "2021"\n'
    )
    for n in range(N_RUST_MODULES):
        (work / f"src/book{n}.rs").write_text(_RUST_MODULE.replace("NUMBER", str(n + 1)))
    names = [f"book{n}" for n in range(N_RUST_MODULES)]
    (work / "src/main.rs").write_text(
        "".join(f"mod {name};\n" for name in names)
        + "fn main() {\n    let mut sum = 0u64;\n"
        + "".join(f"    sum = sum.wrapping_add({name}::balance(100));\n" for name in names)
        + '    println!("{sum}");\n}\n'
    )


_RUST_MODULE = """\
use std::collections::{BTreeMap, HashMap};

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entry {
    Credit { account: String, cents: u64 },
    Debit { account: String, cents: u64 },
    Note(Vec<String>),
}

#[derive(Debug, Default, Clone)]
pub struct Book {
    entries: Vec<Entry>,
    by_account: HashMap<String, Vec<usize>>,
}

impl Book {
    pub fn add(&mut self, entry: Entry) {
        let index = self.entries.len();
        match &entry {
            Entry::Credit { account, .. } | Entry::Debit { account, .. } => {
                self.by_account.entry(account.clone()).or_default().push(index)
            }
            Entry::Note(lines) => {
                for line in lines {
                    self.by_account.entry(line.to_lowercase()).or_default().push(index)
                }
            }
        }
        self.entries.push(entry);
    }

    pub fn totals(&self) -> BTreeMap<String, i64> {
        let mut totals = BTreeMap::new();
        for (account, indices) in &self.by_account {
            let total = indices
                .iter()
                .filter_map(|&i| match &self.entries[i] {
                    Entry::Credit { cents, .. } => Some(*cents as i64),
                    Entry::Debit { cents, .. } => Some(-(*cents as i64)),
                    Entry::Note(_) => None,
                })
                .sum();
            totals.insert(format!("{account}-NUMBER"), total);
        }
        totals
    }
}

pub fn balance(n: u64) -> u64 {
    let mut book = Book::default();
    for i in 0..n {
        let account = format!("account{}", i % NUMBER);
        book.add(match i % 3 {
            0 => Entry::Credit { account, cents: i * NUMBER },
            1 => Entry::Debit { account, cents: i },
            _ => Entry::Note(vec![account, i.to_string()]),
        });
    }
    let mut sorted = book.entries.clone();
    sorted.sort();
    sorted.dedup();
    let known = format!("{:?}", sorted.first()).len() as u64;
    book.totals().values().fold(known, |sum, cents| sum.wrapping_add(*cents as u64))
}
"""


def _prepare_training(folder: Path) -> None:
    requirements = Path(__file__).parent / "corpus/requirements.txt"
    (folder / "venv").symlink_to(machine.venv_with(requirements))
    (folder / "work/train.py").write_text(textwrap.dedent(_TRAINING))


_TRAINING = """\
    import time

    import numpy as np

    rng = np.random.default_rng(7)
    images = rng.normal(size=(20_000, 784)).astype(np.float32)
    digits = (images @ rng.normal(size=(784, 10)).astype(np.float32)).argmax(axis=1)
    hidden = rng.normal(scale=0.05, size=(784, 256)).astype(np.float32)
    output = rng.normal(scale=0.05, size=(256, 10)).astype(np.float32)


    def step(batch, wanted, rate):
        global hidden, output
        active = np.maximum(batch @ hidden, 0)
        scores = active @ output
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        scores[np.arange(len(wanted)), wanted] -= 1
        back = (scores @ output.T) * (active > 0)
        output = output - rate * active.T @ scores / len(batch)
        hidden = hidden - rate * batch.T @ back / len(batch)


    def accuracy():
        return (np.maximum(images @ hidden, 0) @ output).argmax(axis=1) == digits


    give_up = time.monotonic() + 60
    epoch = 0
    while time.monotonic() < give_up:
        order = rng.permutation(len(images))
        for start in range(0, len(images), 200):
            chosen = order[start : start + 200]
            step(images[chosen], digits[chosen], rate=0.05)
        epoch += 1
        if epoch % 20 == 0:
            print(epoch, accuracy().mean(), flush=True)
    """


WORKS = (
    python_suite("sh", "2.4.0", "the suite of sh: starts hundreds of programs"),
    python_suite("more-itertools", "11.2.1", "the suite of more-itertools: computes"),
    python_suite("click", "8.5.1", "the suite of click"),
    _cpython("test_subprocess"),
    _cpython("test_multiprocessing_fork"),
    _cpython("test_asyncio"),
    Work(
        "npm-webpack",
        f"npm ci, and webpack on a project of {N_NODE_MODULES} modules",
        _prepare_bundle,
        ("sh", "-c", "npm ci --offline --no-audit --no-fund && npm run build"),
        {"npm_config_cache": "{prepared}/npm"},
    ),
    Work(
        "pip-wheel",
        "pip wheel of C extensions: regex and markupsafe",
        _prepare_extension,
        (
            *("{prepared}/venv/bin/python", "-m", "pip", "wheel", "--no-index", "--no-deps"),
            *("--no-build-isolation", "--no-cache-dir", "--wheel-dir", "wheels"),
            *(f"{{prepared}}/sdists/{name}-{version}.tar.gz" for name, version in _EXTENSIONS),
        ),
    ),
    Work(
        "xz",
        f"xz -9 of {XZ_BYTES >> 20} MB of a generated log",
        _prepare_xz,
        ("sh", "-c", 'xz -9 --stdout "$0" > access.log.xz', "{prepared}/access.log"),
    ),
    Work(
        "cargo",
        f"cargo build --release of a crate of {N_RUST_MODULES} modules without dependencies",
        _prepare_crate,
        ("cargo", "build", "--release", "--offline"),
        {"CARGO_TERM_COLOR": "never"},
    ),
    Work(
        "numpy-training",
        "a minute of training a small network with numpy",
        _prepare_training,
        ("{prepared}/venv/bin/python", "train.py"),
    ),
)
