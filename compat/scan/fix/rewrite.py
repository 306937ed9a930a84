"""Rewrite imports of a source file and keep everything else, including comments and spaces."""

from collections.abc import Callable, Sequence

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider, Scope, ScopeProvider

from compat.scan.fix.edits import Edit
from compat.scan.fix.version_test_style import Style

Exported = Callable[[str], bool]
"""Returns whether other files may import a top-level name of the file."""
Guard = Callable[[Edit], Style | None]
"""Returns the version test that chooses among imports; None to try them in turn."""
LineNumbers = list[cst.BaseStatement]


class NotChanged(Exception):  # noqa: N818 -- control flow inside `--fix`: it is reported and the file is kept
    """A file cannot be changed safely; the message is the reason."""


def rewritten(data: bytes, edits: Sequence[Edit], exported: Exported, guard: Guard) -> bytes:
    """Return a source file with some imports changed.

    Args:
        data: the file, in the encoding that it declares.
        edits: the changes.
        exported: names for which this returns True are not renamed in the file.
        guard: returns the version test that chooses among several targets.

    Raises:
        NotChanged: the file cannot be parsed, or an import has an unsupported form.
    """
    try:
        wrapper = MetadataWrapper(cst.parse_module(data))
        rewriter = _Rewriter(edits, exported, guard)
        changed = wrapper.visit(rewriter)
    except (cst.ParserSyntaxError, RecursionError, UnicodeDecodeError, LookupError):
        raise NotChanged("libcst cannot parse the file") from None
    missed = [edit.line for edit in edits if edit not in rewriter.done]
    if missed:
        raise NotChanged(f"line {missed[0]}: this form of import is not rewritten")
    return changed.bytes


class _Rewriter(cst.CSTTransformer):
    METADATA_DEPENDENCIES = (PositionProvider, ScopeProvider)

    def __init__(self, edits: Sequence[Edit], exported: Exported, guard: Guard) -> None:
        super().__init__()
        self._guard = guard
        self._edits = {(edit.line, edit.column): edit for edit in edits}
        self._exported = exported
        self._bound: dict[cst.ImportAlias, str] = {}
        """The imports whose uses are renamed, with the new names."""
        self._uses: dict[cst.CSTNode, str] = {}
        self._added: set[str] = set()
        self.done: set[Edit] = set()

    def visit_ImportFrom(self, node: cst.ImportFrom) -> None:  # noqa: N802 -- libcst's name
        """Collect the uses of the imported names to rename, before the visitor leaves them."""
        if isinstance(node.names, cst.ImportStar):
            return
        for alias in node.names:
            edit = self._edit(alias)
            if edit is not None and len(edit.targets) == 1 and alias.asname is None:
                self._rename(node, alias, edit.targets[0].name)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:  # noqa: N802
        """Rename a use."""
        new = self._uses.get(original_node)
        return updated_node if new is None else updated_node.with_changes(value=new)

    def leave_SimpleStatementLine(  # noqa: N802
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """Rewrite an import that is the only statement on its line."""
        small = original_node.body[0]
        lines: LineNumbers = []
        if len(original_node.body) == 1 and isinstance(small, cst.ImportFrom):
            lines = self._from(small)
        elif len(original_node.body) == 1 and isinstance(small, cst.Import) and len(small.names) == 1:
            lines = self._import(small)
        if not lines:
            return updated_node
        first = lines[0].with_changes(leading_lines=original_node.leading_lines)
        if isinstance(first, cst.SimpleStatementLine):
            first = first.with_changes(trailing_whitespace=original_node.trailing_whitespace)
        return cst.FlattenSentinel([first, *lines[1:]])

    def _from(self, statement: cst.ImportFrom) -> LineNumbers:
        """Return the lines that replace a `from` import; empty if it is kept."""
        if isinstance(statement.names, cst.ImportStar):
            return []
        kept = [alias for alias in statement.names if self._edit(alias) is None]
        if len(kept) == len(statement.names):
            return []
        lines: LineNumbers = []
        if kept:
            kept[-1] = kept[-1].with_changes(comma=_closing_comma(statement))
            lines.append(cst.SimpleStatementLine([statement.with_changes(names=kept)]))
        groups: dict[tuple[object, ...], list[tuple[cst.ImportAlias, Edit]]] = {}
        for alias in statement.names:
            edit = self._edit(alias)
            if edit is not None:
                self.done.add(edit)
                key = (edit.releases, *(target.module for target in edit.targets))
                groups.setdefault(key, []).append((alias, edit))
        return [*lines, *(line for group in groups.values() for line in self._together(statement, group))]

    def _together(
        self, statement: cst.ImportFrom, group: Sequence[tuple[cst.ImportAlias, Edit]]
    ) -> LineNumbers:
        """Return the import, or the guarded imports, of names with the same targets."""
        aliases = [alias for alias, _ in group]
        last = aliases[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        same = statement.with_changes(names=[*aliases[:-1], last], lpar=None, rpar=None)
        written = []
        for number, target in enumerate(group[0][1].targets):
            names = [
                _named(edit.targets[number].name, self._bound.get(alias) or _binds(alias))
                for alias, edit in group
            ]
            moved = f"from {target.module} import {', '.join(names)}"
            written.append(moved if target.module else _source(same))
        return self._guarded(written, group[0][1])

    def _guarded(self, written: Sequence[str], edit: Edit) -> LineNumbers:
        """Return imports of which one is chosen at run time."""
        style = self._guard(edit) if len(written) > 1 and len(edit.since) == len(written) - 1 else None
        if style is None:
            return [_alternatives(written)]
        imports = [_line(each) for each in style.imports if each not in self._added]
        if not edit.inside:
            self._added.update(style.imports)
        return [*imports, _chosen(written, [style.test(release) for release in edit.since])]

    def _import(self, statement: cst.Import) -> LineNumbers:
        """Return the lines that replace `import a.b as c`; empty if it is kept."""
        (alias,) = statement.names
        edit = self._edit(alias)
        if edit is None or alias.evaluated_alias is None:
            return []
        self.done.add(edit)
        written = [
            f"from {target.module} import {_named(target.name, alias.evaluated_alias)}"
            if target.module
            else _source(statement)
            for target in edit.targets
        ]
        return self._guarded(written, edit)

    def _edit(self, alias: cst.ImportAlias) -> Edit | None:
        start = self.get_metadata(PositionProvider, alias).start
        return self._edits.get((start.line, start.column + 1))

    def _rename(self, statement: cst.ImportFrom, alias: cst.ImportAlias, new: str) -> None:
        """Rename the uses of an imported name if neither the old nor the new name has another meaning."""
        old = alias.evaluated_name
        scope = self.get_metadata(ScopeProvider, statement, None)
        if not new or new == old or not isinstance(scope, Scope) or self._exported(old):
            return
        assignments = scope[old]
        if len(assignments) != 1 or scope[new]:
            return
        (assignment,) = assignments
        uses = [access.node for access in assignment.references]
        scopes = [access.scope for access in assignment.references]
        if all(isinstance(node, cst.Name) for node in uses) and not any(each[new] for each in scopes):
            self._uses.update(dict.fromkeys(uses, new))
            self._bound[alias] = new


def _alternatives(statements: Sequence[str]) -> cst.BaseStatement:
    """Return a statement that tries imports in turn."""
    if len(statements) == 1:
        return _line(statements[0])
    first, *rest = statements
    handler = cst.ExceptHandler(body=cst.IndentedBlock([_alternatives(rest)]), type=cst.Name("ImportError"))
    return cst.Try(body=cst.IndentedBlock([_line(first)]), handlers=[handler])


def _chosen(statements: Sequence[str], tests: Sequence[str]) -> cst.BaseStatement:
    """Return an `if` statement that selects the first import whose test is true, else the last one."""
    rest: cst.If | cst.Else = cst.Else(body=cst.IndentedBlock([_line(statements[-1])]))
    for statement, test in zip(reversed(statements[:-1]), reversed(tests), strict=True):
        rest = cst.If(
            test=cst.parse_expression(test), body=cst.IndentedBlock([_line(statement)]), orelse=rest
        )
    assert isinstance(rest, cst.If)  # noqa: S101 -- there are at least two imports
    return rest


def _named(name: str, bound: str) -> str:
    return name if name == bound else f"{name} as {bound}"


def _line(statement: str) -> cst.SimpleStatementLine:
    parsed = cst.parse_statement(statement)
    assert isinstance(parsed, cst.SimpleStatementLine)  # noqa: S101 -- an import is a simple statement
    return parsed


def _binds(alias: cst.ImportAlias) -> str:
    return alias.evaluated_alias or alias.evaluated_name


def _source(statement: cst.ImportFrom | cst.Import) -> str:
    return " ".join(cst.Module([]).code_for_node(_plain(statement)).split())


def _plain(statement: cst.ImportFrom | cst.Import) -> cst.ImportFrom | cst.Import:
    """Return an import without the line breaks and comments between its names."""
    if isinstance(statement.names, cst.ImportStar):
        return statement
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    names = [name.with_changes(comma=comma) for name in statement.names]
    names[-1] = names[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return statement.with_changes(names=names)


def _closing_comma(statement: cst.ImportFrom) -> cst.Comma | cst.MaybeSentinel:
    """Return the comma after the last name, which is kept when that name is removed."""
    assert not isinstance(statement.names, cst.ImportStar)  # noqa: S101 -- the caller has checked it
    return statement.names[-1].comma
