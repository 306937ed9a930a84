"""Compare the expectations of the index with the facts of the probe; nothing is imported here.

Six statuses are definite answers and are checked: defined, reexported, lazy, submodule, placeholder and
missing. A name that is `conditional` or `dynamic` may be bound or not, so it never counts as agreement.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from compat.matrix.model.outcome import Counts, Disagreement
from compat.model.symbols import location
from compat.probe.expectation import ModuleExpectation, NameExpectation
from compat.probe.probe_records import ModuleFact, NameFact

IMPORTS = "a module that imports"
"""The expectation in a disagreement about a module that cannot be imported."""
LATE = "; it imports after others"
"""Suffix of the observation for a module that can be imported only after others."""
UNCOMMITTED = frozenset({"conditional", "dynamic"})

STANDARD_STUBS = {"none": "None", "any": "typing.Any", "object": "object"}
"""Stubs of the standard library, by the words of the probe, as text for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of comparing a set of modules."""

    counts: Counts
    disagreements: tuple[Disagreement, ...]
    agreed: Mapping[str, int]
    """See `CellOutcome.agreed`."""


def judge(expected: Iterable[ModuleExpectation], facts: Mapping[str, ModuleFact]) -> Verdict:
    """Return counts and disagreements over all modules.

    Args:
        expected: the expectations of the index.
        facts: the facts of the probe, by module; a module without a fact is a disagreement.
    """
    modules = refused = listed = imported = checked = conditional = unchecked = 0
    found: list[Disagreement] = []
    agreed: Counter[str] = Counter()
    for module in expected:
        fact = facts.get(module.module) or ModuleFact(module=module.module, error="never reached")
        modules += 1
        refused += module.must_fail and not fact.imported
        listed += len(module.names)
        found.extend(compare_module(module, fact))
        if fact.names is None:
            unchecked += len(module.names)
            continue
        agreed.update(_agreements(module, fact))
        open_names = sum(name.status in UNCOMMITTED for name in module.names)
        conditional += open_names
        checked += len(module.names) - open_names
        imported += sum(fact.names[name.name].bound for name in module.names if name.name in fact.names)
    counts = Counts(
        modules=modules,
        refused=refused,
        listed=listed,
        imported=imported,
        checked=checked,
        conditional=conditional,
        unchecked=unchecked,
        disagreements=len(found),
    )
    return Verdict(counts=counts, disagreements=tuple(sorted(found)), agreed=dict(agreed))


def _agreements(module: ModuleExpectation, fact: ModuleFact) -> Iterator[str]:
    """Yield a key of `CellOutcome.agreed` for each confirmed status, origin, kind and guard of a name."""
    for name in module.names:
        seen_name = (fact.names or {}).get(name.name)
        if name.status in UNCOMMITTED or compare_name(module.module, name, seen_name) is not None:
            continue
        yield name.status
        if name.origin is not None and name.status not in {"missing", "placeholder"}:
            yield "origin"
        if _objective(name) and name.status not in {"missing", "placeholder"}:
            yield "kind"
        if name.guarded:
            yield "guard"


def compare_module(expected: ModuleExpectation, fact: ModuleFact) -> tuple[Disagreement, ...]:
    """Return the disagreements about one module: about its import, and about its names."""
    if expected.must_fail:
        why = f"a module that cannot be imported: {expected.problem}" if expected.problem else "missing"
        return (_at(expected.module, why, "a module that imports"),) if fact.imported else ()
    found: list[Disagreement] = []
    if not fact.imported:
        where = f" ({fact.where})" if fact.where else ""
        late = LATE if fact.names is not None else ""
        found.append(_at(expected.module, IMPORTS, f"{fact.error}{where}{late}"))
    if fact.names is None:
        return tuple(found)
    named = [compare_name(expected.module, name, fact.names.get(name.name)) for name in expected.names]
    found.extend(disagreement for disagreement in named if disagreement)
    if not expected.open:
        found.extend(
            _at(location(expected.module, name), "unlisted", what)
            for name, what in sorted(fact.unlisted.items())
        )
    return tuple(found)


def compare_name(module: str, expected: NameExpectation, fact: NameFact | None) -> Disagreement | None:
    """Return the disagreement about one name; None when both agree or the index has no definite answer."""
    if expected.status in UNCOMMITTED:
        return None
    where = location(module, expected.name)
    if fact is None:
        return _at(where, describe_expectation(expected), "never looked up")
    if expected.status == "missing":
        return _at(where, "missing", describe_fact(fact)) if fact.bound else None
    if not fact.bound:
        return _at(where, describe_expectation(expected), f"not bound ({fact.error})")
    if expected.status == "placeholder":
        return None if fact.stub else _at(where, describe_expectation(expected), describe_fact(fact))
    if expected.origin is not None:
        agreed = _is_origin(expected, fact)
    elif expected.status == "submodule":
        agreed = fact.kind == "module"
    else:
        agreed = _is_definition(module, expected, fact)
    return None if agreed else _at(where, describe_expectation(expected), describe_fact(fact))


def _is_origin(expected: NameExpectation, fact: NameFact) -> bool:
    # A stub that the origin has as well is judged there. But `None is None` proves nothing when a class or
    # function is expected.
    return fact.same is True and _fits(expected, fact) and not (_objective(expected) and fact.stub == "none")


def _is_definition(module: str, expected: NameExpectation, fact: NameFact) -> bool:
    """Return whether a `defined` name is bound to an object that its own module defines.

    A class or function states its module. A decorator such as `functools.cache` or `triton.jit` may wrap it:
    then the wrapped object states it, and if that is hidden, the wrapper must at least be callable.
    """
    if not _objective(expected):
        return True
    if fact.stub in STANDARD_STUBS or not _fits(expected, fact):
        return False
    if fact.kind == "value":
        return fact.wraps.partition(":")[0] == module if fact.wraps else fact.callable
    if fact.stub and fact.qualname != expected.name:
        return False  # one stub that is bound to several names
    return fact.module == module or fact.wraps.partition(":")[0] == module


def _objective(expected: NameExpectation) -> bool:
    return expected.kind in {"class", "function"}


def _fits(expected: NameExpectation, fact: NameFact) -> bool:
    """Return whether the kinds agree; a decorator may turn a function or class into a value."""
    if expected.kind in {"value", fact.kind}:
        return True
    return _objective(expected) and fact.kind == "value" and (fact.callable or bool(fact.wraps))


def describe_expectation(expected: NameExpectation) -> str:
    """Return the expectation as text: `reexported function from vllm._custom_ops:scaled_fp8_quant`."""
    kind = "" if expected.kind == "value" else f" {expected.kind}"
    origin = f" from {expected.origin}" if expected.origin else ""
    return f"{expected.status}{kind}{origin}"


def describe_fact(fact: NameFact) -> str:
    """Return the fact as text, such as `class vllm.config:ModelConfig`."""
    if fact.stub in STANDARD_STUBS:
        return STANDARD_STUBS[fact.stub]
    what = fact.stub or (f"{fact.type} object" if fact.kind == "value" else fact.kind)
    home = f" {fact.home}" if fact.kind in {"class", "function"} and fact.qualname else ""
    home = home or (f" {fact.qualname}" if fact.kind == "module" else "")
    wraps = f" around {fact.wraps}" if fact.wraps and fact.wraps != fact.home else ""
    other = ""
    if fact.same is False:
        other = f", origin: {fact.origin_error}" if fact.origin_error else ", not the origin's object"
    return f"{what}{home}{wraps}{other}"


def _at(where: str, expected: str, observed: str) -> Disagreement:
    return Disagreement(location=where, expected=expected, observed=observed)
