"""Rewrite imports of a source file and keep everything else, including comments and spaces."""

from collections.abc import Callable, Sequence

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider, Scope, ScopeProvider

from compat.scan.fix.edits import Edit
from compat.scan.fix.layout import is_directive, with_some_names, without_brackets
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
        self._ending = cst.TrailingWhitespace()
        """The end of the line that is rewritten, with its comment."""
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
        self._ending = original_node.trailing_whitespace
        if len(original_node.body) == 1 and isinstance(small, cst.ImportFrom):
            lines = self._from(small)
        elif len(original_node.body) == 1 and isinstance(small, cst.Import) and len(small.names) == 1:
            lines = self._import(small)
        if not lines:
            return updated_node
        first = lines[0].with_changes(leading_lines=original_node.leading_lines)
        if isinstance(first, cst.SimpleStatementLine):
            first = first.with_changes(trailing_whitespace=self._ending)
        return cst.FlattenSentinel([first, *lines[1:]])

    def _from(self, statement: cst.ImportFrom) -> LineNumbers:
        """Return the lines that replace a `from` import; empty if it is kept."""
        if isinstance(statement.names, cst.ImportStar):
            return []
        names = statement.names
        groups: dict[tuple[object, ...], list[tuple[int, Edit]]] = {}
        for at, alias in enumerate(names):
            edit = self._edit(alias)
            if edit is not None:
                self.done.add(edit)
                key = (edit.releases, *(target.module for target in edit.targets))
                groups.setdefault(key, []).append((at, edit))
        if not groups:
            return []
        moved = {at for group in groups.values() for at, _ in group}
        kept = [at for at in range(len(names)) if at not in moved]
        lines: LineNumbers = [self._line(with_some_names(statement, names, kept))] if kept else []
        for group in groups.values():
            lines += self._together(statement, names, group, sole=not lines)
        return lines

    def _together(
        self,
        statement: cst.ImportFrom,
        names: Sequence[cst.ImportAlias],
        group: Sequence[tuple[int, Edit]],
        *,
        sole: bool,
    ) -> LineNumbers:
        """Return the import, or the guarded imports, of names with the same targets."""
        same = with_some_names(statement, names, [at for at, _ in group])
        if len(group) < len(names):
            same = without_brackets(same)
        assert not isinstance(same.names, cst.ImportStar)  # noqa: S101 -- it has names
        edits = [edit for _, edit in group]
        bound = [self._bound.get(names[at]) or _binds(names[at]) for at, _ in group]
        written: list[cst.ImportFrom | cst.Import] = []
        for number, target in enumerate(edits[0].targets):
            if not target.module:
                written.append(same)
                continue
            renamed = [
                _named(alias, edit.targets[number].name, name)
                for alias, edit, name in zip(same.names, edits, bound, strict=True)
            ]
            written.append(_imported(same, target.module, renamed))
        return self._guarded(written, edits[0], sole=sole)

    def _guarded(
        self, written: Sequence[cst.ImportFrom | cst.Import], edit: Edit, *, sole: bool = True
    ) -> LineNumbers:
        """Return imports of which one is chosen at run time; the last one keeps the comment of the line."""
        lines = [self._line(each) for each in written]
        if sole:
            lines[-1] = lines[-1].with_changes(trailing_whitespace=self._ending)
        style = self._guard(edit) if len(lines) > 1 and len(edit.since) == len(lines) - 1 else None
        if style is None:
            return [_alternatives(lines)]
        imports = [_parsed_line(each) for each in style.imports if each not in self._added]
        if not edit.inside:
            self._added.update(style.imports)
        return [*imports, _chosen(lines, [style.test(release) for release in edit.since])]

    def _line(self, small: cst.ImportFrom | cst.Import) -> cst.SimpleStatementLine:
        """Return a line with an import, and with the comment for tools of the line that it replaces."""
        line = cst.SimpleStatementLine([small])
        return line.with_changes(trailing_whitespace=self._ending) if is_directive(self._ending) else line

    def _import(self, statement: cst.Import) -> LineNumbers:
        """Return the lines that replace `import a.b as c`; empty if it is kept."""
        (alias,) = statement.names
        edit = self._edit(alias)
        if edit is None or alias.evaluated_alias is None:
            return []
        self.done.add(edit)
        written: list[cst.ImportFrom | cst.Import] = []
        for target in edit.targets:
            if not target.module:
                written.append(statement)
                continue
            name = _named(cst.ImportAlias(cst.Name(target.name)), target.name, alias.evaluated_alias)
            written.append(cst.ImportFrom(module=_dotted(target.module), names=[name]))
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


def _alternatives(lines: Sequence[cst.SimpleStatementLine]) -> cst.BaseStatement:
    """Return a statement that tries imports in turn."""
    if len(lines) == 1:
        return lines[0]
    first, *rest = lines
    handler = cst.ExceptHandler(body=cst.IndentedBlock([_alternatives(rest)]), type=cst.Name("ImportError"))
    return cst.Try(body=cst.IndentedBlock([first]), handlers=[handler])


def _chosen(lines: Sequence[cst.SimpleStatementLine], tests: Sequence[str]) -> cst.BaseStatement:
    """Return an `if` statement that selects the first import whose test is true, else the last one."""
    rest: cst.If | cst.Else = cst.Else(body=cst.IndentedBlock([lines[-1]]))
    for line, test in zip(reversed(lines[:-1]), reversed(tests), strict=True):
        rest = cst.If(test=cst.parse_expression(test), body=cst.IndentedBlock([line]), orelse=rest)
    assert isinstance(rest, cst.If)  # noqa: S101 -- there are at least two imports
    return rest


def _imported(statement: cst.ImportFrom, module: str, names: Sequence[cst.ImportAlias]) -> cst.ImportFrom:
    """Return a `from` import of other names from another module, with the layout of an import."""
    return statement.with_changes(module=_dotted(module), names=names, relative=())


def _named(alias: cst.ImportAlias, name: str, bound: str) -> cst.ImportAlias:
    """Return an imported name under the name that the file binds."""
    if name == bound:
        return alias.with_changes(name=cst.Name(name), asname=None)
    asname = alias.asname or cst.AsName(
        cst.Name(bound),
        whitespace_before_as=cst.SimpleWhitespace(" "),
        whitespace_after_as=cst.SimpleWhitespace(" "),
    )
    return alias.with_changes(name=cst.Name(name), asname=asname.with_changes(name=cst.Name(bound)))


def _dotted(path: str) -> cst.Name | cst.Attribute:
    first, *rest = path.split(".")
    node: cst.Name | cst.Attribute = cst.Name(first)
    for part in rest:
        node = cst.Attribute(node, cst.Name(part))
    return node


def _parsed_line(statement: str) -> cst.SimpleStatementLine:
    parsed = cst.parse_statement(statement)
    assert isinstance(parsed, cst.SimpleStatementLine)  # noqa: S101 -- an import is a simple statement
    return parsed


def _binds(alias: cst.ImportAlias) -> str:
    return alias.evaluated_alias or alias.evaluated_name
