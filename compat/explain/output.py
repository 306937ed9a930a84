"""The output of `compat explain`: diagnoses as text for people, or as a JSON document."""

from collections.abc import Sequence
from dataclasses import asdict

from compat._cli import console
from compat._cli.printable import printable
from compat.explain.engine import FoundReleases
from compat.model.diagnosis import Diagnosis
from compat.model.symbols import location


def as_text(diagnoses: Sequence[Diagnosis]) -> str:
    """Return the diagnoses as text: the cause, its evidence and the fix."""
    return "\n\n".join(_text(each) for each in diagnoses)


def as_json(diagnoses: Sequence[Diagnosis]) -> str:
    """Return the diagnoses as the JSON document of `compat explain`."""
    return console.document("explain", diagnoses=[each.as_document() for each in diagnoses])


def releases_as_text(found: Sequence[FoundReleases]) -> str:
    """Return the releases that a log fits as text: one line for each package."""
    lines = [each.line for each in found]
    return "\n".join(map(printable, lines or ["the log shows no place in sglang or vllm"]))


def releases_as_json(found: Sequence[FoundReleases]) -> str:
    """Return the releases that a log fits as the JSON document of `compat explain --which`."""
    packages = [{key: value for key, value in asdict(each).items() if key != "line"} for each in found]
    return console.document("explain which", packages=packages)


def _text(diagnosis: Diagnosis) -> str:
    release = " ".join(part for part in (diagnosis.package, diagnosis.version) if part)
    place = location(diagnosis.module, diagnosis.symbol or "") if diagnosis.module else diagnosis.symbol or ""
    head = "  ".join(part for part in (f"{diagnosis.cause}:", release, place) if part)
    lines = [head, *(f"  - {line}" for line in diagnosis.evidence), f"  fix: {diagnosis.fix.text}"]
    ready = (diagnosis.fix.statement or "").splitlines()
    ready += [diagnosis.fix.command] if diagnosis.fix.command else []
    return "\n".join(map(printable, [*lines, *(f"      {line}" for line in ready)]))
