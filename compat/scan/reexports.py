"""From what modules leave unbound to the findings in the files that take it from them."""

from collections.abc import Iterator, Sequence

from compat.index.world import MISSING
from compat.scan.analysis import Analysis, Silenced
from compat.scan.findings import Finding
from compat.scan.frames import Module
from compat.scan.handed import Named, known_as, taken
from compat.scan.judge import Trouble
from compat.scan.lacks import Lacks
from compat.scan.lookup import Outcome
from compat.scan.mentions import TOPS


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
        """Return the files that may take names from a module, with the names: their bytes have both."""
        names = {name.encode(): name for name in self._lacks.names(module)}
        folder, stem = known_as(module.path)
        known = f".{stem}" if stem in TOPS else stem  # `mine.vllm` is meant, and many name the other one
        found: dict[str, set[str]] = {}
        for path in self._files if names else ():
            if path == module.path:
                continue
            try:
                data = self._analysis.store.read(path)
            except OSError:
                continue
            # Files of a package need not name it: `from . import x`.
            if known.encode() in data or (folder and path.startswith(folder)):
                everything = any(stem.encode() in line or line.endswith(b".") for line in _taken_whole(data))
                mentioned = {names[word] for word in names if everything or word in data}
                if mentioned:
                    found[path] = mentioned
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


def _taken_whole(data: bytes) -> Iterator[bytes]:
    """Yield what stands before each `import *` on its line."""
    at = data.find(b"import *")
    while at >= 0:
        yield data[data.rfind(b"\n", 0, at) + 1 : at].rstrip()
        at = data.find(b"import *", at + 1)
