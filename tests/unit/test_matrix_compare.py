from dataclasses import replace
from typing import Any

import pytest

from compat.matrix.judge.compare import compare_module, compare_name, judge
from compat.matrix.judge.expected_failures import explain
from compat.matrix.model.outcome import Disagreement
from compat.model.releases import KnownFailure
from compat.probe.expectation import ModuleExpectation, NameExpectation
from compat.probe.probe_records import ModuleFact, NameFact

MODULE = "pkg.mod"
CLASS = {
    "bound": True,
    "kind": "class",
    "type": "builtins.type",
    "module": MODULE,
    "qualname": "X",
    "callable": True,
}
FUNCTION = CLASS | {"kind": "function", "type": "builtins.function"}
VALUE = {"bound": True, "kind": "value", "type": "builtins.int"}
JITTED = {"bound": True, "kind": "value", "type": "t.JITFunction", "callable": True, "module": MODULE}
NONE = {"bound": True, "kind": "value", "type": "builtins.NoneType", "stub": "none"}
ANY = {
    "bound": True,
    "kind": "class",
    "type": "typing._AnyMeta",
    "stub": "any",
    "module": "typing",
    "qualname": "Any",
}
DUMMY = CLASS | {"stub": "hollow class", "qualname": "Dummy"}
UNBOUND = {"bound": False, "error": "ImportError: no"}
ELSEWHERE = {"module": "other.mod"}


def expected(status: Any, kind: Any = "value", origin: str | None = None) -> NameExpectation:
    return NameExpectation(name="X", status=status, kind=kind, origin=origin)


@pytest.mark.parametrize(
    ("expectation", "fact"),
    [
        (expected("defined", "class"), CLASS),
        (expected("defined", "class"), CLASS | {"stub": "hollow class"}),  # an empty class under its own name
        (expected("defined", "function"), FUNCTION),
        (expected("defined", "function"), FUNCTION | ELSEWHERE | {"wraps": f"{MODULE}:X"}),
        (expected("defined", "function"), JITTED | {"wraps": f"{MODULE}:X"}),
        (expected("defined", "function"), JITTED),
        (expected("defined", "function"), JITTED | {"callable": False, "wraps": f"{MODULE}:X"}),
        (expected("defined"), VALUE),
        (expected("defined"), NONE),  # a variable that is None to begin with
        (expected("reexported", "class", "other.mod:X"), CLASS | ELSEWHERE | {"same": True}),
        (expected("reexported", "class", "typing:Any"), ANY | {"same": True}),
        (expected("reexported", "value", "other.mod:X"), NONE | {"same": True}),
        (expected("lazy", "class", "other.mod:X"), CLASS | {"same": True}),
        (expected("submodule", "module"), {"bound": True, "kind": "module", "qualname": "pkg.mod.X"}),
        (expected("placeholder"), NONE),
        (expected("placeholder", "class"), DUMMY),
        (expected("placeholder"), ANY),
        (expected("missing"), UNBOUND),
        (expected("conditional"), UNBOUND),
        (expected("conditional", "class"), NONE),
        (expected("dynamic"), VALUE),
    ],
)
def test_agreement(expectation: NameExpectation, fact: dict[str, Any]) -> None:
    assert compare_name(MODULE, expectation, NameFact.read(fact)) is None


@pytest.mark.parametrize(
    ("expectation", "fact", "observed"),
    [
        (expected("defined", "class"), UNBOUND, "not bound (ImportError: no)"),
        (expected("defined", "class"), NONE, "None"),
        (expected("defined", "class"), ANY, "typing.Any"),
        (expected("defined", "class"), DUMMY, "hollow class pkg.mod:Dummy"),
        (expected("defined", "class"), FUNCTION, "function pkg.mod:X"),
        (expected("defined", "class"), CLASS | ELSEWHERE, "class other.mod:X"),
        (expected("defined", "function"), CLASS, "class pkg.mod:X"),
        (expected("defined", "function"), FUNCTION | ELSEWHERE, "function other.mod:X"),
        (
            expected("defined", "function"),
            JITTED | {"wraps": "other:f"},
            "t.JITFunction object around other:f",
        ),
        (expected("defined", "function"), JITTED | {"callable": False}, "t.JITFunction object"),
        (
            expected("reexported", "class", "other.mod:X"),
            CLASS | {"same": False},
            "class pkg.mod:X, not the origin's object",
        ),
        (
            expected("reexported", "class", "other.mod:X"),
            CLASS | {"same": False, "origin_error": "ImportError: gone"},
            "class pkg.mod:X, origin: ImportError: gone",
        ),
        (expected("reexported", "class", "other.mod:X"), NONE | {"same": True}, "None"),
        (expected("reexported", "function", "other.mod:X"), CLASS | {"same": True}, "class pkg.mod:X"),
        (expected("lazy", "class", "other.mod:X"), UNBOUND, "not bound (ImportError: no)"),
        (expected("submodule", "module"), VALUE, "builtins.int object"),
        (expected("placeholder", "class"), CLASS, "class pkg.mod:X"),
        (expected("placeholder"), UNBOUND, "not bound (ImportError: no)"),
        (expected("missing"), CLASS, "class pkg.mod:X"),
        (expected("missing"), NONE, "None"),
    ],
)
def test_disagreement(expectation: NameExpectation, fact: dict[str, Any], observed: str) -> None:
    found = compare_name(MODULE, expectation, NameFact.read(fact))
    assert found is not None
    assert (found.location, found.observed) == ("pkg.mod:X", observed)
    assert found.expected.startswith(expectation.status)


def test_a_name_that_was_never_looked_up_is_a_disagreement() -> None:
    found = compare_name(MODULE, expected("defined", "class"), None)
    assert found is not None
    assert found.observed == "never looked up"


def test_a_module_that_does_not_import_is_one_disagreement() -> None:
    module = ModuleExpectation(module=MODULE, exists=True, names=(expected("defined"), expected("missing")))
    fact = ModuleFact(module=MODULE, error="OSError: no", where="pkg/mod.py:3")
    (found,) = compare_module(module, fact)
    assert found == Disagreement(
        location=MODULE, expected="a module that imports", observed="OSError: no (pkg/mod.py:3)"
    )


@pytest.mark.parametrize(
    "module",
    [
        ModuleExpectation(module=MODULE, exists=False),
        ModuleExpectation(module=MODULE, exists=True, problem="no vllm"),
    ],
)
def test_a_module_that_must_not_import_agrees_only_when_it_fails(module: ModuleExpectation) -> None:
    assert compare_module(module, ModuleFact(module=MODULE, error="ModuleNotFoundError: no")) == ()
    (found,) = compare_module(module, ModuleFact(module=MODULE))
    assert found.observed == "a module that imports"


def test_unlisted_names_disagree_unless_the_module_is_open() -> None:
    fact = ModuleFact(module=MODULE, names={}, unlisted={"b": "class of other", "a": "value of builtins"})
    found = compare_module(ModuleExpectation(module=MODULE, exists=True), fact)
    assert [(entry.location, entry.expected, entry.observed) for entry in found] == [
        ("pkg.mod:a", "unlisted", "value of builtins"),
        ("pkg.mod:b", "unlisted", "class of other"),
    ]
    assert compare_module(ModuleExpectation(module=MODULE, exists=True, open=True), fact) == ()


def test_counts_tell_apart_what_was_checked_and_what_was_not() -> None:
    def name(name: str, status: Any) -> NameExpectation:
        return NameExpectation(name=name, status=status, kind="value")

    modules = (
        ModuleExpectation(
            module="m",
            exists=True,
            names=(name("a", "defined"), name("b", "missing"), name("c", "conditional")),
        ),
        ModuleExpectation(module="n", exists=True, names=(name("a", "defined"),)),
        ModuleExpectation(module="o", exists=False),
        ModuleExpectation(module="p", exists=True, names=(name("a", "defined"),)),
    )
    facts = {
        "m": ModuleFact(
            module="m",
            names={"a": NameFact.read(VALUE), "b": NameFact.read(UNBOUND), "c": NameFact.read(VALUE)},
        ),
        "n": ModuleFact(module="n", error="crashed: signal 11 (SIGSEGV)"),
        "o": ModuleFact(module="o", error="ModuleNotFoundError: o"),
    }
    verdict = judge(modules, facts)
    counts = verdict.counts
    assert (counts.modules, counts.listed, counts.imported) == (4, 5, 2)
    assert (counts.checked, counts.conditional, counts.unchecked) == (2, 1, 2)
    assert counts.checked + counts.conditional + counts.unchecked == counts.listed
    assert [(entry.location, entry.observed) for entry in verdict.disagreements] == [
        ("n", "crashed: signal 11 (SIGSEGV)"),
        ("p", "never reached"),
    ]


def test_modules_that_fail_as_expected_are_counted_apart() -> None:
    told = ModuleExpectation(module="a", exists=True, problem="a imports b, which is missing")
    gone, wrong = ModuleExpectation(module="b", exists=False), replace(told, module="c")
    failed = {name: ModuleFact(module=name, error="ImportError: no") for name in "ab"}
    verdict = judge([told, gone, wrong], {**failed, "c": ModuleFact(module="c", names={})})
    assert (verdict.counts.modules, verdict.counts.refused) == (3, 2)
    assert [entry.location for entry in verdict.disagreements] == ["c"]


def test_what_was_confirmed_is_counted_by_status_origin_kind_and_guard() -> None:
    names = (
        expected("defined", "class"),
        replace(expected("reexported", "class", "other:Y"), name="Y", guarded=True),
        replace(expected("missing"), name="Z", guarded=True),
        replace(expected("defined", "function"), name="W"),
        replace(expected("conditional"), name="V"),
    )
    there = {
        "X": NameFact.read(CLASS),
        "Y": NameFact.read(CLASS | {"module": "other", "qualname": "Y", "same": True}),
        "Z": NameFact.read({"bound": False, "error": "no"}),
        "W": NameFact.read(VALUE),
        "V": NameFact.read(VALUE),
    }
    module = ModuleExpectation(module=MODULE, exists=True, names=names)
    verdict = judge([module], {MODULE: ModuleFact(module=MODULE, names=there)})
    assert verdict.agreed == {"defined": 1, "kind": 2, "reexported": 1, "origin": 1, "guard": 2, "missing": 1}
    assert [entry.location for entry in verdict.disagreements] == [f"{MODULE}:W"]


def test_expected_failures_match_by_location_or_module_and_an_unused_one_is_reported() -> None:
    disagreements = [
        Disagreement(location="a.b:X", expected="e", observed="o"),
        Disagreement(location="a.c", expected="e", observed="o"),
        Disagreement(location="d:Y", expected="e", observed="o"),
    ]
    by_name = KnownFailure(location="a.b:*", reason="names")
    by_module = KnownFailure(location="a.*", reason="modules", link="there")
    idle = KnownFailure(location="z", reason="gone", when="no-cuda")
    other_machine = KnownFailure(location="d", reason="GPU only", when="cuda")
    left, met, unused = explain(disagreements, [by_name, by_module, idle, other_machine], cuda=False)
    assert [entry.location for entry in left] == ["d:Y"]
    assert [(entry.disagreement.location, entry.reason) for entry in met] == [
        ("a.b:X", "names"),
        ("a.c", "modules"),
    ]
    assert unused == (idle,)
    left, _, unused = explain(disagreements, [by_module, idle, other_machine], cuda=True)
    assert (left, unused) == ((), ())
