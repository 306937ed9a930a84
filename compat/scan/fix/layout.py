"""Split `from` imports without losing their layout: brackets, line breaks and the comments of each name."""

import re
from collections.abc import Sequence
from itertools import dropwhile, pairwise

import libcst as cst

Gap = cst.BaseParenthesizableWhitespace
"""The space between two names, or between a name and a bracket, with line breaks and comments."""

_DIRECTIVE = re.compile(r"#\s*(?:noqa|type:|pylint|isort|pyright|mypy|ruff|flake8|pragma)", re.IGNORECASE)


def is_directive(space: cst.TrailingWhitespace) -> bool:
    """Return whether the comment at the end of a line is meant for a tool, such as `# noqa`."""
    return space.comment is not None and _DIRECTIVE.match(space.comment.value) is not None


def with_some_names(
    statement: cst.ImportFrom, names: Sequence[cst.ImportAlias], chosen: Sequence[int]
) -> cst.ImportFrom:
    """Return a `from` import of some of its names, each with the comments that belong to it.

    Args:
        statement: the import.
        names: its names.
        chosen: the indexes of the names, ascending.
    """
    if len(chosen) == len(names):
        return statement
    picked = [names[at] for at in chosen]
    if statement.lpar is None or statement.rpar is None:
        picked[-1] = picked[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        return statement.with_changes(names=picked)
    gaps = _gaps(statement, names)
    for number, (at, following) in enumerate(pairwise(chosen)):
        gap = gaps[following] if following == at + 1 else _joined(gaps[at + 1], gaps[following])
        picked[number] = picked[number].with_changes(comma=cst.Comma(whitespace_after=gap))
    one_line = not any(isinstance(gap, cst.ParenthesizedWhitespace) for gap in (gaps[0], gaps[chosen[0]]))
    opening = (
        gaps[0] if one_line or chosen[0] == 0 else _without_blank_lines(_joined(gaps[0], gaps[chosen[0]]))
    )
    closing = gaps[-1] if chosen[-1] == len(names) - 1 else _closing(gaps[chosen[-1] + 1], gaps[-1])
    comma, rpar = names[-1].comma, statement.rpar
    if isinstance(comma, cst.Comma):
        picked[-1] = picked[-1].with_changes(comma=comma.with_changes(whitespace_after=closing))
    else:
        picked[-1] = picked[-1].with_changes(comma=comma)
        rpar = rpar.with_changes(whitespace_before=closing)
    return statement.with_changes(
        names=picked, lpar=statement.lpar.with_changes(whitespace_after=opening), rpar=rpar
    )


def without_brackets(statement: cst.ImportFrom) -> cst.ImportFrom:
    """Return an import of one name without its brackets, unless a comment or other names need them."""
    if isinstance(statement.names, cst.ImportStar) or statement.lpar is None or len(statement.names) > 1:
        return statement
    gaps = _gaps(statement, statement.names)
    if any(isinstance(gap, cst.ParenthesizedWhitespace) and _comments(gap) for gap in gaps):
        return statement
    (name,) = statement.names
    name = name.with_changes(comma=cst.MaybeSentinel.DEFAULT)
    after = cst.SimpleWhitespace(" ")
    return statement.with_changes(names=[name], lpar=None, rpar=None, whitespace_after_import=after)


def _gaps(statement: cst.ImportFrom, names: Sequence[cst.ImportAlias]) -> list[Gap]:
    """Return the spaces before, between and after the names of an import with brackets."""
    assert statement.lpar is not None  # noqa: S101 -- asked by the callers
    assert statement.rpar is not None  # noqa: S101
    commas = [name.comma.whitespace_after for name in names if isinstance(name.comma, cst.Comma)]
    if len(commas) < len(names):  # no comma after the last name
        commas.append(statement.rpar.whitespace_before)
    return [statement.lpar.whitespace_after, *commas]


def _joined(after: Gap, before: Gap) -> Gap:
    """Return the space between two names that others separated: after the first and before the second."""
    ended = isinstance(after, cst.ParenthesizedWhitespace)
    if not isinstance(before, cst.ParenthesizedWhitespace):
        return after.with_changes(empty_lines=[]) if ended else before
    first_line = (
        after.first_line if isinstance(after, cst.ParenthesizedWhitespace) else cst.TrailingWhitespace()
    )
    return before.with_changes(first_line=first_line)


def _without_blank_lines(gap: Gap) -> Gap:
    """Return a space without blank lines before its first comment."""
    if not isinstance(gap, cst.ParenthesizedWhitespace):
        return gap
    return gap.with_changes(empty_lines=list(dropwhile(lambda line: line.comment is None, gap.empty_lines)))


def _closing(after: Gap, closing: Gap) -> Gap:
    """Return the space between a name that others followed and the closing bracket."""
    if isinstance(closing, cst.ParenthesizedWhitespace):
        return _joined(after, closing.with_changes(empty_lines=[]))
    commented = isinstance(after, cst.ParenthesizedWhitespace) and after.first_line.comment is not None
    return after.with_changes(empty_lines=[], last_line=cst.SimpleWhitespace("")) if commented else closing


def _comments(gap: cst.ParenthesizedWhitespace) -> bool:
    return gap.first_line.comment is not None or any(line.comment is not None for line in gap.empty_lines)
