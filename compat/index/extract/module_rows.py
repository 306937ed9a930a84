"""Convert the source of a module into rows of the index."""

import json
from collections.abc import Iterable
from typing import NamedTuple

from compat.index.extract.bindings import Event, SettledBinding, settle
from compat.index.extract.module_visitor import parsed, read_tree
from compat.index.records import Names, Row
from compat.model.guards import ALWAYS, Guard, to_json
from compat.source_outlines.extract import read_outline
from compat.source_outlines.records import Outline


class ModuleRows(NamedTuple):
    """The rows of one module, with what is needed to expand star imports."""

    names: Names
    exports: tuple[str, ...] | None
    """`__all__`; None if it does not exist or cannot be determined."""
    withheld: tuple[str, ...]
    """Without `exports`: public names that a star import does not bind."""
    open: bool
    """Whether the module may bind names that its source does not show."""
    stars: tuple[Event, ...]
    """All events if the module has star imports, since its rows then depend on other modules; else empty."""
    outline: Outline


def read_rows(source: bytes, module: str, *, is_package: bool) -> ModuleRows:
    """Return the rows of a module; see `read_module` for the arguments."""
    tree = parsed(source)
    facts = read_tree(tree, source, module, is_package=is_package)
    stars = any(event.form == "star" for event in facts.events)
    return ModuleRows(
        names={} if stars else rows_of(facts.events),
        exports=facts.exports,
        withheld=facts.withheld,
        open=facts.open,
        stars=facts.events if stars else (),
        outline=read_outline(tree, source),
    )


def rows_of(events: Iterable[Event]) -> Names:
    """Return the rows of the bindings that a module's events leave."""
    names: dict[str, list[Row]] = {}
    for binding in settle(events):
        names.setdefault(binding.name, []).append(_row(binding))
    return {name: tuple(rows) for name, rows in names.items()}


def guard_text(guard: Guard) -> str:
    """Return a guard as compact JSON."""
    return json.dumps(to_json(guard), separators=(",", ":"))


def _row(binding: SettledBinding) -> Row:
    return Row(
        status=binding.status,
        kind=binding.kind,
        target=binding.target,
        guard=None if binding.guard == ALWAYS else guard_text(binding.guard),
        truth=None if binding.truth is None else guard_text(binding.truth),
        signature=binding.signature,
        refusal=binding.refusal,
    )
