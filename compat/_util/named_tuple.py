"""A replacement of `typing.NamedTuple`, because importing `typing` takes longer than most queries.

With `typing`, each answer takes half the start of Python longer, and a history in JSON more than four starts
instead of 3.6. `bench/resolve.py` measures what the imports take by themselves.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from collections import namedtuple

    class _Fields(type):
        """Turns a class with annotations into a named tuple, as `typing` does, without evaluating them."""

        def __new__(cls, name: str, _bases: tuple[type, ...], content: dict[str, object]) -> type:
            fields = content.pop("__annotations__", ())
            defaults = [content.pop(field) for field in fields if field in content]
            plain = namedtuple(name, fields, defaults=defaults, module=content["__module__"])  # noqa: PYI024
            return type(name, (plain,), {"__slots__": (), **content})

    NamedTuple = type.__new__(_Fields, "NamedTuple", (), {})

__all__ = ["NamedTuple"]
