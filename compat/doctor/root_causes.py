"""Group failed imports and stubs by root cause: one library that breaks forty modules is one finding."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from packaging.utils import canonicalize_name

from compat._cli.text import counted, listed
from compat.doctor.imports import ImportResults, Stub
from compat.doctor.inspected_environment import InspectedEnvironment
from compat.doctor.unmet_requirements import diagnosis as unmet_diagnosis
from compat.explain.engine import explain
from compat.model.diagnosis import Cause, Diagnosis, Fix
from compat.model.releases import IMPORT_NAMES, PACKAGES, SGLANG, VLLM
from compat.probe.probe_records import ModuleFact
from compat.requirements.graph import UnmetRequirement
from compat.runtime.diagnoses import of_missing_package

WHOLE: frozenset[Cause] = frozenset(
    {"package_missing", "missing_native_library", "no_gpu", "abi_mismatch", "requirement_violated"}
)
"""Causes that concern a whole distribution, whichever symbol failed first."""


@dataclass(slots=True, kw_only=True)
class RootCause:
    """One root cause, with the modules and symbols that it breaks."""

    diagnosis: Diagnosis
    modules: list[str] = field(default_factory=list)
    stubs: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """The last line of each exception, with the file that raised it."""

    def finding(self) -> Diagnosis:
        """Return the diagnosis, with the broken modules and symbols as further evidence."""
        evidence = list(self.diagnosis.evidence)
        if self.modules:
            modules = counted(len(self.modules), "module")
            evidence.append(f"{modules} cannot be imported: {listed(self.modules)}")
        if self.stubs:
            plural = "s are stubs" if len(self.stubs) > 1 else " is a stub"
            evidence.append(f"{len(self.stubs)} symbol{plural}: {listed(self.stubs)}")
        return replace(self.diagnosis, evidence=tuple(evidence))


def find_root_causes(
    environment: InspectedEnvironment, results: ImportResults, violations: Sequence[UnmetRequirement]
) -> tuple[RootCause, ...]:
    """Return the root causes of all failures and stubs, those that break most first.

    Args:
        environment: the environment.
        results: the results of importing the modules.
        violations: the unmet requirements; one is the cause of an import that fails in its distribution.
    """
    found: dict[tuple[object, ...], RootCause] = {}
    diagnoses: dict[str, Diagnosis] = {}
    for fact in results.failed:
        text = f"{fact.error} ({fact.where})"
        if text not in diagnoses:
            diagnoses[text] = _cause(environment, fact, violations)
        root = found.setdefault(_key(diagnoses[text]), RootCause(diagnosis=diagnoses[text]))
        root.modules.append(fact.module)
        root.texts.append(text)
    broken = {module: root for root in found.values() for module in root.modules}
    for stub in results.stubs:
        cause = next((broken[module] for module in stub.wanted if module in broken), None)
        diagnosis = cause.diagnosis if cause and not stub.lacking else _of_stub(environment, stub)
        root = found.setdefault(_key(diagnosis), RootCause(diagnosis=diagnosis))
        root.stubs.append(f"{stub.module}:{stub.name}")
    return tuple(sorted(found.values(), key=lambda root: -len(root.modules) - len(root.stubs)))


def is_optional(root: RootCause, asked: Iterable[str]) -> bool:
    """Return whether a cause is a missing package that no installed package requires.

    sglang and vllm have modules for other devices and libraries, which fail without these by design.

    Args:
        root: the cause.
        asked: canonical names of all required distributions.
    """
    name = root.diagnosis.package or ""
    return root.diagnosis.cause == "package_missing" and name not in PACKAGES and name not in asked


def _key(diagnosis: Diagnosis) -> tuple[object, ...]:
    if diagnosis.cause in WHOLE and diagnosis.package is not None:
        return (diagnosis.cause, diagnosis.package)
    if diagnosis.cause in {"unknown", *WHOLE}:
        return (diagnosis.cause, diagnosis.evidence[:1])
    return (diagnosis.cause, diagnosis.package, diagnosis.module, diagnosis.symbol)


def _cause(
    environment: InspectedEnvironment, fact: ModuleFact, violations: Sequence[UnmetRequirement]
) -> Diagnosis:
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
    if culprit is not None and first.package != culprit.edge.name:
        return unmet_diagnosis(culprit, f"{fact.error} ({fact.where})")
    return first


def _stumbled(environment: InspectedEnvironment, fact: ModuleFact, unmet: UnmetRequirement) -> bool:
    """Return whether an exception was raised in a distribution, or is about importing from it."""
    tops = import_names(environment, unmet.edge.name)
    inside = fact.where.partition("/")[0].removesuffix(".py") in tops
    named = {name.partition(".")[0] for name in re.findall(r"'([\w.]+)'", fact.error)}
    return inside or bool(named & tops)


def import_names(environment: InspectedEnvironment, name: str) -> set[str]:
    """Return the top-level names that a distribution provides; a guess if it is not installed."""
    if name in IMPORT_NAMES:
        return {IMPORT_NAMES[name]}
    distribution = environment.packages.distribution(name)
    files = (distribution.files if distribution else None) or ()
    tops = {file.parts[0].removesuffix(".py") for file in files if file.suffix == ".py"}
    return {top for top in tops if top.isidentifier()} or {canonicalize_name(name).replace("-", "_")}


def _died(environment: InspectedEnvironment, fact: ModuleFact) -> Diagnosis:
    """Return the diagnosis of a module whose import crashed its process or hung."""
    package = _package(environment, fact.module)
    return Diagnosis(
        cause="unknown",
        package=package,
        version=environment.packages.version(package) if package else None,
        module=fact.module,
        evidence=(f"importing {fact.module} crashed the process or hung: {fact.error}",),
        fix=Fix(
            kind="none",
            text="Find the line at which it stops with the command below.",
            command=f"{environment.python} -X faulthandler -c 'import {fact.module}'",
        ),
    )


def _of_stub(environment: InspectedEnvironment, stub: Stub) -> Diagnosis:
    """Return why a name is a stub: a package is missing, or its import fails for another reason."""
    package = _package(environment, stub.module)
    version = environment.packages.version(package) if package else None
    if stub.lacking:
        found = of_missing_package(stub.lacking[0], environment.packages)
        # `explain` names no package if it knows no distribution of that name.
        return found if found.package else replace(found, package=stub.lacking[0].replace("_", "-"))
    return Diagnosis(
        cause="placeholder",
        package=package,
        version=version,
        evidence=(f"bound in the branch “{stub.guard}”" if stub.guard else "bound to a stub",),
        fix=Fix(kind="none", text="Find out why the import of the real objects fails."),
    )


def _package(environment: InspectedEnvironment, module: str) -> str | None:
    top = module.partition(".")[0]
    return next((package for package in environment.releases if IMPORT_NAMES[package] == top), None)
