"""Record the output, exit codes and files of commands, without values that depend on this machine."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from shutil import copytree

import output_inputs as inputs
from output_cases import LOGS, SOLVERS, Case, suffix

CLOSED = "http://127.0.0.1:9/simple/"
"""An address on which nothing listens, so that network access fails at once on every machine."""
LIMIT = 300
"""The time-out of one command in seconds."""
DIGESTS = "digests.json"
"""The last file of a record, which marks it as complete."""
INDEX = "compat/data/index.sqlite"
MEASURED = (
    (re.compile(r'("(?:seconds|peak_bytes)": )[\d.e+]+'), r"\g<1>0"),
    (re.compile(r'("started": )"[^"]*"'), r'\1"<started>"'),
    (re.compile(r'("(?:index|probe)": )"[0-9a-f]{64}"'), r'\1"<digest of code>"'),
    (re.compile(r'\b(time=)"[\d.]+"'), r'\1"0"'),
    (re.compile(r"\b\d+(?:\.\d+)? ?(ms|s|min|[kMG]?B)\b"), r"<measured> \1"),
)
"""Matches values that differ from run to run, and digests of this project's source files in outcomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The interpreter, folders and replacements with which commands run."""

    python: str
    work: Path
    """A temporary folder for all files."""
    index: str
    """The URL of the package index for commands that use one."""
    names: Mapping[str, str]
    """The replacements of paths on this machine, the longest path first."""
    places: Mapping[str, str]
    """The values of words in braces in commands."""


def record(folder: Path, python: str, chosen: Sequence[Case], to_the_byte: Sequence[Path]) -> None:
    """Run the cases, and write the outputs of each into its own folder.

    Args:
        folder: a new folder for the record.
        python: an interpreter that has the project installed.
        chosen: the cases to run.
        to_the_byte: files whose digests belong to the record; if empty, the shipped index.
    """
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="outputs-") as work, inputs.wheels() as index:
        room = _prepare(Path(work).resolve(), python, index)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for number, _ in enumerate(pool.map(partial(_run, room, folder), chosen), 1):
                if number % 50 == 0:
                    print(f"{number} of {len(chosen)}", file=sys.stderr)
    digests = {path.name: _digest(path.read_bytes()) for path in to_the_byte or [_code(python) / INDEX]}
    (folder / DIGESTS).write_text(json.dumps(digests, indent=2, sort_keys=True) + "\n")


def _code(python: str) -> Path:
    """Return the folder from which the interpreter imports the project."""
    ask = "import compat, pathlib; print(pathlib.Path(compat.__file__).parents[1])"
    done = subprocess.run([python, "-c", ask], cwd="/", check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


def _prepare(work: Path, python: str, index: str) -> Room:
    """Create the inputs of all commands."""
    trees: dict[str, Mapping[str, str]] = {
        "empty": {},
        "bad": inputs.BAD_MATRICES,
        "configured": inputs.CONFIGURED,
        "house": {},
        "logs": inputs.LOGS,
        "misconfigured": inputs.MISCONFIGURED,
        "project": inputs.PROJECT,
        "reports": inputs.reports(),
        "small": inputs.SMALL_MATRIX,
        "styles": inputs.STYLES,
        "tests": inputs.TESTS,
    }
    for name, files in trees.items():
        folder = work / "trees" / name
        folder.mkdir(parents=True)
        inputs.write(folder, files)
        if name in {"house", "reports"}:
            copytree(inputs.ROOT / "locks", folder / "locks")
            (folder / "matrix.toml").write_bytes((inputs.ROOT / "matrix.toml").read_bytes())
    inputs.environment(work / "env", python)
    inputs.installed(work / "release", nightly=False)
    inputs.installed(work / "nightly", nightly=True)
    names = {
        str(work): "<work>",
        str(inputs.ROOT / "tests"): "<tests>",
        str(Path(python).parents[1]): "<python>",
        str(_code(python)): "<code>",
        index.removesuffix("/simple/"): "<index>",
    }
    longest_first = dict(sorted(names.items(), key=lambda pair: -len(pair[0])))
    places = {"{logs}": str(LOGS), "{solvers}": str(SOLVERS), "{env}": str(work / "env"), "{python}": python}
    return Room(python=python, work=work, index=index, names=longest_first, places=places)


def _run(room: Room, target: Path, case: Case) -> None:
    """Run the steps of a case, and record their outputs."""
    folder = copytree(room.work / "trees" / case.tree, room.work / "runs" / case.name)
    before = _contents(folder)
    kept = target / case.name
    kept.mkdir()
    clean = partial(_normalised, room, case)
    for number, step in enumerate(case.steps, 1):
        arguments = [_filled(argument, room.places) for argument in step]
        command = arguments if arguments[0] in {"-c", "-m"} else ["-m", "compat", *arguments]
        done = subprocess.run(
            [room.python, *command],
            cwd=folder, env=_variables(room, case), stdin=subprocess.DEVNULL, capture_output=True,
            timeout=LIMIT, check=False,
        )  # fmt: skip
        (kept / f"{number}-command").write_text(f"{' '.join(step)}\n")
        (kept / f"{number}-exit").write_text(f"{done.returncode}\n")
        (kept / f"{number}-stdout.{suffix(step)}").write_text(clean(done.stdout))
        (kept / f"{number}-stderr.words").write_text(clean(done.stderr))
    after = _contents(folder)
    if gone := sorted(before.keys() - after.keys()):
        (kept / "removed").write_text("\n".join(gone) + "\n")
    for name in sorted(after):
        if before.get(name) != after[name]:
            path = kept / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(clean(after[name]))


def _filled(text: str, stand_for: Mapping[str, str]) -> str:
    for word, meaning in stand_for.items():
        text = text.replace(word, meaning)
    return text


def _variables(room: Room, case: Case) -> dict[str, str]:
    """Return the environment variables of a command: no settings of this machine, and separate caches."""
    own = room.work / "own" / case.name
    (own / "tmp").mkdir(parents=True, exist_ok=True)
    return {
        "PATH": f"{Path(room.python).parent}:/usr/bin:/bin",
        "HOME": str(own),
        "TMPDIR": str(own / "tmp"),
        "COMPAT_CACHE_DIR": str(own / "cache"),
        "UV_CACHE_DIR": str(own / "uv"),
        "UV_DEFAULT_INDEX": room.index if case.served else CLOSED,
        "UV_HTTP_RETRIES": "0",
        "UV_NO_CONFIG": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "COLUMNS": "100",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        **({"PYTHONPATH": str(room.work / case.site)} if case.site else {}),
    }


def _contents(folder: Path) -> dict[str, bytes]:
    """Return the content of the files in a folder by path, or the digest of a binary file."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            body = path.read_bytes()
            try:
                body.decode()
            except UnicodeDecodeError:
                body = f"sha256 {_digest(body)}\n".encode()
            found[str(path.relative_to(folder))] = body
    return found


def _normalised(room: Room, case: Case, output: bytes) -> str:
    """Return an output without values that depend on machine or time."""
    text = _filled(output.decode(errors="backslashreplace"), room.names)
    text = text.replace(f"{datetime.now(timezone.utc):%Y-%m-%d}", "<today>")
    if case.measured:
        for form, instead in MEASURED:
            text = form.sub(instead, text)
    return text


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
