"""From what modules leave unbound to the findings in the files that take it from them."""

from collections.abc import Iterator, Sequence

from compat.index.query.name_resolution import MISSING
from compat.scan.check.file_checker import Analysis, Silenced
from compat.scan.check.reference_checker import Trouble
from compat.scan.findings import Finding
from compat.scan.interpreter.scopes import Module
from compat.scan.prefilter.imported_names import Takes
from compat.scan.project.unbound_imports import Named, taken
from compat.scan.project.unbound_names import Lacks
from compat.scan.releases.index_lookup import Outcome


class Reexports:
    """Goes from module to module: what takes a name may hand it on.

    Args:
        analysis: has looked into the files that name the packages.
        files: all files of the scan.
    """

    def __init__(self, analysis: Analysis, files: Sequence[str]) -> None:
        self._analysis = analysis
        self._files = [path for path in files if path.endswith((".py", ".ipynb"))]
        self._lacks = Lacks(analysis.tree, analysis.judges, analysis.broken)

    def findings(self, modules: Sequence[Module]) -> Iterator[Finding]:
        """Yield what files take from some modules, and from what takes it there, in releases without it."""
        ahead = list(modules)
        seen = {module.path for module in ahead}
        for module in ahead:
            takers = self._takers(module)
            words = {word for each in takers.values() for word in each}
            names = {name: lacks for name in sorted(words) if (lacks := self._lacks.of(module, name))}
            if not names:
                continue
            for path, mentioned in takers.items():
                taker = self._analysis.tree.module(path)
                if taker is None or not (mentioned & names.keys()):
                    continue
                yield from self._taken(taker, module, names)
                if path not in seen:
                    seen.add(path)
                    ahead.append(taker)

    def _takers(self, module: Module) -> dict[str, set[str]]:
        """Return the files that may take names from a module, with the names, as their bytes have it."""
        names = self._lacks.names(module)
        look = Takes(module.path, names)
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

    def _taken(self, file: Module, module: Module, names: Named) -> Iterator[Finding]:
        source = self._analysis.parsed(file.path)
        lines = source.lines()
        silenced = Silenced(lines)
        for reference, lack, kind in taken(source, file, module, names, self._analysis.tree):
            mask = self._analysis.judges[lack.package].reached(reference, file, lack.mask, kind)
            if not mask:
                continue
            outcome = Outcome("name", reference.module, lack.name, MISSING)
            trouble = Trouble(reference, lack.package, "CPT001", mask, outcome)
            self._analysis.note_broken(file.path, [trouble])
            if not silenced(trouble.rule, reference):
                yield self._analysis.finding(source, trouble, lines, self._lacks.runs(lack, mask))
