"""What functions and classes accept: parameters, the arguments of calls, and the order of base classes."""

import pytest

from compat.callables.class_definitions import (
    ClassDefinition,
    ForeignClass,
    chosen,
    class_definition,
    resolution_order,
)
from compat.callables.parameters import Arguments, Misfit, misfit, parsed
from compat.source_outlines.records import Definition


def call(positional: int, *keywords: str, **more: bool) -> Arguments:
    return Arguments(positional=positional, keywords=keywords, **more)


@pytest.mark.parametrize(
    ("parameters", "arguments", "found"),
    [
        ("x,y=", call(1), None),
        ("x,y=", call(2), None),
        ("x,y=", call(0, "x"), None),
        ("x,y=", call(0, "y"), Misfit(kind="missing", names=("x",))),
        ("x,y=", call(3), Misfit(kind="many", most=2)),
        ("x,y=", call(1, "z"), Misfit(kind="unexpected", names=("z",))),
        ("x,y=", call(1, "x"), Misfit(kind="twice", names=("x",))),
        ("x,*,y", call(1), Misfit(kind="missing", names=("y",))),
        ("x,*,y=", call(2), Misfit(kind="many", most=1)),
        ("x,*more", call(5), None),
        ("x,*more,y", call(5, "y"), None),
        ("x,**more", call(1, "z"), None),
        ("x,y", call(0, more_positional=True), None),
        ("x,y", call(0, more_keywords=True), None),
        ("x,y", call(0, "z", more_keywords=True), Misfit(kind="unexpected", names=("z",))),
        ("x,y", call(0, partial=True), None),
        ("x,y", call(3, partial=True), Misfit(kind="many", most=2)),
    ],
)
def test_a_call_fits_as_python_binds_it(parameters: str, arguments: Arguments, found: Misfit | None) -> None:
    assert misfit(arguments, parsed(parameters), bound=0) == found


def test_a_method_of_an_object_gets_its_first_argument() -> None:
    assert misfit(call(1), parsed("self,x"), bound=1) is None
    assert misfit(call(2), parsed("self,x"), bound=1) == Misfit(kind="many", most=1)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ("self,x,y=", "(x, y=…)"),
        ("self,x,*,y", "(x, *, y)"),
        ("self,*args,y=,**kwargs", "(*…, y=…, **…)"),
        ("self", "()"),
    ],
)
def test_parameters_are_printed_without_self(parameters: str, text: str) -> None:
    assert parsed(parameters).text == text


def make(name: str) -> ClassDefinition:
    return class_definition(Definition("c", name, 1, 1, 1, ""), [], "module")


def test_bases_are_in_the_order_of_python() -> None:
    classes = {name: make(name) for name in "ABCD"}
    bases = {"A": ["B", "C"], "B": ["D"], "C": ["D"], "D": ["Foreign"]}

    def bases_of(of: ClassDefinition) -> list[ClassDefinition | ForeignClass]:
        return [classes.get(name, ForeignClass(name)) for name in bases[of.name]]

    order = resolution_order(classes["A"], bases_of)
    assert order is not None
    assert [each.name for each in order] == ["A", "B", "C", "D", "Foreign"]


def test_bases_that_contradict_each_other_have_no_order() -> None:
    classes = {name: make(name) for name in "ABC"}
    bases = {"A": ["B", "C"], "B": ["C"], "C": ["B"]}
    assert resolution_order(classes["A"], lambda of: [classes[name] for name in bases[of.name]]) is None


def test_of_several_definitions_the_last_that_is_no_overload_counts() -> None:
    overload, first, last = (
        Definition("f", "f", at, at, at, detail) for at, detail in enumerate(["x|overload", "x,y", "x,z"])
    )
    assert chosen([overload, first]) == (first, True)
    assert chosen([overload, first, last]) == (last, False)
    assert chosen([overload]) is None


def lattice(levels: int, width: int) -> tuple[ClassDefinition, dict[ClassDefinition, list[ClassDefinition]]]:
    """Return the last class of levels of classes, each of which has the whole level before as bases."""
    bases: dict[ClassDefinition, list[ClassDefinition]] = {}
    before: list[ClassDefinition] = []
    for level in range(levels):
        names = [f"C{level}_{at}" for at in range(width)]
        details = [Definition("c", name, 1, 1, 1, "||||") for name in names]
        made = [class_definition(each, [], f"m{level}") for each in details]
        bases |= dict.fromkeys(made, before)
        before = made
    return before[0], bases


@pytest.mark.parametrize(("levels", "width"), [(30, 2), (400, 1)])
def test_bases_are_asked_for_once_and_to_a_limit(levels: int, width: int) -> None:
    start, bases = lattice(levels, width)
    asked: list[ClassDefinition] = []

    def bases_of(of: ClassDefinition) -> list[ClassDefinition]:
        asked.append(of)
        return bases[of]

    order = resolution_order(start, bases_of)
    assert len(asked) == len(set(asked)) <= levels * width
    assert len(asked) < 100
    assert (order is None) == (levels > 64)
    assert order is None or len(order) == (levels - 1) * width + 1


def test_more_bases_than_people_write_are_not_merged() -> None:
    start, bases = lattice(2, 400)
    assert resolution_order(start, bases.__getitem__) is None
