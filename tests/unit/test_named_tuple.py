"""Named tuples without `typing` are what those of `typing` are."""

import pickle
import typing
from pathlib import Path

from compat._util import named_tuple


class Light(named_tuple.NamedTuple):
    """A place."""

    module: str
    name: str = "x"

    @property
    def path(self) -> str:
        """Both."""
        return f"{self.module}.{self.name}"

    def renamed(self) -> "Light":
        """Return another."""
        return self._replace(name=super().__str__()[:1])


class Known(typing.NamedTuple):
    """A place."""

    module: str
    name: str = "x"


def test_they_are_made_read_compared_and_kept_alike() -> None:
    made = Light("a")
    assert tuple(made) == tuple(Known("a")) == ("a", "x")
    assert made == Light(module="a", name="x")
    assert repr(made) == repr(Known("a")).replace("Known", "Light")
    assert (made.path, made.renamed().name, made._asdict()) == ("a.x", "L", {"module": "a", "name": "x"})
    kept = pickle.loads(pickle.dumps(made))  # noqa: S301 -- just written
    assert (kept, type(kept)) == (made, Light)
    for attribute in ("_fields", "_field_defaults", "__doc__", "__slots__", "__module__", "__match_args__"):
        assert getattr(Light, attribute) == getattr(Known, attribute)
    assert not hasattr(made, "__dict__")


def test_each_module_that_defines_one_has_its_annotations_as_text() -> None:
    """From Python 3.14 on, a class body has no `__annotations__` without the future import."""
    root = Path(__file__).parents[2] / "compat"
    users = [
        path
        for path in root.rglob("*.py")
        if "import NamedTuple" in (text := path.read_text(encoding="utf-8")) and "_util.named_tuple" in text
    ]
    assert users
    assert [path.name for path in users if "from __future__ import annotations" not in path.read_text()] == []
