"""Classes of the scanned tree whose bases lead, through any number of levels, to classes of a package."""

import ast
from collections.abc import Iterator, Sequence
from functools import lru_cache

from compat.callables.by_release import AnswersByRelease
from compat.callables.class_definitions import (
    TRANSPARENT,
    ClassDefinition,
    ForeignClass,
    bare,
    class_definition,
    resolution_order,
)
from compat.callables.parameters import Parameters
from compat.callables.signatures import Signatures, function_parameters
from compat.scan.calls.callees import Accepted, Callees, of_object
from compat.scan.calls.class_views import ClassView, class_view
from compat.scan.interpreter.scopes import Module, Tree
from compat.scan.prefilter.mentions import TOPS
from compat.scan.project.module_names import absolute
from compat.scan.syntax.positions import FunctionNode
from compat.source_outlines.extract import class_outline, function_outline
from compat.source_outlines.records import Definition

Order = Sequence[ClassDefinition | ForeignClass]
"""A class and its bases, as Python looks through them."""
_MOST_IMPORTS = 6
"""The most re-exports that are followed from one name."""


class TreeClasses:
    """Reads classes of the tree, and finds their bases in the releases.

    Args:
        tree: the modules of the tree.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[ast.ClassDef, tuple[ClassDefinition, Module]] = {}
        self._packages: dict[ast.ClassDef, frozenset[str]] = {}
        self._nodes: dict[ClassDefinition, tuple[ast.ClassDef, Module]] = {}
        self._orders: dict[tuple[ast.ClassDef, str], AnswersByRelease[Order | None]] = {}
        self._views: dict[tuple[ast.ClassDef, str], AnswersByRelease[ClassView]] = {}
        self._inherited: dict[tuple[ast.ClassDef, str, str], AnswersByRelease[Accepted | None]] = {}
        self._imported = lru_cache(maxsize=None)(_imported)

    def definition(self, node: ast.ClassDef, module: Module) -> ClassDefinition:
        """Return a class of the tree as the outlines would describe it."""
        if node not in self._known:
            functions = list(_functions(node.body))
            detail = Definition("c", node.name, node.lineno, node.lineno, node.lineno, class_outline(node))
            found = class_definition(detail, functions, f"{module.path}:{node.lineno}", readable=True)
            self._known[node] = found, module
            self._nodes[found] = node, module
        return self._known[node][0]

    def packages(self, node: ast.ClassDef, module: Module) -> frozenset[str]:
        """Return the import names of the packages to which the bases of a class may lead, in any release."""
        if node not in self._packages:
            self._packages[node] = frozenset()  # for classes that have themselves as a base
            found = (
                self._packages_of(ast.unparse(_plain(base)), module, _MOST_IMPORTS) for base in node.bases
            )
            self._packages[node] = frozenset(top for each in found for top in each)
        return self._packages[node]

    def _packages_of(self, text: str, module: Module, depth: int) -> frozenset[str]:
        first, _, rest = text.partition(".")
        found: set[str] = set()
        for statement in module.binders(first):
            if isinstance(statement, ast.ClassDef):
                found |= self.packages(statement, module)
            for dotted in self._imported(statement, first, module.name):
                path = f"{dotted}.{rest}" if rest else dotted
                if path.partition(".")[0] in TOPS:
                    found.add(path.partition(".")[0])
                    continue
                origin, _, name = path.rpartition(".")
                other = self._tree.imported(module.path, origin) if depth else None
                if other is not None and other.path != module.path:
                    found |= self._packages_of(name, other, depth - 1)
        return frozenset(found)

    def order(self, node: ast.ClassDef, module: Module, callees: Callees, release: int) -> Order | None:
        """Return a class and its bases in a release, as Python looks through them; None if unknown."""
        key = node, callees.package
        if key not in self._orders:
            self._orders[key] = callees.answers(
                lambda signatures: self._order(node, module, signatures, callees)
            )
        return self._orders[key].at(release)

    def view(self, node: ast.ClassDef, module: Module, callees: Callees) -> AnswersByRelease[ClassView]:
        """Return what a class overrides, inherits and leaves abstract, by release."""
        key = node, callees.package
        if key not in self._views:
            self._views[key] = callees.answers(
                lambda signatures: class_view(
                    signatures, self.order(node, module, callees, signatures.at), self.is_of_tree
                )
            )
        return self._views[key]

    def inherited(
        self, node: ast.ClassDef, method: str, module: Module, callees: Callees
    ) -> AnswersByRelease[Accepted | None]:
        """Return what a method of the bases of a class accepts, by release, if one is of the package."""
        key = node, method, callees.package
        if key not in self._inherited:
            self._inherited[key] = callees.answers(
                lambda signatures: self._of_bases(
                    signatures, self.order(node, module, callees, signatures.at), method
                )
            )
        return self._inherited[key]

    def _of_bases(self, signatures: Signatures, order: Order | None, method: str) -> Accepted | None:
        above = order[1:] if order else ()
        if not any(isinstance(each, ClassDefinition) and not self.is_of_tree(each) for each in above):
            return None
        found = signatures.method(above, method)
        if found is None:
            return None
        named = (each for each in above if isinstance(each, ClassDefinition))
        holder = next((each.name for each in named if each.function(method)), above[0].name)
        return of_object(found, holder if method == "__init__" else f"{holder}.{method}")

    def _order(
        self, node: ast.ClassDef, module: Module, signatures: Signatures, callees: Callees
    ) -> Order | None:

        def bases_of(of: ClassDefinition) -> Sequence[ClassDefinition | ForeignClass]:
            if of not in self._nodes:
                return signatures.bases(of)
            inner, where = self._nodes[of]
            return [
                each
                for base in inner.bases
                if bare(ast.unparse(base)) not in TRANSPARENT - {"ABC"}
                for each in [self._base(base, where, signatures, callees)]
            ]

        return resolution_order(self.definition(node, module), bases_of)

    def is_of_tree(self, of: ClassDefinition) -> bool:
        """Return whether a class is one of the tree."""
        return of in self._nodes

    def parameters(self, of: ClassDefinition, name: str) -> Parameters | None:
        """Return the parameters of a function of a class of the tree; None without it."""
        own = of.function(name)
        return None if own is None else function_parameters(own[0], only=own[1])

    def _base(
        self, base: ast.expr, module: Module, signatures: Signatures, callees: Callees
    ) -> ClassDefinition | ForeignClass:
        text = ast.unparse(_plain(base))
        found = self._resolved(text, module, signatures, callees, _MOST_IMPORTS)
        return found or ForeignClass(bare(text))

    def _resolved(
        self, text: str, module: Module, signatures: Signatures, callees: Callees, depth: int
    ) -> ClassDefinition | None:
        """Return the class that a module calls by a name or a dotted path; None if it is not known."""
        first, _, rest = text.partition(".")
        found: dict[tuple[str, str], ClassDefinition] = {}
        binders = module.binders(first)
        for statement in binders:
            each = self._bound(statement, first, rest, module, signatures, callees, depth)
            if each is None and len(binders) == 1:
                return None
            if each is not None:
                found[each.module, each.name] = each
        return next(iter(found.values())) if len(found) == 1 else None

    def _bound(  # noqa: PLR0917 -- they name one binding
        self,
        statement: ast.stmt,
        first: str,
        rest: str,
        module: Module,
        signatures: Signatures,
        callees: Callees,
        depth: int,
    ) -> ClassDefinition | None:
        if isinstance(statement, ast.ClassDef):
            return self.definition(statement, module) if not rest else None
        for dotted in self._imported(statement, first, module.name):
            path = f"{dotted}.{rest}" if rest else dotted
            if path.partition(".")[0] in TOPS:
                where = callees.places(path).at(signatures.at)
                if where is not None and not where[2]:
                    return signatures.definition(where[0], where[1])
                continue
            origin, _, name = path.rpartition(".")
            other = self._tree.imported(module.path, origin) if depth else None
            if other is not None and other.path != module.path:
                return self._resolved(name, other, signatures, callees, depth - 1)
        return None


def _plain(base: ast.expr) -> ast.expr:
    """Return a base without its parameters: `Base` for `Base[int]`."""
    return base.value if isinstance(base, ast.Subscript) else base


def _functions(body: Sequence[ast.stmt]) -> Iterator[Definition]:
    """Yield the functions directly in a class, those in its `if` and `try` blocks included."""
    for each in body:
        if isinstance(each, FunctionNode):
            yield Definition("f", each.name, each.lineno, each.lineno, each.lineno, function_outline(each))
        for block in ("body", "orelse", "finalbody"):
            inner = getattr(each, block, None)
            if inner and not isinstance(each, FunctionNode | ast.ClassDef):
                yield from _functions(inner)


def _imported(statement: ast.stmt, name: str, module: str) -> tuple[str, ...]:
    """Return the dotted paths to which the imports of a statement, and of its blocks, bind a name."""
    found: list[str] = []
    for each in ast.walk(statement):
        if isinstance(each, ast.Import):
            found += [
                alias.name if alias.asname else name
                for alias in each.names
                if (alias.asname or alias.name.partition(".")[0]) == name
            ]
        elif isinstance(each, ast.ImportFrom):
            origin = absolute(each, module)
            found += [
                f"{origin}.{alias.name}"
                for alias in each.names
                if (alias.asname or alias.name) == name and origin
            ]
    return tuple(found)
