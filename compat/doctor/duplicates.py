"""Find distributions that are installed twice or incompletely, and packages that a local file shadows."""

from collections.abc import Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from compat._cli.text import counted, listed
from compat.doctor.inspected_environment import InspectedEnvironment
from compat.doctor.unmet_requirements import closure
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import IMPORT_NAMES, KERNELS

HIDDEN = 2
"""Most distributions that are named which hide another version: an image may have dozens."""
MISSING_FILES = 3
"""Most missing files whose names are reported."""


def check_duplicates(environment: InspectedEnvironment) -> tuple[Diagnosis, ...]:
    """Return the findings about duplicate, incomplete and shadowed packages."""
    return (*_twice(environment), *_both_kernels(environment), *_half(environment), *_hidden(environment))


def hidden_versions(environment: InspectedEnvironment) -> tuple[str, ...]:
    """Return a note on the distributions of which a later folder of the import path holds another version.

    Python imports the first, which is intended where one environment extends another; the requirements that
    it violates are reported separately.
    """
    found: list[str] = []
    for name, versions in _several(environment):
        first, *others = versions
        if not _in_one_folder(versions) and not _matters(name, environment):
            hidden = [f"{version} in {folder}" for version, folder in others if version != first[0]]
            if hidden:
                found.append(f"{name} {first[0]} in {first[1]} hides {' and '.join(hidden)}")
    if len(found) < 2:
        return tuple(found)
    return (f"{len(found)} distributions hide other versions of themselves: {listed(found, HIDDEN)}",)


def _twice(environment: InspectedEnvironment) -> Iterator[Diagnosis]:
    """Yield findings for distributions with two records in one folder, or covered packages in two folders."""
    for name, versions in _several(environment):
        numbers = [version for version, _ in versions]
        if _in_one_folder(versions):
            what = f"{name} has metadata of several versions in one folder: {' and '.join(numbers)}"
        elif _matters(name, environment) and len(set(numbers)) > 1:
            listed = " and ".join(f"{version} in {folder}" for version, folder in versions)
            what = f"{name} is installed more than once: {listed}"
        else:
            continue
        yield Diagnosis(
            cause="shadowed_module",
            package=name,
            version=environment.packages.version(name),
            evidence=(what,),
            fix=_one_of(name, versions, environment),
        )


def _one_of(name: str, versions: list[tuple[str, Path]], environment: InspectedEnvironment) -> Fix:
    """Return the fix for several copies of a distribution. pip removes only those of its own interpreter."""
    own = (environment.python.parent.parent, Path(environment.user_base or environment.python))
    (_, first), (version, second) = versions[0], versions[-1]
    if not any(first.is_relative_to(folder) for folder in own):
        text = f"Take {first} off the import path (PYTHONPATH), or uninstall {name} {version} from {second}."
        return Fix(kind="environment", text=text)
    return Fix(
        kind="environment",
        text=f"Remove all copies of {name} and install the intended version.",
        command=f"pip uninstall -y {name} {name}",
    )


def _several(environment: InspectedEnvironment) -> Iterator[tuple[str, list[tuple[str, Path]]]]:
    """Yield each distribution with several metadata folders, with the version and folder of each."""
    for name in closure(environment):
        folders = environment.metadata.get(canonicalize_name(name), ())
        if len(folders) > 1:
            yield name, [(folder.stem.partition("-")[2], folder.parent) for folder in folders]


def _in_one_folder(versions: list[tuple[str, Path]]) -> bool:
    return len({folder for _, folder in versions}) < len(versions)


def _matters(name: str, environment: InspectedEnvironment) -> bool:
    return name in environment.releases or name in KERNELS or name == "torch"


def _both_kernels(environment: InspectedEnvironment) -> Iterator[Diagnosis]:
    present = [str(name) for name in KERNELS if environment.packages.version(name)]
    if len(present) > 1:
        versions = " and ".join(f"{name} {environment.packages.version(name)}" for name in present)
        yield Diagnosis(
            cause="shadowed_module",
            package=present[0],
            version=environment.packages.version(present[0]),
            module="sgl_kernel",
            evidence=(f"{versions} are both installed, and both own the files of sgl_kernel",),
            fix=Fix(
                kind="environment",
                text="Remove both and install the one that sglang requires.",
                command=f"pip uninstall -y {' '.join(present)}",
            ),
        )


def _half(environment: InspectedEnvironment) -> Iterator[Diagnosis]:
    """Yield a finding for each covered package whose recorded Python files are missing."""
    for package, version in environment.releases.items():
        gone = [path for path in environment.files(package) if path.suffix == ".py" and not path.is_file()]
        if gone:
            names = ", ".join("/".join(path.parts[-2:]) for path in gone[:MISSING_FILES])
            yield Diagnosis(
                cause="unknown",
                package=package,
                version=version,
                evidence=(f"{package} {version} lacks {counted(len(gone), 'file')} of its RECORD: {names}",),
                fix=Fix(
                    kind="install",
                    text=f"Reinstall {package}.",
                    command=f"pip install --force-reinstall --no-deps {package}=={version}",
                ),
            )


def _hidden(environment: InspectedEnvironment) -> Iterator[Diagnosis]:
    """Yield a finding for each covered package, or torch, that a file in the current folder shadows."""
    for top, local in environment.local.items():
        there = environment.installed.get(top)
        if local is None or local == there or not _inside(local, environment.folder):
            continue
        package = next((name for name in environment.releases if IMPORT_NAMES[name] == top), top)
        if environment.packages.version(package) is None:
            continue
        yield Diagnosis(
            cause="shadowed_module",
            package=package,
            version=environment.packages.version(package),
            module=top,
            evidence=(f"in {environment.folder}, Python imports {local} instead of the installed {top}",),
            fix=Fix(
                kind="environment", text=f"Start Python in another folder, or rename {Path(local).name}."
            ),
        )


def _inside(path: str, folder: Path) -> bool:
    return Path(path).is_relative_to(folder)
