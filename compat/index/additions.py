"""What an index file of one's own tells about a build or a commit, besides its rows."""

from __future__ import annotations

from types import MappingProxyType

from compat._util.named_tuple import NamedTuple
from compat.index.records import Successor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

TABLE = "additions (package TEXT, release_index INTEGER, facts TEXT)"
"""The table that such a file has besides those of an index."""


class Addition(NamedTuple):
    """A build or commit that is no release."""

    label: str
    """What answers call it: `checkout 1a2b3c4`."""
    nearest: str = ""
    """The release that it is nearest to; empty if there is none."""
    distance: str = ""
    """That release with the number of files that differ, as text."""
    name: str = ""
    """The name that the user gave it; empty without one."""
    generated: tuple[str, ...] = ()
    """The modules that only a build makes: their rows are those of the nearest release."""
    new_modules: tuple[str, ...] = ()
    """The modules that no release has."""
    kernels: Mapping[str, str] = MappingProxyType({})
    """The kernel release that it pins, by package."""
    successors: tuple[Successor, ...] = ()
    """What became of the definitions of the nearest release."""
    options: tuple[str, ...] = ()
    """The command-line options that its files add to a parser."""

    def as_json(self) -> str:
        """Return the facts as the table has them."""
        import json  # most queries read no such file

        return json.dumps(self._replace(kernels=dict(self.kernels)))


def read_addition(text: str) -> Addition:
    """Return the facts that `Addition.as_json` wrote."""
    import json

    label, nearest, distance, name, *lists, kernels, successors, options = json.loads(text)
    generated, new_modules = map(tuple, lists)
    steps = tuple(Successor(*each) for each in successors)
    return Addition(label, nearest, distance, name, generated, new_modules, kernels, steps, tuple(options))
