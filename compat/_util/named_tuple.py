"""`NamedTuple` without `typing`, which takes longer to load than most answers take to find."""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    class _Fields(type):
        """Makes a class with annotations a named tuple, as `typing` does; its annotations are not evaluated."""

        def __new__(cls, name, bases, content):
            fields = content.pop("__annotations__", ())
            defaults = [content.pop(field) for field in fields if field in content]
            plain = namedtuple(name, fields, defaults=defaults, module=content["__module__"])
            return type(name, (plain,), {"__slots__": (), **content})

    NamedTuple = type.__new__(_Fields, "NamedTuple", (), {})
