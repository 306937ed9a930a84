"""Parse queries: a bare name, a dotted path, `module:Name`, or an import statement."""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple
from compat.errors import UsageError
from compat.model.package_names import IMPORT_NAMES


class Query(NamedTuple):
    """A query for one name."""

    text: str
    """The text of the user."""
    name: str
    """The name; the full path if `dotted`; empty for a module."""
    module: str | None = None
    """The module of the name; None for a bare name."""
    dotted: bool = False
    """Whether `name` is a path whose last part may be a module or a name in a module."""

    @property
    def top(self) -> str | None:
        """The top-level package of a path; None for a bare name."""
        path = self.module or (self.name if self.dotted else None)
        return None if path is None else path.partition(".")[0]


def parse_query(text: str) -> tuple[Query, ...]:
    """Return the queries in a text, one per name; an import statement may have several.

    Raises:
        UsageError: the text does not have one of the accepted forms.
    """
    stripped = text.strip()
    if stripped.startswith(("from ", "import ")):
        return _statement(stripped)
    module, colon, name = stripped.partition(":")
    if colon and _is_path(module) and name.isidentifier():
        return (Query(text=text, module=module, name=name),)
    if stripped in IMPORT_NAMES.values():  # a package, although many modules bind its name
        return (Query(text=text, module=stripped, name=""),)
    if not colon and stripped.isidentifier():
        return (Query(text=text, name=stripped),)
    if not colon and _is_path(stripped):
        return (Query(text=text, name=stripped, dotted=True),)
    raise UsageError(
        f"{text!r} is not a valid query; pass a name (Fp8LinearMethod), a path (vllm.x.y.Name), module:Name, "
        "or an import statement in quotes"
    )


def _statement(text: str) -> tuple[Query, ...]:
    import ast  # only needed for statements

    try:
        (statement,) = ast.parse(text).body
    except (SyntaxError, ValueError):
        raise UsageError(f"{text!r} is not a single valid import statement") from None
    match statement:
        case ast.ImportFrom(module=str() as module, names=names, level=0) if names[0].name != "*":
            return tuple(Query(text=text, module=module, name=alias.name) for alias in names)
        case ast.Import(names=names):
            return tuple(Query(text=text, module=alias.name, name="") for alias in names)
    raise UsageError(
        f'{text!r}: relative imports and "*" are not supported; name the full module and each name'
    )


def _is_path(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
