"""Indexed problems of single releases agree with the problems that a walk finds next to other releases."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat.index.build import precompute
from compat.index.query.answers import Facts
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone
from compat.index.reader import Index
from compat.index.writer import write_index
from sources import Files, content, release

TOPS = {"sglang": "sglang", "vllm": "vllm", "sgl-kernel": "sgl_kernel"}
RELEASES = 3


class Sources:
    """Generates packages whose modules import each other at random; only sglang imports other packages."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)  # noqa: S311 -- a draw that can be repeated

    def write(self, path: Path, *, concluded: bool) -> Index:
        contents = []
        for package, top in TOPS.items():
            files: Files = {f"{top}/__init__.py": ""}
            releases = []
            for version in map(str, range(RELEASES)):
                files = self._changed(files, top)
                releases.append(release(version, files, self._pins() if package == "sglang" else ()))
            contents.append(content(package, top, *releases))
        write_index(path, contents, precompute.conclude if concluded else None)
        return Index(path)

    def _pins(self) -> list[str]:
        return [f"sgl-kernel=={self._draw.randrange(RELEASES)}"] if self._draw.random() < 0.8 else []

    def _changed(self, before: Files, top: str) -> Files:
        files = dict(before)
        for module in (f"{top}/m{number}.py" for number in range(6)):
            if len(before) == 1 or self._draw.random() < 0.4:
                files[module] = "\n".join(self._statement(top) for _ in range(self._draw.randrange(1, 5)))
            if self._draw.random() < 0.1:
                files.pop(module, None)
        return files

    def _statement(self, top: str) -> str:
        kind, taken = self._draw.random(), self._import(top)
        if kind < 0.35:
            return taken
        if kind < 0.6:
            handled = self._draw.choice(["N0 = None", "F0 = False", "pass", self._import(top)])
            return f"try:\n    {taken}\n    F{self._number(2)} = True\nexcept ImportError:\n    {handled}"
        if kind < 0.7:
            return f"from {top}.m{self._number(6)} import F0\nif F0:\n    {taken}"
        if kind < 0.75:
            return f"import torch\nif torch.cuda.is_available():\n    {taken}"
        return f"class N{self._number(4)}: pass"

    def _import(self, top: str) -> str:
        tops = [top, top, top, *(("vllm", "sgl_kernel") if top == "sglang" else ()), "torch"]
        package, module = self._draw.choice(tops), f"m{self._number(6)}"
        return self._draw.choice(
            [
                f"import {package}.{module}",
                f"from {package}.{module} import N{self._number(4)}",
                f"from {package} import {module}",
            ]
        )

    def _number(self, below: int) -> int:
        return self._draw.randrange(below)


def environments() -> Iterator[Facts]:
    for sglang in range(RELEASES):
        for vllm in range(RELEASES):
            pair = {"sglang": sglang, "vllm": vllm}
            yield Facts(release_indexes=pair)
            yield from (Facts(release_indexes={**pair, "sgl-kernel": at}) for at in range(RELEASES))
        yield Facts(release_indexes={"sglang": sglang}, absent=frozenset({"vllm"}))


def everything(index: Index) -> Iterator[tuple[str, str, int]]:
    for package in index.packages:
        for at in range(RELEASES):
            yield from ((module, package, at) for module in index.modules(package, at))


def test_a_walk_finds_the_same_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precompute, "SMALL", 100)  # in this process
    compared = problems = trusted = 0
    for seed in range(5):
        plain = Sources(seed).write(tmp_path / f"plain{seed}", concluded=False)
        index = Sources(seed).write(tmp_path / f"concluded{seed}", concluded=True)
        if any(
            NameResolver(plain, alone(plain, package, at)).problem(module)
            != index.problem(module, package, at)
            for module, package, at in everything(index)
        ):
            continue  # what a circle of guarded imports comes to depends on where one enters it
        for facts in environments():
            for package, at in facts.release_indexes.items():
                for module in index.modules(package, at):
                    resolver = NameResolver(index, facts)
                    found = resolver.problem(module)
                    assert found == NameResolver(plain, facts).problem(module), (seed, facts, module)
                    compared += 1
                    problems += found is not None
                    trusted += resolver._trusts(package)
    assert compared > 1500
    assert compared * 0.2 < problems < compared * 0.8
    assert trusted > compared * 0.4


@pytest.mark.parametrize(
    ("stated", "trusted"),
    [
        ({}, True),
        ({"absent": frozenset({"vllm"})}, True),
        ({"absent": frozenset({"sglang"})}, False),
        ({"absent": frozenset({"torch"})}, False),
        ({"provided": frozenset({"torch"})}, False),
        ({"cuda": True}, False),
        ({"broken": {"sglang.a": "a reason"}}, False),
    ],
)
def test_what_is_stated_beside_releases_may_change_everything(
    tmp_path: Path, stated: dict[str, object], trusted: object
) -> None:
    path = tmp_path / "i"
    contents = [
        content(top, top, release("1", {f"{top}/__init__.py": "", f"{top}/a.py": "X = 1"}))
        for top in ("sglang", "vllm")
    ]
    write_index(path, contents, precompute.conclude)
    facts = Facts(release_indexes={"sglang": 0}, **stated)  # type: ignore[arg-type]
    assert NameResolver(Index(path), facts)._trusts("sglang") is trusted
