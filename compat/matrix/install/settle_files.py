"""Install the same files every time where several distributions bring them in different forms."""

from collections.abc import Callable, Sequence
from pathlib import Path

from compat.errors import PreparationError
from compat.model.collisions import Collision
from compat.requirements.file_owners import digest_of, installed_collisions, recorded_files


def settle_files(sites: Sequence[Path], reinstall: Callable[[str], None]) -> dict[Collision, tuple[str, ...]]:
    """Make the files of the first distribution by precedence stay; return the collisions.

    An installer unpacks wheels side by side, so without this it is chance which file stays.

    Args:
        sites: the site-packages folders of a new environment.
        reinstall: installs one distribution again, over the files of others.

    Raises:
        PreparationError: a file is still another one; the message names it.
    """
    found = installed_collisions(sites)
    winners = sorted({owners[0] for owners in found.values()})
    for name in winners:
        reinstall(name)
    check_settled(sites, found)
    return found


def check_settled(sites: Sequence[Path], found: dict[Collision, tuple[str, ...]]) -> None:
    """Check that every file of some collisions is that of the first distribution by precedence.

    Raises:
        PreparationError: a file is another one; the message names it.
    """
    recorded = recorded_files(sites)
    for collision, (first, *others) in found.items():
        for path in collision.names:
            file = next((site / path for site in sites if (site / path).is_file()), None)
            if file is None or digest_of(file) != recorded[first][path]:
                raise PreparationError(
                    f"{path} is not that of {first}: {' and '.join(others)} brings it in another form; "
                    "create the environment again"
                )
