"""The project's jobs: lint, types, tests, and the matrix of real pairs. `nox -l` lists them."""

import argparse
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # nox's own environment does not have this project installed

from compat.matrix.config import read_matrix  # noqa: E402 -- needs the line above

nox.needs_version = ">=2026.8.17"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "types", "tests"]

PAIRS = read_matrix(ROOT / "matrix.toml").ids
CLEAN_UP = 120.0
"""Seconds that an interrupted cell has to remove its environment."""


TORCH_ON = "3.11"
"""The Python on which the tests of numbers run: they mean the same on all, and torch is big."""


@nox.session(
    venv_backend="venv"
)  # pip finds builds of torch without CUDA where it is told of them; uv does not look
def tests(session: nox.Session) -> None:
    """Run the unit tests; on Python 3.11 those that need torch as well."""
    ask = "import sys; print('{}.{}'.format(*sys.version_info))"
    with_torch = str(session.run("python", "-c", ask, silent=True)).strip() == TORCH_ON
    session.install("-e", ".[dev,quant]" if with_torch else ".[dev]")
    session.run(
        *("python", "-m", "pytest", "-n", "auto"),
        *(["--require-torch"] if with_torch else []),
        *session.posargs,
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Measure `resolve` (`-- --env PYTHON`: against an import), `explain`, `load`; or `-- scan FOLDER…`."""
    if session.posargs[:1] == ["scan"]:
        session.install("-e", ".", "ruff>=0.12", "vermin", "pyright")
        session.run("python", "bench/scan.py", *session.posargs[1:])
        return
    session.install("-e", ".")
    session.run("python", "bench/resolve.py", *session.posargs)
    session.run("python", "bench/explain.py")
    session.install("pytest>=8.3")
    session.run("python", "bench/access.py")


@nox.session(name="bench-gpu", venv_backend="none")
def bench_gpu(session: nox.Session) -> None:
    """Measure the layers on a GPU, in the current environment, which has the packages (`-- --help`).

    `-- block-fp8`: how exact vllm's block FP8 is, by the `deep_gemm` it takes.
    """
    if session.posargs[:1] == ["block-fp8"]:
        session.run("python", "bench/block_fp8.py", *session.posargs[1:])
        return
    session.run("python", "bench/gpu.py", *session.posargs)


@nox.session(name="bench-loader", default=False, venv_backend="venv")
def bench_loader(session: nox.Session) -> None:
    """Measure the memory that the loader takes (`-- --help`), and what a call of a layer costs."""
    session.install("-e", ".[quant]")
    session.run("python", "bench/call.py")
    session.run("python", "bench/loader.py", *session.posargs)


@nox.session(default=False)
def bench_pairs(session: nox.Session) -> None:
    """Measure how many rounds of uv predicting the clashes of a pair saves."""
    session.install("-e", ".[matrix]")
    session.run("python", "bench/pairs.py", *session.posargs)


@nox.session(default=False)
def bench_install(session: nox.Session) -> None:
    """Measure what installing one pair takes with uv and with pip (`-- --help`)."""
    session.install("-e", ".[matrix]")
    session.run("python", "bench/install.py", *session.posargs)


@nox.session(default=False)
def bench_matrix(session: nox.Session) -> None:
    """Measure the matrix serially against two cells at a time (`-- --help`)."""
    session.install("-e", ".[matrix]", "nox[uv]")
    session.run("python", "bench/matrix.py", *session.posargs)


@nox.session(default=False)
def ray(session: nox.Session) -> None:
    """Run the matrix on a Ray cluster of this machine, and kill one of its nodes."""
    session.install("-e", ".[dev,ray]")
    session.run("python", "-m", "pytest", "-n", "0", "-m", "ray", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("ruff>=0.12")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.install("-e", ".[dev]")
    session.run("mypy", *session.posargs)


@nox.session(allow_parallel=True)
@nox.parametrize("pair", [nox.param(pair, id=pair) for pair in PAIRS])
def matrix(session: nox.Session, pair: str) -> None:
    """Install a real pair and check every quantization symbol in it (`-- --help` tells the options)."""
    asked = {"-h", "--help"}.intersection(session.posargs)
    chosen = _chosen(session)
    if asked and chosen and pair != chosen[0]:
        return  # once is enough
    session.install("-e", ".[matrix]")
    command = ("python", "-m", "compat.matrix")
    if asked:
        session.run(*command, "run", "--help")
        return
    if len(chosen) > 1 and pair == chosen[0]:
        session.run(*command, "plan", *_only(session.posargs, "--reports", "--envs", "--rerun"), *chosen)
    try:
        session.notify("summary", posargs=_only(session.posargs, "--reports"))
    except ValueError:
        session.log("running in parallel: `nox -s summary` tells of all pairs")
    # In parallel each pair has a nox of its own, which does not know the others: all of the matrix may be.
    others = PAIRS if getattr(session, "parallel", False) else chosen
    limited = any(each.startswith("--max-disk") for each in session.posargs)
    beside = ["--beside", *others] if limited and len(others) > 1 else []
    session.run(
        *command,
        "run",
        pair,
        *session.posargs,
        *beside,
        interrupt_timeout=CLEAN_UP,
        terminate_timeout=CLEAN_UP,
    )


@nox.session(default=False)
@nox.parametrize("pair", [nox.param(pair, id=pair) for pair in PAIRS])
def gpu(session: nox.Session, pair: str) -> None:
    """Install a real pair and run the tests on the GPU in it, one pair at a time."""
    session.install("-e", ".[matrix]")
    command = ("python", "-m", "compat.matrix", "run", pair, "--level", "gpu")
    session.run(*command, *session.posargs, interrupt_timeout=CLEAN_UP, terminate_timeout=CLEAN_UP)


@nox.session
def summary(session: nox.Session) -> None:
    """Tell how the pairs that were run have ended, and write the reports."""
    session.install("-e", ".[matrix]")
    session.run("python", "-m", "compat.matrix", "report", *session.posargs)


def _only(posargs: list[str], *options: str) -> list[str]:
    """Return those of the given options that another subcommand understands as well."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in options:
        parser.add_argument(option, action="store_true" if option == "--rerun" else "store")
    found = vars(parser.parse_known_args(posargs)[0])
    kept: list[str] = []
    for option in options:
        value = found[option.removeprefix("--")]
        kept += [option] if value is True else [option, value] if value else []
    return kept


def _chosen(session: nox.Session) -> list[str]:
    """Return the pairs that this call of nox runs, in order; empty when nox does not tell."""
    runner = getattr(session, "_runner", None)
    manifest = getattr(runner, "manifest", ())
    return [pair for pair in PAIRS if f"matrix({pair})" in manifest]
