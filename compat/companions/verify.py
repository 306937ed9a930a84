"""Check the file of companions: read some of its releases again, and compare what they have."""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from packaging.version import Version

from compat._cli.progress import Progress, Silent
from compat.companions.candidates import one_wheel_each
from compat.companions.extract.read_releases import read_release
from compat.companions.reader import Companions
from compat.wheels.package_index import Registry


class CompanionDifference(NamedTuple):
    """A difference between the file of companions and a wheel."""

    release: str
    target: str
    shipped: str
    read: str

    def __str__(self) -> str:
        return f"{self.release}: {self.target}: the file has {self.shipped}, the wheel gives {self.read}"


def draw_companions(companions: Companions, size: int, seed: int) -> tuple[tuple[str, int], ...]:
    """Return `size` random releases as distribution and index, the same for equal seeds and files."""
    everything = [
        (name, at) for name in sorted(companions.read) for at in range(len(companions.versions(name)))
    ]
    return tuple(sorted(random.Random(seed).sample(everything, min(size, len(everything)))))  # noqa: S311


def check_companions(
    companions: Companions,
    releases: Sequence[tuple[str, int]],
    registry: Registry,
    progress: Progress | None = None,
) -> Iterator[CompanionDifference]:
    """Yield every difference between the file and the wheels of some releases.

    Raises:
        NetworkError: the package index cannot be reached.
        IntegrityError: a wheel differs from its digests.
    """
    progress = progress or Silent()
    for name, at in releases:
        version = companions.versions(name)[at]
        shipped = companions.states_of(name, at)
        wheels = {str(wheel.version): wheel for wheel in one_wheel_each(registry.files(name))}
        release = f"{name} {version}"
        wheel = wheels.get(str(Version(version)))
        if wheel is None:
            yield CompanionDifference(release, "wheel", "a release", "none")
            continue
        found, _ = read_release(wheel, sorted(shipped), companions.added_folders(name))
        for target, state in shipped.items():
            read = found.supply.states.get(target, "nothing")
            if read != state:
                yield CompanionDifference(release, target, state, read)
        progress.advance()
