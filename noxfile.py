"""The nox sessions of this project: lint, types, tests, benchmarks, and the matrix of real pairs."""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

import nox

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]  # this project is not installed in nox's own environment

from browser_setup import main as set_up_browser  # noqa: E402 -- needs the line above
from compat.matrix.config import read_matrix  # noqa: E402 -- needs the line above

nox.needs_version = ">=2026.8.17"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "types", "tests"]

WHEEL_LIMIT = 20_000_000
"""Bytes; the wheel must stay a quick download."""
PAIRS = read_matrix(ROOT / "matrix.toml").ids
CLEAN_UP = 120.0
"""Seconds in which an interrupted cell can remove its environment."""


TORCH_ON = "3.11"
"""The Python version on which tests with torch run; one is enough, since torch is large."""


# pip uses the configured additional index with builds of torch without CUDA; uv ignores that setting.
@nox.session(venv_backend="venv")
def tests(session: nox.Session) -> None:
    """Run the unit tests; on Python 3.11, those that need torch as well."""
    ask = "import sys; print('{}.{}'.format(*sys.version_info))"
    with_torch = str(session.run("python", "-c", ask, silent=True)).strip() == TORCH_ON
    session.install("-e", ".[dev,quant]" if with_torch else ".[dev]")
    with_browser = set_up_browser() == 0
    if not with_browser:
        session.warn("the tests in a browser are skipped: something that they need is missing, see above")
    session.run(
        *("python", "-m", "pytest", "-n", "auto"),
        *(["--require-torch"] if with_torch else []),
        *(["--require-browser"] if with_browser else []),
        *session.posargs,
    )


@nox.session(default=False)
def package(session: nox.Session) -> None:
    """Build wheel and sdist, check both, try the wheel, and run the sdist's own tests (`-- FILE…`)."""
    session.install("build", "twine")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run("python", "-m", "build")
    (wheel,), (sdist,) = (list((ROOT / "dist").glob(pattern)) for pattern in ("*.whl", "*.tar.gz"))
    session.run("twine", "check", "--strict", str(wheel), str(sdist))
    for file in (wheel, sdist):
        session.log(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")
    if wheel.stat().st_size > WHEEL_LIMIT:
        session.error(f"the wheel is larger than {WHEEL_LIMIT / 1e6:g} MB")
    # Below this checkout, the sdist's tests would find its project file, and ruff would ignore their files.
    with tempfile.TemporaryDirectory(prefix="compat-package-") as folder:
        _try_package(session, wheel, sdist, Path(folder).resolve())


def _try_package(session: nox.Session, wheel: Path, sdist: Path, folder: Path) -> None:
    """Use the wheel as a user does, and run the sdist's own tests, in an empty folder."""
    session.run("python", "-m", "venv", str(folder / "user"))
    tools = folder / "user" / "bin"
    session.run(str(tools / "python"), "-m", "pip", "install", "--quiet", str(wheel), external=True)
    with session.chdir(folder):  # so that the wheel is imported, and not this checkout
        session.run(str(tools / "compat"), "resolve", "Fp8LinearMethod", "--vllm", "latest", external=True)
        session.run("tar", "xzf", str(sdist), external=True)
    source = folder / sdist.name.removesuffix(".tar.gz")
    session.install(f"{source}[dev]")
    with session.chdir(source):
        session.run("python", "-m", "pytest", "-n", "auto", *session.posargs)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the documentation site into `site`; a warning is an error."""
    session.install("-e", ".", "mkdocs-material>=9.5")
    session.run("python", "tools/docs_site.py", ".docs")
    session.run("mkdocs", "build", "--strict", *session.posargs)


@nox.session(default=False)
def portable(session: nox.Session) -> None:
    """Test the commands that also run on macOS and Windows, on this system."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "pytest", "tests/unit/test_portability.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure `resolve` (`-- --env PYTHON` adds an import), `explain` and `load`; or `-- scan FOLDER…`."""
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
    """Measure the quantized layers on a GPU, with the packages of the current environment (`-- --help`).

    `-- block-fp8` measures the accuracy of vllm's block FP8 with each `deep_gemm` package.
    """
    if session.posargs[:1] == ["block-fp8"]:
        session.run("python", "bench/block_fp8.py", *session.posargs[1:])
        return
    session.run("python", "bench/gpu.py", *session.posargs)


@nox.session(name="bench-loader", default=False, venv_backend="venv")
def bench_loader(session: nox.Session) -> None:
    """Measure the memory of the loader (`-- --help`), and the time of a layer's call."""
    session.install("-e", ".[quant]")
    session.run("python", "bench/call.py")
    session.run("python", "bench/loader.py", *session.posargs)


@nox.session(default=False)
def bench_pairs(session: nox.Session) -> None:
    """Measure how many resolutions the prediction of a pair's clashes saves."""
    session.install("-e", ".[matrix]")
    session.run("python", "bench/pairs.py", *session.posargs)


@nox.session(default=False)
def bench_install(session: nox.Session) -> None:
    """Measure the installation of one pair with uv and with pip (`-- --help`)."""
    session.install("-e", ".[matrix]")
    session.run("python", "bench/install.py", *session.posargs)


@nox.session(default=False)
def bench_matrix(session: nox.Session) -> None:
    """Measure a serial run of the matrix against two cells at a time (`-- --help`)."""
    session.install("-e", ".[matrix]", "nox[uv]")
    session.run("python", "bench/matrix.py", *session.posargs)


@nox.session(default=False)
def ray(session: nox.Session) -> None:
    """Test the matrix on a local Ray cluster, of which one node is killed."""
    session.install("-e", ".[dev,ray]")
    session.run("python", "-m", "pytest", "-n", "0", "-m", "ray", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format with ruff."""
    session.install("ruff>=0.12")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy in strict mode."""
    session.install("-e", ".[dev]")
    session.run("mypy", *session.posargs)


@nox.session(allow_parallel=True)
@nox.parametrize("pair", [nox.param(pair, id=pair) for pair in PAIRS])
def matrix(session: nox.Session, pair: str) -> None:
    """Install a pair and check every quantization symbol in it (`-- --help` lists the options)."""
    help_wanted = {"-h", "--help"}.intersection(session.posargs)
    chosen = _chosen(session)
    if help_wanted and chosen and pair != chosen[0]:
        return  # print the help only once
    session.install("-e", ".[matrix]")
    command = ("python", "-m", "compat.matrix")
    if help_wanted:
        session.run(*command, "run", "--help")
        return
    if len(chosen) > 1 and pair == chosen[0]:
        session.run(*command, "plan", *_only(session.posargs, "--reports", "--envs", "--rerun"), *chosen)
    try:
        session.notify("summary", posargs=_only(session.posargs, "--reports"))
    except ValueError:
        session.log('running in parallel: "nox -s summary" reports all pairs')
    # In a parallel run, each pair has its own nox process, which does not know the others: assume all pairs.
    others = PAIRS if getattr(session, "parallel", False) else chosen
    limited = any(each.startswith("--max-disk") for each in session.posargs)
    beside = ["--beside", *others] if limited and len(others) > 1 else []
    _run_cell(session, *command, "run", pair, *session.posargs, *beside)


@nox.session(default=False)
@nox.parametrize("pair", [nox.param(pair, id=pair) for pair in PAIRS])
def gpu(session: nox.Session, pair: str) -> None:
    """Install a pair and run the GPU tests in it."""
    session.install("-e", ".[matrix]")
    command = ("python", "-m", "compat.matrix", "run", pair, "--level", "gpu")
    _run_cell(session, *command, *session.posargs)


@nox.session
def summary(session: nox.Session) -> None:
    """Print the outcomes of all pairs that were run, and write the reports."""
    session.install("-e", ".[matrix]")
    session.run("python", "-m", "compat.matrix", "report", *session.posargs)


def _run_cell(session: nox.Session, *command: str) -> None:
    """Run a command that removes an environment when it is interrupted, and say how long nox waits for it."""

    def interrupted(number: int, frame: FrameType | None) -> None:
        session.warn(f"interrupted: waiting up to {CLEAN_UP:.0f} s for the cell to remove its environment")
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        session.run(*command, interrupt_timeout=CLEAN_UP, terminate_timeout=CLEAN_UP)
    finally:
        signal.signal(signal.SIGINT, before)


def _only(posargs: list[str], *options: str) -> list[str]:
    """Return those arguments that belong to `options`, which another subcommand has as well."""
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
    """Return the pairs that this call of nox runs, in order; empty if nox does not expose them."""
    runner = getattr(session, "_runner", None)
    manifest = getattr(runner, "manifest", ())
    return [pair for pair in PAIRS if f"matrix({pair})" in manifest]
