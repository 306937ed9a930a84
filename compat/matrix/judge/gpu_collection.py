"""Which GPU tests must run: those that the test files define, except what may be deselected."""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """The tests that pytest collected, as `collection_plugin` records them."""

    collected: Mapping[str, Sequence[str]]
    """The markers of each test, by its id."""
    selected: Sequence[str]
    gpus: int

    @classmethod
    def read(cls, path: Path) -> "Collection":
        """Return the collection in a file of the plugin.

        Raises:
            OSError: there is no file.
            ValueError: it is not complete.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except TypeError as error:
            raise ValueError(str(error)) from None

    def problem(self, tests: Path) -> str:
        """Return why these are not the tests that must run, or an empty string if they are.

        Only two kinds of tests may be deselected: those without the marker `gpu`, and those with the marker
        `two_gpus` on a machine with one GPU.
        """
        found = {test.partition("[")[0] for test in self.collected}
        root = tests.parent.parent
        missing = [test for test in defined(tests, root) if test not in found]
        if missing:
            return f"{_number(missing)} not collected, such as {missing[0]}"
        selected = set(self.selected)
        dropped = [
            test for test, marks in self.collected.items()
            if test not in selected and "gpu" in marks and not ("two_gpus" in marks and self.gpus == 1)
        ]  # fmt: skip
        return f"{_number(dropped)} deselected, such as {dropped[0]}" if dropped else ""


def defined(tests: Path, root: Path) -> Iterator[str]:
    """Yield the ids, without parameters, of the test functions and methods in the files of a folder.

    Args:
        tests: the folder.
        root: the folder that the ids are relative to.
    """
    for path in sorted(tests.rglob("test_*.py")):
        file = path.relative_to(root).as_posix()
        body = ast.parse(path.read_bytes()).body
        yield from (f"{file}::{name}" for name in _functions(body))
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                yield from (f"{file}::{node.name}::{name}" for name in _functions(node.body))


def _functions(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield node.name


def junit_name(test: str) -> str:
    """Return the class name and name, joined by a dot, that pytest's JUnit file has for the id of a test."""
    path, bracket, parameters = test.partition("[")
    file, *names = path.split("::")
    return ".".join([re.sub(r"\.py$", "", file.replace("/", ".")), *names]) + bracket + parameters


def _number(tests: Sequence[str]) -> str:
    return f"{len(tests)} GPU test{' was' if len(tests) == 1 else 's were'}"
