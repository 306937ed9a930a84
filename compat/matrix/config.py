"""Read and validate `matrix.toml`.

The noxfile uses this module in nox's own environment, so it needs nothing but `packaging`, and `tomli` on
Python 3.10.
"""

import difflib
import fnmatch
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from compat._util.regular_file import read_regular
from compat.errors import NothingSelectedError, UsageError
from compat.model.pythons import parse_python
from compat.model.releases import PACKAGES, KnownFailure, Pair, parse_version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOP_KEYS = ("defaults", "pair")
DEFAULT_KEYS = ("python", "tests", "tests-install")
PAIR_KEYS = (
    "id", "python", "sglang", "sglang-extras", "vllm", "overrides", "expect", "tests", "tests-install",
)  # fmt: skip
EXPECT_KEYS = ("location", "reason", "link", "when", "spreads")
WHEN = ("always", "no-cuda", "cuda")
EXAMPLES = (("layers.quantization.fp8", "Fp8Config"), ("_custom_ops", "gptq_gemm"), ("srt.utils", "is_cuda"))
"""Unlike modules and names: a glob that matches one of each covers a whole package."""
EXAMPLE_LAYERS = ("awq4-g128/awq_marlin/float16", "fp8-block/cutlass/bfloat16", "int8/scaled_mm/bfloat16")
"""Unlike layers, as `SCHEME/WAY/DTYPE`."""

_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The pairs of one `matrix.toml`, in the order of the file."""

    pairs: tuple[Pair, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the pairs."""
        return tuple(pair.id for pair in self.pairs)

    def select(self, patterns: Sequence[str]) -> tuple[Pair, ...]:
        """Return the pairs whose id matches one of `patterns` (ids or globs), in the order of the matrix.

        Raises:
            UsageError: a pattern matches no pair.
            NothingSelectedError: `patterns` is empty.
        """
        if not patterns:
            raise NothingSelectedError(f"no pair selected (known: {', '.join(self.ids)})")
        for pattern in patterns:
            if not fnmatch.filter(self.ids, pattern):
                raise UsageError(f"{pattern!r} matches no pair of the matrix{_nearest(pattern, self.ids)}")
        return tuple(
            pair for pair in self.pairs if any(fnmatch.fnmatchcase(pair.id, pattern) for pattern in patterns)
        )


def read_matrix(path: Path) -> Matrix:
    """Return the matrix that the file at `path` describes.

    Raises:
        UsageError: the file is missing, is not TOML, or a key or value is not valid; the message names the
            path of the key.
    """
    try:
        content = tomllib.loads(read_regular(path).decode())
    except FileNotFoundError:
        raise UsageError(
            f"{path}: no such file; change to the project's folder, give --matrix FILE, or "
            'create it with "compat init --pair SGLANG VLLM"'
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}; give --matrix a file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path.name}: not valid TOML: {error}") from None
    return _TableReader(path.name).matrix(content)


def read_tests(text: str, where: str) -> str:
    """Return a command of pytest as it is.

    Raises:
        UsageError: it is not a command of pytest.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{where}: {text!r} is not a command line: {error}") from None
    if words[:1] != ["pytest"]:
        raise UsageError(f'{where}: {text!r} must be a command of pytest (example: "pytest -m engine")')
    return text


def _covered(location: str) -> str:
    """Return the package that a glob covers whatever its modules are called, or an empty string."""
    if not set("*?[").intersection(location):
        return ""
    for package in PACKAGES:
        names = [(f"{package}.{module}", f"{package}.{module}:{name}") for module, name in EXAMPLES]
        layers = [(f"layer:{package}/{layer}",) for layer in EXAMPLE_LAYERS]
        for examples in (names, layers):
            if all(any(fnmatch.fnmatchcase(each, location) for each in either) for either in examples):
                return package
    return ""


def folded(pair_id: str) -> str:
    """Return the name that nox gives the environment folder of a pair; equal names would share a folder."""
    return re.sub(r"[^a-z0-9]+", "-", pair_id.lower()).strip("-")


def _nearest(word: str, known: Iterable[str]) -> str:
    known = tuple(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f' (did you mean "{close[0]}"?)' if close else f" (known: {', '.join(known)})"


@dataclass(frozen=True, slots=True)
class _TableReader:
    """Validates the tables of one file; `where` arguments are key paths such as `pair[2].vllm`."""

    file: str

    def fail(self, where: str, problem: str) -> UsageError:
        return UsageError(f"{self.file}: {where}: {problem}")

    def table(self, value: Any, where: str, known: Sequence[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(where, "must be a table")
        for key in value:
            if key not in known:
                full = f"{where}.{key}" if where else key
                raise self.fail(full, f"unknown key{_nearest(key, known)}")
        return value

    def text(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.fail(where, "must be a string in quotes, and not empty")
        return value

    def array(self, value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.fail(where, "must be an array")
        return value

    def matrix(self, content: dict[str, Any]) -> Matrix:
        self.table(content, "", TOP_KEYS)
        defaults = self.table(content.get("defaults", {}), "defaults", DEFAULT_KEYS)
        python = self.python(defaults["python"], "defaults.python") if "python" in defaults else None
        entries = self.array(content.get("pair", []), "pair")
        if not entries:
            raise self.fail("pair", "the matrix is empty; add a [[pair]]")
        shared: dict[str, Any] = {key: defaults[key] for key in ("tests", "tests-install") if key in defaults}
        pairs = tuple(self.pair(entry, f"pair[{at}]", python, shared) for at, entry in enumerate(entries))
        self.distinct(pairs)
        return Matrix(pairs=pairs)

    def distinct(self, pairs: Sequence[Pair]) -> None:
        seen: dict[str, tuple[int, str]] = {}
        for at, pair in enumerate(pairs):
            first, other = seen.setdefault(folded(pair.id), (at, pair.id))
            if first != at:
                problem = (
                    "is a duplicate of"
                    if other == pair.id
                    else f"differs only in punctuation or case from {other!r} in"
                )
                raise self.fail(f"pair[{at}].id", f"{pair.id!r} {problem} pair[{first}].id")

    def pair(self, value: Any, where: str, python: str | None, shared: dict[str, Any]) -> Pair:
        entry = shared | self.table(value, where, PAIR_KEYS)
        if "id" not in entry:
            raise self.fail(f"{where}.id", "is missing")
        pair_id = self.text(entry["id"], f"{where}.id")
        if not _ID.fullmatch(pair_id):
            raise self.fail(f"{where}.id", f"{pair_id!r} must consist of letters, digits, dots and hyphens")
        version = self.python(entry["python"], f"{where}.python") if "python" in entry else python
        if version is None:
            raise self.fail(f"{where}.python", 'is missing, and [defaults] has none (example: "3.11")')
        if "sglang" not in entry and "vllm" not in entry:
            raise self.fail(where, "names no release; give sglang, vllm or both")
        if "sglang-extras" in entry and "sglang" not in entry:
            raise self.fail(f"{where}.sglang-extras", "the pair has no sglang")
        return Pair(
            id=pair_id,
            python=version,
            sglang=self.version(entry, "sglang", where),
            sglang_extras=self.extras(entry.get("sglang-extras", []), f"{where}.sglang-extras"),
            vllm=self.version(entry, "vllm", where),
            overrides=self.overrides(entry.get("overrides", {}), f"{where}.overrides"),
            expect=self.expect(entry.get("expect", []), f"{where}.expect"),
            tests=self.tests(entry["tests"], f"{where}.tests") if "tests" in entry else "",
            tests_install=self.requirements(entry.get("tests-install", []), f"{where}.tests-install"),
        )

    def tests(self, value: Any, where: str) -> str:
        return read_tests(self.text(value, where), f"{self.file}: {where}")

    def requirements(self, value: Any, where: str) -> tuple[str, ...]:
        items = enumerate(self.array(value, where))
        return tuple(
            self.requirement(self.text(item, f"{where}[{at}]"), f"{where}[{at}]") for at, item in items
        )

    def requirement(self, text: str, where: str) -> str:
        try:
            return str(Requirement(text))
        except InvalidRequirement:
            raise self.fail(where, f'{text!r} is not a requirement (example: "pytest-asyncio>=1")') from None

    def python(self, value: Any, where: str) -> str:
        return parse_python(self.text(value, where), f"{self.file}: {where}")

    def version(self, entry: dict[str, Any], key: str, where: str) -> Version | None:
        if key not in entry:
            return None
        full = f"{where}.{key}"
        return parse_version(self.text(entry[key], full), f"{self.file}: {full}")

    def extras(self, value: Any, where: str) -> tuple[str, ...]:
        names = [self.text(item, f"{where}[{at}]") for at, item in enumerate(self.array(value, where))]
        return tuple(self.name(name, where) for name in names)

    def name(self, text: str, where: str) -> str:
        if not _NAME.fullmatch(text):
            raise self.fail(where, f"{text!r} is not a package name")
        return canonicalize_name(text)

    def overrides(self, value: Any, where: str) -> MappingProxyType[str, str]:
        if not isinstance(value, dict):
            raise self.fail(where, "must be a table of package names and specifiers")
        read: dict[str, str] = {}
        for package, specifier in value.items():
            full = f"{where}.{package}"
            text = self.text(specifier, full)
            name = self.name(package, full)
            try:
                url = Requirement(f"{name} {text}").url
            except InvalidRequirement:
                raise self.fail(full, f'{text!r} is not a version specifier (example: "==2.7.1")') from None
            if url is not None:
                raise self.fail(full, f"{text!r} is a URL; give a specifier, a marker or both")
            if name in read:
                raise self.fail(full, f"{name} is overridden twice")
            read[name] = text
        return MappingProxyType(read)

    def expect(self, value: Any, where: str) -> tuple[KnownFailure, ...]:
        return tuple(self.failure(item, f"{where}[{at}]") for at, item in enumerate(self.array(value, where)))

    def failure(self, value: Any, where: str) -> KnownFailure:
        entry = self.table(value, where, EXPECT_KEYS)
        for key in ("location", "reason"):
            if key not in entry:
                raise self.fail(f"{where}.{key}", "is missing")
        spreads = entry.pop("spreads", False)
        if not isinstance(spreads, bool):
            raise self.fail(f"{where}.spreads", "must be true or false")
        read = {key: self.text(item, f"{where}.{key}") for key, item in entry.items()}
        if spreads and not all(part.isidentifier() for part in read["location"].split(".")):
            raise self.fail(
                f"{where}.location",
                f"{read['location']!r} is not a module, so the failure cannot spread from it",
            )
        if package := _covered(read["location"]):
            raise self.fail(
                f"{where}.location",
                f"{read['location']!r} covers every name or layer of {package}, so none would be checked",
            )
        if read.get("when", WHEN[0]) not in WHEN:
            raise self.fail(f"{where}.when", f"{read['when']!r} is unknown{_nearest(read['when'], WHEN)}")
        return KnownFailure(**read, spreads=spreads)
