"""From many failed imports to few causes: one library that breaks forty modules is one finding."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from packaging.utils import canonicalize_name

from compat._cli.text import listed
from compat.doctor.imports import ImportResults, Stub
from compat.doctor.inspected_environment import InspectedEnvironment
from compat.doctor.unmet_requirements import Violation
from compat.explain.engine import explain
from compat.model.diagnosis import Cause, Diagnosis, Fix
from compat.model.releases import IMPORT_NAMES, PACKAGES, SGLANG, VLLM
from compat.probe.probe_records import ModuleFact
from compat.runtime.diagnoses import of_absence

WHOLE: frozenset[Cause] = frozenset(
    {"package_missing", "missing_native_library", "no_gpu", "abi_mismatch", "requirement_violated"}
)
"""Causes that concern a distribution as a whole: which symbol met them first does not matter."""


@dataclass(slots=True, kw_only=True)
class Root:
    """One cause, and all that it breaks."""

    diagnosis: Diagnosis
    modules: list[str] = field(default_factory=list)
    stubs: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """The last lines of the exceptions, with the places that raised them."""

    def finding(self) -> Diagnosis:
        """Return the diagnosis with all that it breaks as evidence."""
        told = list(self.diagnosis.evidence)
        if self.modules:
            plural = "" if len(self.modules) == 1 else "s"
            told.append(f"{len(self.modules)} module{plural} cannot be imported: {listed(self.modules)}")
        if self.stubs:
            plural = "s are stubs" if len(self.stubs) > 1 else " is a stub"
            told.append(f"{len(self.stubs)} symbol{plural}: {listed(self.stubs)}")
        return replace(self.diagnosis, evidence=tuple(told))


def roots(
    environment: InspectedEnvironment, results: ImportResults, violations: Sequence[Violation]
) -> tuple[Root, ...]:
    """Return the causes of all failures and stubs, those that break most first.

    Args:
        environment: the environment.
        results: what importing gave.
        violations: requirements that are not met: one that an import stumbles over is its cause.
    """
    found: dict[tuple[object, ...], Root] = {}
    told: dict[str, Diagnosis] = {}
    for fact in results.failed:
        text = f"{fact.error} ({fact.where})"
        if text not in told:
            told[text] = _cause(environment, fact, violations)
        root = found.setdefault(_key(told[text]), Root(diagnosis=told[text]))
        root.modules.append(fact.module)
        root.texts.append(text)
    broken = {module: root for root in found.values() for module in root.modules}
    for stub in results.stubs:
        cause = next((broken[module] for module in stub.wanted if module in broken), None)
        diagnosis = cause.diagnosis if cause and not stub.lacking else _of_stub(environment, stub)
        root = found.setdefault(_key(diagnosis), Root(diagnosis=diagnosis))
        root.stubs.append(f"{stub.module}:{stub.name}")
    return tuple(sorted(found.values(), key=lambda root: -len(root.modules) - len(root.stubs)))


def is_optional(root: Root, asked: Iterable[str]) -> bool:
    """Return whether all that is missing is a package that nothing installed asks for.

    Both packages have modules for other devices and other libraries, which fail without them by design.

    Args:
        root: a cause.
        asked: canonical names of all distributions that are asked for.
    """
    name = root.diagnosis.package or ""
    return root.diagnosis.cause == "package_missing" and name not in PACKAGES and name not in asked


def _key(diagnosis: Diagnosis) -> tuple[object, ...]:
    if diagnosis.cause in WHOLE and diagnosis.package is not None:
        return (diagnosis.cause, diagnosis.package)
    if diagnosis.cause in {"unknown", *WHOLE}:
        return (diagnosis.cause, diagnosis.evidence[:1])
    return (diagnosis.cause, diagnosis.package, diagnosis.module, diagnosis.symbol)


def _cause(environment: InspectedEnvironment, fact: ModuleFact, violations: Sequence[Violation]) -> Diagnosis:
    """Return why one module cannot be imported."""
    if not fact.traceback:
        return _died(environment, fact)
    releases = environment.releases
    (first, *_) = explain(
        fact.traceback,
        sglang=releases.get(SGLANG),
        vllm=releases.get(VLLM),
        environment=environment.packages,
    )
    culprit = next((each for each in violations if _stumbled(environment, fact, each)), None)
    if culprit is not None and first.package != culprit.name:
        return culprit.diagnosis(f"{fact.error} ({fact.where})")
    return first


def _stumbled(environment: InspectedEnvironment, fact: ModuleFact, violation: Violation) -> bool:
    """Return whether an exception was raised in a distribution, or names it as what it could not import."""
    tops = import_names(environment, violation.name)
    inside = fact.where.partition("/")[0].removesuffix(".py") in tops
    named = {name.partition(".")[0] for name in re.findall(r"'([\w.]+)'", fact.error)}
    return inside or bool(named & tops)


def import_names(environment: InspectedEnvironment, name: str) -> set[str]:
    """Return the top-level names that a distribution brings; a guess from its name when it is not there."""
    if name in IMPORT_NAMES:
        return {IMPORT_NAMES[name]}
    distribution = environment.packages.distribution(name)
    files = (distribution.files if distribution else None) or ()
    tops = {file.parts[0].removesuffix(".py") for file in files if file.suffix == ".py"}
    return {top for top in tops if top.isidentifier()} or {canonicalize_name(name).replace("-", "_")}


def _died(environment: InspectedEnvironment, fact: ModuleFact) -> Diagnosis:
    """Return the finding that a module took its process along, or never came to an end."""
    package = _package(environment, fact.module)
    return Diagnosis(
        cause="unknown",
        package=package,
        version=environment.packages.version(package) if package else None,
        module=fact.module,
        evidence=(f"importing {fact.module} ended its process, or did not end: {fact.error}",),
        fix=Fix(
            kind="none",
            text="see where it stops",
            command=f"{environment.python} -X faulthandler -c 'import {fact.module}'",
        ),
    )


def _of_stub(environment: InspectedEnvironment, stub: Stub) -> Diagnosis:
    """Return why a name is a stub: something is missing, or its import fails for another reason."""
    package = _package(environment, stub.module)
    version = environment.packages.version(package) if package else None
    if stub.lacking:
        found = of_absence(stub.lacking[0], environment.packages)
        # `explain` leaves the package open where no distribution of that name is known.
        return found if found.package else replace(found, package=stub.lacking[0].replace("_", "-"))
    return Diagnosis(
        cause="placeholder",
        package=package,
        version=version,
        evidence=(f"bound {stub.guard}" if stub.guard else "bound to a stub",),
        fix=Fix(kind="none", text="see why the import fails that these stand in for"),
    )


def _package(environment: InspectedEnvironment, module: str) -> str | None:
    top = module.partition(".")[0]
    return next((package for package in environment.releases if IMPORT_NAMES[package] == top), None)
