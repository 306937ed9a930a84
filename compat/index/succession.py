"""What became of a definition that vanished: the noun, apart from how it is found."""

from typing import Literal, NamedTuple

Change = Literal["move", "rename"]
"""A move keeps the name and changes the module; a rename changes the name, and maybe the module too."""


class Succession(NamedTuple):
    """A definition that vanished with a release, and what most likely took its place in the next one."""

    module: str
    name: str
    last: int
    """Position of the last release that had it; the successor is in the one after."""
    to_module: str
    to_name: str
    confidence: float
    """From 0 to 1, in hundredths."""
    evidence: str
    """What speaks for it, in a few words."""

    @property
    def change(self) -> Change:
        """Whether it moved or was renamed."""
        return "move" if self.name == self.to_name else "rename"
