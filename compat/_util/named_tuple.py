"""`NamedTuple` without `typing`, which takes longer to load than most answers take to find."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from collections import namedtuple

    class _Fields(type):
        """Makes a class with annotations a named tuple, as `typing` does; no annotation is evaluated."""

        def __new__(cls, name: str, _bases: tuple[type, ...], content: dict[str, object]) -> type:
            fields = content.pop("__annotations__", ())
            defaults = [content.pop(field) for field in fields if field in content]
            plain = namedtuple(name, fields, defaults=defaults, module=content["__module__"])  # noqa: PYI024
            return type(name, (plain,), {"__slots__": (), **content})

    NamedTuple = type.__new__(_Fields, "NamedTuple", (), {})

__all__ = ["NamedTuple"]
