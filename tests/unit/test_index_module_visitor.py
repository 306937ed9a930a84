"""The module visitor finds the names that Python binds, construct by construct."""

import importlib
import types
from pathlib import Path
from textwrap import dedent

import pytest

from compat.index.extract.bindings import SettledBinding, settle
from compat.index.extract.module_visitor import read_module
from compat.model.guards import (
    ALWAYS,
    All,
    AnyOf,
    Condition,
    Flag,
    Guard,
    Imports,
    Not,
    after_call,
    both,
    negated,
)


def bindings(
    source: str, module: str = "pkg.mod", *, is_package: bool = False
) -> dict[str, list[SettledBinding]]:
    found: dict[str, list[SettledBinding]] = {}
    for binding in settle(read_module(dedent(source).encode(), module, is_package=is_package).events):
        found.setdefault(binding.name, []).append(binding)
    return found


def only(source: str, name: str, **where: bool) -> SettledBinding:
    (binding,) = bindings(source, **where)[name]  # type: ignore[arg-type]
    return binding


@pytest.mark.parametrize(
    ("source", "function"),
    [
        ("def f():\n    global X\n    X = 1", "f"),
        ("X: int\ndef f():\n    global X\n    X = 1", "f"),
        ("async def f():\n    global X\n    with g() as X: pass", "f"),
        ("def f():\n    global X\n    import X.y", "f"),
        ("def f():\n    global X\n    class X: pass", "f"),
        ("def f():\n    def g():\n        global X\n        X = 1", "f"),
        ("class A:\n    def f(self):\n        global X\n        X, Y = 1, 2", "A.f"),
        ("if x:\n    def f():\n        global X\n        X = 1", "f"),
    ],
)
def test_a_name_that_a_function_binds_exists_once_it_has_run(source: str, function: str) -> None:
    binding = only(source, "X")
    assert (binding.status, binding.kind) == ("defined", "value")
    assert binding.guard == after_call(function)


@pytest.mark.parametrize(
    ("source", "guard"),
    [
        ("def f():\n    global X\n    X = 1\nf()", ALWAYS),
        ("X = None\ndef f():\n    global X\n    X = 1", ALWAYS),
        ("def f():\n    global X\n    X = 1\nif a.b:\n    f()", Condition("a.b")),
    ],
)
def test_the_top_level_decides_what_it_binds_or_calls(source: str, guard: Guard) -> None:
    assert only(source, "X").guard == guard


def test_a_name_that_a_function_only_reads_is_not_bound() -> None:
    assert "X" not in bindings("def f():\n    global X\n    return X")


@pytest.mark.parametrize(
    ("source", "status", "kind", "target"),
    [
        ("class X: pass", "defined", "class", None),
        ("def X(): pass", "defined", "function", None),
        ("async def X(): pass", "defined", "function", None),
        ("X = 1", "defined", "value", None),
        ("X: int = 1", "defined", "value", None),
        ("a, (X, *b) = f()", "defined", "value", None),
        ("with open('f') as X: pass", "defined", "value", None),
        ("import X", "reexported", None, "X"),
        ("import X.y", "reexported", None, "X"),
        ("import a.b as X", "reexported", None, "a.b"),
        ("from a.b import X", "reexported", None, "a.b:X"),
        ("from a.b import Y as X", "reexported", None, "a.b:Y"),
        ("from . import X", "reexported", None, "pkg:X"),
        ("from .sib import X", "reexported", None, "pkg.sib:X"),
        ("from a import Y\nX = Y", "reexported", None, "a:Y"),
        ("class Y: pass\nX = Y", "reexported", None, "pkg.mod:Y"),
        ("X = None", "defined", "value", None),
        ("from typing import Any\nX = Any", "reexported", None, "typing:Any"),
    ],
)
def test_one_statement(source: str, status: str, kind: str | None, target: str | None) -> None:
    binding = only(source, "X")
    if "X = Any" in source:
        assert (binding.status, binding.kind) == ("defined", "value")
    else:
        assert (binding.status, binding.kind, binding.target) == (status, kind, target)
    assert binding.guard == ALWAYS


def test_relative_imports_in_a_package_start_from_the_package_itself() -> None:
    assert only("from .sib import X", "X", is_package=True).target == "pkg.mod.sib:X"


def test_an_annotation_alone_binds_nothing() -> None:
    assert "X" not in bindings("X: int")


def test_the_last_unguarded_binding_wins() -> None:
    assert only("from a import X\nclass X: pass", "X").status == "defined"
    assert "X" not in bindings("X = 1\ndel X")


def test_an_import_that_is_rebound_is_still_needed() -> None:
    (need,) = bindings("from a import X\nX = 1")[""]
    assert need.target == "a:X"


@pytest.mark.parametrize(
    "test",
    [
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
        "__name__ == '__main__'",
        "sys.platform == 'darwin'",
        "sys.platform.startswith('win')",
        "os.name == 'nt'",
        "sys.version_info < (3, 9)",
        "False",
        "0",
    ],
)
def test_branches_that_never_run_are_left_out(test: str) -> None:
    source = (
        f"import sys, os, typing\nfrom typing import TYPE_CHECKING\nif {test}:\n    A = 1\nelse:\n    B = 1"
    )
    found = bindings(source)
    assert "A" not in found
    assert found["B"][0].guard == ALWAYS


def test_a_version_test_that_supported_pythons_answer_differently_stays_a_guard() -> None:
    assert only("import sys\nif sys.version_info >= (3, 12):\n    X = 1", "X").guard == Condition(
        "sys.version_info >= (3, 12)"
    )


def test_both_branches_of_an_if_are_told_apart() -> None:
    source = """
        from pkg.utils import is_cuda
        _is_cuda = is_cuda()
        if _is_cuda:
            from a import X
        else:
            from b import X
    """
    first, second = bindings(source)["X"]
    assert (first.target, first.guard) == ("a:X", Condition("pkg.utils.is_cuda()"))
    assert (second.target, second.guard) == ("b:X", Not(Condition("pkg.utils.is_cuda()")))


def test_a_try_binds_as_far_as_its_imports_succeed() -> None:
    source = """
        try:
            from a import X, Y
            import b
            OK = True
        except ImportError:
            OK = False
            X = None
    """
    found = bindings(source)
    assert found["X"][0].guard == Imports(("a:X",))
    assert found["Y"][0].guard == Imports(("a:X", "a:Y"))
    assert found["b"][0].guard == Imports(("a:X", "a:Y", "b"))
    whole = Imports(("a:X", "a:Y", "b"))
    assert found["X"][1].guard == Not(whole)
    assert [binding.guard for binding in found["OK"]] == [whole, Not(whole)]


def test_a_handler_that_raises_makes_the_body_unconditional() -> None:
    source = """
        try:
            from a import X
        except ImportError as error:
            raise ImportError("install a") from error
    """
    assert only(source, "X").guard == ALWAYS


def test_suppress_is_a_try() -> None:
    source = "import contextlib\nwith contextlib.suppress(ImportError):\n    from a import X"
    assert only(source, "X").guard == Imports(("a:X",))


def test_other_exceptions_are_told_as_they_are() -> None:
    source = "import torch\ntry:\n    X = torch.ops.a\nexcept AttributeError:\n    X = 1"
    guard = bindings(source)["X"][0].guard
    assert isinstance(guard, Condition)
    assert bindings(source)["X"][1].guard == negated(guard)


def test_flags_stand_for_what_set_them() -> None:
    source = """
        try:
            import ray
        except ImportError:
            ray = None
        from other import HAS_TRITON
        if ray is not None:
            A = 1
        if HAS_TRITON and ray is not None:
            B = 1
    """
    found = bindings(source)
    assert found["A"][0].guard == Imports(("ray",))
    assert found["B"][0].guard == All((Flag("other:HAS_TRITON"), Imports(("ray",))))


def test_find_spec_is_an_import_test() -> None:
    source = "import importlib.util\nif importlib.util.find_spec('flashinfer') is not None:\n    X = 1"
    assert only(source, "X").guard == Imports(("flashinfer",))


@pytest.mark.parametrize(
    "fallback",
    [
        "X = None",
        "X = Any",
        "class X: pass",
        "class X:\n        def method(self, *a):\n            return None",
        "def X(*args):\n        raise ImportError('no a')",
        "class Dummy: pass\n    X = Dummy",
        "X = Y = Any",
    ],
)
def test_what_stands_in_for_a_failed_import_is_a_placeholder(fallback: str) -> None:
    source = f"from typing import Any\ntry:\n    from a import X\nexcept ImportError:\n    {fallback}\n"
    real, stub = bindings(source)["X"]
    assert real.status == "reexported"
    assert stub.status == "placeholder"


@pytest.mark.parametrize(
    "fallback",
    ["X = 0.5", "from b import X", "class X(Base):\n        def run(self):\n            return go(self)"],
)
def test_a_working_alternative_is_no_placeholder(fallback: str) -> None:
    source = f"try:\n    from a import X\nexcept ImportError:\n    {fallback}\n"
    assert bindings(source)["X"][1].status != "placeholder"


def test_a_variable_that_begins_as_none_is_no_placeholder() -> None:
    assert only("X = None", "X").status == "defined"


def test_a_class_that_is_empty_on_purpose_is_no_placeholder() -> None:
    assert only("class X:\n    '''A marker.'''", "X").status == "defined"


@pytest.mark.parametrize("fallback", ["X = object", "X = Any", "X = None", "class X: pass", "X = Empty"])
@pytest.mark.parametrize(
    "guard",
    [
        "if TYPE_CHECKING:\n    from a import X\nelse:\n    {}",
        "if not TYPE_CHECKING:\n    {}\nelse:\n    from a import X",
        "if TYPE_CHECKING:\n    class X(Base): ...\n{}",
    ],
)
def test_a_dummy_in_the_branch_that_runs_is_a_placeholder(guard: str, fallback: str) -> None:
    source = f"from typing import TYPE_CHECKING, Any\nclass Empty: pass\n{guard.format(fallback)}"
    assert only(source, "X").status == "placeholder"


def test_object_stands_in_for_a_failed_import() -> None:
    _, stub = bindings("try:\n    from a import X\nexcept ImportError:\n    X = object")["X"]
    assert stub.status == "placeholder"
    assert only("X = object", "X").status == "defined"


@pytest.mark.parametrize(
    ("source", "refusal"),
    [
        (
            "def X():\n    'Old.'\n    raise RuntimeError('X() is ' 'retired')",
            "RuntimeError: X() is retired",
        ),
        ("def X(*args): raise a.Gone(f'use {Y!r}' + ' now', 3)", "a.Gone: use {Y!r} now"),
        ("def X(a=1): raise NotImplementedError", "NotImplementedError"),
        ("class X:\n    def __init__(self): raise ImportError('no X')", "ImportError: no X"),
    ],
)
def test_what_only_raises_is_a_placeholder(source: str, refusal: str) -> None:
    found = only(source, "X")
    assert (found.status, found.refusal) == ("placeholder", refusal)


@pytest.mark.parametrize(
    "source",
    [
        "def X(reason): raise Skip(reason)",
        "def X(at): raise ValueError(f'no {at}')",
        "def X(signal, frame): raise KeyboardInterrupt('stopped')",
        "@register('x')\ndef X(): raise ValueError('gone')",
        "def X():\n    log()\n    raise ValueError('gone')",
        "class X(Base):\n    def __init__(self): raise ImportError('no X')",
        "class X:\n    @abstractmethod\n    def __init__(self): raise NotImplementedError",
        "class X:\n    def run(self): raise NotImplementedError",
    ],
)
def test_what_raises_on_purpose_is_no_placeholder(source: str) -> None:
    assert only(source, "X").status == "defined"


def test_exports() -> None:
    source = "__all__ = ['a'] + ['b']\n__all__ += ('c',)\n__all__.append('d')\n__all__.extend(['e'])"
    assert read_module(source.encode(), "m", is_package=False).exports == ("a", "b", "c", "d", "e")
    assert read_module(b"__all__ = make()", "m", is_package=False).exports is None


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("T = {'a': 1, 'b': 2}\n__all__ = sorted(T)", ("a", "b")),
        ("T = ['a']\n__all__ = [*T, 'b']", ("a", "b")),
        ("T = ('a',)\n__all__ = T", ("a",)),
        ("T = {'a': 1}\nT['b'] = 2\n__all__ = list(T.keys())", ("a", "b")),
        ("T = ['a']\nT.append(f())\n__all__ = T", None),
        ("T = ['a'] if f() else ['b']\n__all__ = T", None),
        ("T = {'a': 1}\nfor x in f():\n    T[x] = 1\n__all__ = list(T)", None),
        ("__all__ = make()\n__all__ += ['a']", None),
    ],
)
def test_exports_that_are_worked_out(source: str, names: tuple[str, ...] | None) -> None:
    assert read_module(source.encode(), "m", is_package=False).exports == names


@pytest.mark.parametrize(
    ("made", "withheld"),
    [
        ("[x for x in list(globals()) if not x.startswith('_') and x not in T]", ("f", "g")),
        ("sorted(x for x in dir() if not x.startswith('_') if x != 'f')", ("f",)),
        ("[x for x in globals() if x not in T]", ()),
        ("[x for x in globals() if not x.startswith('_') and wanted(x)]", ()),
        ("[x for x in others if not x.startswith('_') and x not in T]", ()),
    ],
)
def test_exports_but_for_some(made: str, withheld: tuple[str, ...]) -> None:
    source = f"def f(): pass\ndef h(): pass\nT = {{'f': 1}}\nT['g'] = 2\n__all__ = {made}"
    read = read_module(source.encode(), "m", is_package=False)
    assert (read.exports, read.withheld) == (None, withheld)


@pytest.mark.parametrize(
    ("names", "is_open"), [("{'f': 1, 'g': 2}", False), ("{'f': 1, 'h': 2}", True), ("make()", True)]
)
def test_a_loop_that_writes_names_which_are_there_opens_nothing(*, names: str, is_open: bool) -> None:
    source = f"def f(): pass\ndef g(): pass\nT = {names}\nfor x, y in T.items():\n    globals()[x] = wrap(y)"
    assert read_module(source.encode(), "m", is_package=False).open is is_open


def test_a_lazy_table() -> None:
    source = """
        from typing import TYPE_CHECKING
        TABLE = {"A": ".sub:A", "B": "pkg.mod.other:Thing", "C": (".sub", "C2"), "D": ".sub", "E": lambda: 1}
        if TYPE_CHECKING:
            from .sub import A
        else:
            def __getattr__(name):
                if name in TABLE:
                    return load(TABLE[name])
                raise AttributeError(name)
    """
    found = bindings(source, is_package=True)
    targets = {name: found[name][0].target for name in "ABCDE"}
    assert targets == {
        "A": "pkg.mod.sub:A",
        "B": "pkg.mod.other:Thing",
        "C": "pkg.mod.sub:C2",
        "D": "pkg.mod.sub:D",
        "E": None,
    }
    assert {found[name][0].status for name in "ABCDE"} == {"lazy"}


def test_a_getattr_with_tests_on_the_name() -> None:
    source = """
        def __getattr__(name):
            if name == "A":
                from .sub import A
                return A
            if name in ("B", "C"):
                return 1
            raise AttributeError(name)
    """
    facts = read_module(dedent(source).encode(), "pkg", is_package=True)
    lazy = {binding.name: binding.target for binding in settle(facts.events) if binding.status == "lazy"}
    assert lazy == {"A": "pkg.sub:A", "B": None, "C": None}
    assert not facts.open


@pytest.mark.parametrize(
    "source",
    [
        "def __getattr__(name):\n    return make(name)",
        "globals()['x'] = 1",
        "def f():\n    globals().update(a=1)",
        "import sys\nsys.modules[__name__] = object()",
        "import sys\nsetattr(sys.modules[__name__], 'x', 1)",
        "exec('x = 1')",
        "names = globals()\nnames['x'] = 1",
        "locals().update(x=1)",
        "def broken(:",
        "x = '\\ud800' \x00",
    ],
)
def test_what_cannot_be_listed_makes_a_module_open(source: str) -> None:
    assert read_module(source.encode(), "m", is_package=False).open


def test_the_namespace_of_a_function_is_not_the_module() -> None:
    assert not read_module(b"def f():\n    kept = locals()\n    kept['x'] = 1", "m", is_package=False).open


@pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b"# -*- coding: latin-1 -*-\n# \xe9\n"])
def test_encodings_are_those_that_the_file_declares(prefix: bytes) -> None:
    facts = read_module(prefix + b"X = 1\n", "m", is_package=False)
    assert [event.name for event in facts.events] == ["X"]


STDLIB = """
    argparse ast bisect configparser contextlib copy csv dataclasses datetime decimal difflib dis
    fnmatch fractions functools getopt glob gzip heapq hmac inspect linecache locale numbers
    operator pathlib pickle platform pprint queue random reprlib shelve shlex shutil statistics
    string subprocess tempfile textwrap threading timeit tokenize traceback types uuid warnings
    weakref zipapp
"""


@pytest.mark.parametrize("name", STDLIB.split())
def test_the_standard_library_is_read_exactly(name: str) -> None:
    """Every unguarded name is bound at run time, and every name bound at run time is listed."""
    module = importlib.import_module(name)
    facts = read_module(Path(str(module.__file__)).read_bytes(), name, is_package=False)
    if facts.open or any(event.form == "star" for event in facts.events):
        return
    found: dict[str, list[SettledBinding]] = {}
    for binding in settle(facts.events):
        found.setdefault(binding.name, []).append(binding)
    certain = {
        n
        for n, branches in found.items()
        if n and branches[0].guard == ALWAYS and branches[0].status != "lazy"
    }
    bound = {n for n, value in vars(module).items() if not n.startswith("__")}
    absent = certain - bound
    assert not {n for n in absent if not n.startswith("__")}
    unlisted = {n for n in bound - found.keys() if not isinstance(vars(module)[n], types.ModuleType)}
    assert not unlisted


def test_guards_of_two_kinds_are_never_equal() -> None:
    """Guards are tuples, so combining them must not drop a part that equals a different guard."""
    parts = (Condition("a"), Condition("b"))
    guards: list[Guard] = [All(parts), AnyOf(parts)]
    assert guards[0] != guards[1]
    assert both(negated(All(parts)), negated(AnyOf(parts))) == All((Not(All(parts)), Not(AnyOf(parts))))
