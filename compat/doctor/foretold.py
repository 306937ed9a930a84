"""What an environment's metadata and RECORDs tell before anything is imported."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from compat._cli.text import counted, listed
from compat.check.finding_texts import FindingText
from compat.check.foretell import foretell
from compat.companions.reader import Companions
from compat.doctor.inspected_environment import InspectedEnvironment
from compat.model.collisions import Collision, described
from compat.model.diagnosis import Diagnosis, Fix
from compat.requirements.file_owners import digest_of, installed_collisions, recorded_files
from compat.requirements.install_paths import added_roots, extension_module


def failing_imports(environment: InspectedEnvironment) -> tuple[Diagnosis, ...]:
    """Return what cannot be imported by the metadata alone, the most important first."""
    python = ".".join(environment.markers["python_full_version"].split(".")[:2])
    return tuple(
        Diagnosis(
            cause=each.cause,
            package=each.package,
            version=each.finding.version,
            evidence=(f"{each.place}: {each.headline}", *each.details[:-1]),
            fix=each.fix,
        )
        for each in foretell(environment.packages.versions, python)
        if isinstance(each, FindingText)
    )


def overwritten_files(environment: InspectedEnvironment) -> tuple[list[Diagnosis], list[str]]:
    """Return findings and notes about files that several distributions bring in different forms.

    It is a finding if a file on the disk is not that of the distribution that should lie on top, and other
    code imports its package.
    """
    companions = Companions()
    findings: list[Diagnosis] = []
    notes: list[str] = []
    # The files of different folders do not overwrite one another: Python takes the first folder's.
    for site in dict.fromkeys(folder.parent for folder in environment.packages.folders.values()):
        recorded = recorded_files([site])
        roots = tuple(_roots(site))
        for collision, owners in installed_collisions([site]).items():
            if any(environment.packages.folders[name].parent != site for name in owners):
                continue  # another folder comes first for it
            modules = [path for path in collision.names if path.endswith(".py") or extension_module(path)]
            imported = [path for path in modules if companions.takes_from(_top(path, roots))]
            wrong = [path for path in imported if not _is(path, recorded[owners[0]], site)]
            if wrong:
                findings.append(_finding(collision, owners, wrong, environment))
            elif imported:
                notes.append(f"{described(collision)}; those of {owners[0]} are installed")
    return findings, notes


def _finding(
    collision: Collision, owners: tuple[str, ...], wrong: list[str], environment: InspectedEnvironment
) -> Diagnosis:
    first = owners[0]
    version = environment.packages.version(first)
    others = " and ".join(f"{name} {environment.packages.version(name)}" for name in owners[1:])
    return Diagnosis(
        cause="shadowed_module",
        package=first,
        version=version,
        evidence=(
            described(collision),
            f"{others} overwrote {counted(len(wrong), 'file')} of {first} {version}: {listed(wrong, 2)}",
        ),
        fix=Fix(
            kind="environment",
            text=f"Install {first} again, after {others}.",
            command=f"pip install --force-reinstall --no-deps {first}=={version}",
        ),
    )


def _is(path: str, digests: Mapping[str, str], site: Path) -> bool:
    file = site / path
    return not file.is_file() or digest_of(file) == digests[path]


def _top(path: str, roots: tuple[str, ...]) -> str:
    for root in roots:
        path = path.removeprefix(f"{root}/")
    return path.partition("/")[0].partition(".")[0]


def _roots(site: Path) -> Iterator[str]:
    for added in sorted(site.glob("*.pth")):
        yield from added_roots(added.read_text(encoding="utf-8", errors="replace"))
