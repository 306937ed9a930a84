"""What a user asks for: a bare name, a dotted path, `module:Name`, or an import statement."""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple
from compat.errors import UsageError
from compat.model.package_names import IMPORT_NAMES


class Query(NamedTuple):
    """One name asked for."""

    text: str
    """As the user wrote it."""
    name: str
    """The name, or the full path when `dotted`, or empty when a module is asked for."""
    module: str | None = None
    """The module it is asked in; None for a bare name."""
    dotted: bool = False
    """Whether `name` is a path of which the last part may be a module or a name in one."""

    @property
    def top(self) -> str | None:
        """The top-level package that a path leads into; None for a bare name."""
        path = self.module or (self.name if self.dotted else None)
        return None if path is None else path.partition(".")[0]


def parse_query(text: str) -> tuple[Query, ...]:
    """Return the names that a query asks for; an import statement may ask for several.

    Raises:
        UsageError: it is none of the accepted forms.
    """
    stripped = text.strip()
    if stripped.startswith(("from ", "import ")):
        return _statement(stripped)
    module, colon, name = stripped.partition(":")
    if colon and _is_path(module) and name.isidentifier():
        return (Query(text=text, module=module, name=name),)
    if stripped in IMPORT_NAMES.values():  # many modules bind it as a name; what is meant is the package
        return (Query(text=text, module=stripped, name=""),)
    if not colon and stripped.isidentifier():
        return (Query(text=text, name=stripped),)
    if not colon and _is_path(stripped):
        return (Query(text=text, name=stripped, dotted=True),)
    raise UsageError(
        f"{text!r} is no query; write a name (Fp8LinearMethod), a path (vllm.x.y.Name), module:Name, "
        "or an import statement in quotes"
    )


def _statement(text: str) -> tuple[Query, ...]:
    import ast  # the other forms do without

    try:
        (statement,) = ast.parse(text).body
    except (SyntaxError, ValueError):
        raise UsageError(f"{text!r} is not one valid import statement") from None
    match statement:
        case ast.ImportFrom(module=str() as module, names=names, level=0) if names[0].name != "*":
            return tuple(Query(text=text, module=module, name=alias.name) for alias in names)
        case ast.Import(names=names):
            return tuple(Query(text=text, module=alias.name, name="") for alias in names)
    raise UsageError(
        f"{text!r}: name what is imported, and from where in full; `*` and dots cannot be answered"
    )


def _is_path(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
