"""Report the imports of names that another module of the tree leaves unbound in some releases."""

from collections.abc import Iterator, Sequence

from compat.index.query.answers import MISSING
from compat.scan.check.file_checker import Analysis, Silenced
from compat.scan.check.reference_checker import Issue
from compat.scan.findings import Finding
from compat.scan.interpreter.scopes import Module
from compat.scan.prefilter.imported_names import ImportedNames
from compat.scan.project.unbound_imports import UnboundByName, unbound_imports
from compat.scan.project.unbound_names import UnboundNames
from compat.scan.releases.index_lookup import LookupOutcome


class Reexports:
    """Follows unbound names from module to module: a file that imports one may re-export it.

    Args:
        analysis: has checked the files that mention the packages.
        files: all files of the scan.
    """

    def __init__(self, analysis: Analysis, files: Sequence[str]) -> None:
        self._analysis = analysis
        self._files = [path for path in files if path.endswith((".py", ".ipynb"))]
        self._unbound_names = UnboundNames(analysis.tree, analysis.checkers, analysis.broken)

    def findings(self, modules: Sequence[Module]) -> Iterator[Finding]:
        """Yield the findings in files that import unbound names from some modules, directly or indirectly."""
        ahead = list(modules)
        seen = {module.path for module in ahead}
        for module in ahead:
            takers = self._takers(module)
            words = {word for each in takers.values() for word in each}
            names = {
                name: unbound_names
                for name in sorted(words)
                if (unbound_names := self._unbound_names.of(module, name))
            }
            if not names:
                continue
            for path, mentioned in takers.items():
                taker = self._analysis.tree.module(path)
                if taker is None or not (mentioned & names.keys()):
                    continue
                yield from self._findings_in(taker, module, names)
                if path not in seen:
                    seen.add(path)
                    ahead.append(taker)

    def _takers(self, module: Module) -> dict[str, set[str]]:
        """Return the files whose bytes may import unbound names from a module, each with these names."""
        names = self._unbound_names.names(module)
        look = ImportedNames(module.path, names)
        found: dict[str, set[str]] = {}
        for path in self._files if names else ():
            if path == module.path:
                continue
            try:
                taken = look(path, self._analysis.store.read(path))
            except OSError:
                continue
            if taken:
                found[path] = taken
        return found

    def _findings_in(self, file: Module, module: Module, names: UnboundByName) -> Iterator[Finding]:
        source = self._analysis.parsed(file.path)
        lines = source.lines()
        silenced = Silenced(lines)
        for reference, unbound, kind in unbound_imports(source, file, module, names, self._analysis.tree):
            mask = self._analysis.checkers[unbound.package].reached(reference, file, unbound.mask, kind)
            if not mask:
                continue
            outcome = LookupOutcome("name", reference.module, unbound.name, MISSING)
            issue = Issue(reference, unbound.package, "CPT001", mask, outcome)
            self._analysis.note_broken(file.path, [issue])
            if not silenced(issue.rule, reference):
                yield self._analysis.finding(
                    source, issue, lines, self._unbound_names.broken_ranges(unbound, mask)
                )
