"""No regular expression of this project backtracks without a bound, whatever text it is applied to."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import compat
from regex_ambiguity import EXPONENTIAL, Pattern, degree

WITHOUT_BOUND = 1_000_000
"""Only repetitions without a bound count."""
SOME = 16
"""A repetition of at least so many times counts as one without a bound: a few in a row cost as much."""


def patterns() -> Iterator[tuple[str, Pattern, bool]]:
    """Yield every pattern with the place where it stands, and whether it is applied to whole texts."""
    for file in sorted(Path(compat.__path__[0]).rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        if "re.compile(" not in source and " re." not in source:
            continue
        name = ".".join(("compat", *file.relative_to(compat.__path__[0]).with_suffix("").parts))
        for call in ast.walk(ast.parse(source)):
            match call:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="re"), attr=method),
                    args=[ast.Constant(value=str() | bytes() as text), *_],
                ) if method not in {"compile", "escape"}:
                    yield f"{name}:{call.lineno}", re.compile(text), method == "fullmatch"
        if "/quant/" in file.as_posix() or file.stem == "driver_stub":
            continue  # these need torch or a compiler, and hold no pattern as a global
        for variable, value in vars(importlib.import_module(name.removesuffix(".__init__"))).items():
            if isinstance(value, re.Pattern):
                yield f"{name}.{variable}", value, f"{variable}.fullmatch" in source


FOUND = list(patterns())


@pytest.mark.parametrize(("pattern", "whole"), [each[1:] for each in FOUND], ids=[each[0] for each in FOUND])
def test_a_text_is_matched_in_a_bounded_number_of_ways(pattern: Pattern, *, whole: bool) -> None:
    assert degree(pattern, many=WITHOUT_BOUND, whole=whole) == 0
    assert degree(pattern, many=SOME, whole=whole) <= 1


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a+b+", 0),
        ("(?:a,)*b", 0),
        ("[^,]*,[^,]*,", 0),
        ("a*a*b", 1),
        ("a*a*a*b", 2),
        (r"\s*x?\s*y?\s*z", 2),
        ("a*a*", 0),
        ("a*a*$", 1),
        ("(a+)+b", EXPONENTIAL),
        (r"(\w+\s?)*:", EXPONENTIAL),
        (r"(,\S*)*;", EXPONENTIAL),
        ("(a+)+", 0),
        ("(?:,a{0,80}){0,80}b", 0),
        (r"(?:,\S{0,80}){0,4}b", 1),
    ],
)
def test_the_degree_is_that_of_the_pattern(text: str, wanted: int) -> None:
    assert degree(re.compile(text), many=SOME, whole=False) == wanted
