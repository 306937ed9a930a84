"""Write a source as an index file of its own: its rows, its nearest release, and what follows from them."""

import hashlib
import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from packaging.version import InvalidVersion, Version

from compat.errors import UsageError
from compat.index.additions import TABLE, Addition
from compat.index.build.merge_releases import ExpandedModules, MergedModule, MergedRelease, merge
from compat.index.build.precompute import conclusions
from compat.index.extended import ExtendedIndex
from compat.index.history.release_diff import SuccessorFinder
from compat.index.query.single_release import pinned
from compat.index.reader import Index
from compat.index.records import Names
from compat.index.writer import write_index
from compat.model.releases import IMPORT_NAMES, ReleaseMetadata
from compat.source_outlines.reader import SourceOutlines
from compat.sources.extended_outlines import TABLE as OUTLINES
from compat.sources.extended_outlines import packed
from compat.sources.generated import generated_modules
from compat.sources.nearest import Nearest, nearest_release
from compat.sources.read_source import SourceReader
from compat.sources.stores.file_stores import FileStore, FolderFiles, short
from compat.sources.stores.package_roots import PackageRoot, SourceMetadata, read_metadata
from compat.sources.successors import ReleaseOutlines, successors_in_source

_LEAST_SAME = 0.05
"""The least share of its files that a tree has in common with a release by path, if it is the package."""


@dataclass(frozen=True)
class SourceBuild:
    """Everything that is worked out for one source.

    Args:
        store: its files.
        root: the place of the package in them.
        package: the package.
        index: the index of the releases.
        outlines: the outlines of the releases.
        reader: reads the modules.
        where: the text that names the source, for messages.
        path: the file of the index.
    """

    store: FileStore
    root: PackageRoot
    package: str
    index: Index
    outlines: SourceOutlines
    reader: SourceReader
    where: str
    path: str | os.PathLike[str]

    @cached_property
    def metadata(self) -> SourceMetadata:
        """What the source says about itself."""
        return read_metadata(self.store, self.root, self.package)

    @cached_property
    def modules(self) -> ExpandedModules:
        """The modules of the source."""
        return self.reader.read(self.store, self.root, self.package)

    @cached_property
    def nearest(self) -> Nearest | None:
        """The nearest release.

        Raises:
            UsageError: the tree is another package.
        """
        files = self.modules.outlines()
        found = nearest_release(self.outlines, self.package, files, self.metadata.version)
        if found is None or found.same + found.changed < _LEAST_SAME * len(files):
            raise UsageError(
                f"{self.where}: no release of {self.package} has files like these; it is another package"
            )
        return found

    @cached_property
    def released(self) -> tuple[int, Mapping[str, Names]]:
        """The index of the nearest release, and its modules with their names."""
        assert self.nearest is not None  # noqa: S101 -- for the type checker
        at = self.index.release_index(self.package, self.nearest.version, self.where)
        names = self.index.release_names(self.package, at)
        return at, {module: names.get(module, {}) for module in self.index.modules(self.package, at)}

    @cached_property
    def rows(self) -> tuple[list[MergedModule], tuple[str, ...]]:
        """The modules, those that a build makes from the nearest release included; and the names of these."""
        own = list(self.modules)
        at, names = self.released
        known = self.index.modules(self.package, at)
        made = generated_modules(self.store, self.root, known, self.modules.modules)
        lent = [MergedModule(each, known[each].form, names[each], known[each].open) for each in made]
        return sorted([*own, *lent], key=lambda each: each.name), tuple(made)

    @cached_property
    def label(self) -> str:
        """What answers call the source."""
        store = self.store
        if not isinstance(store, FolderFiles) or store.built:
            return store.label
        if store.is_checkout:
            return f"{store.label}, changed" if store.changed(self.root.folder) else store.label
        content = repr(sorted(store.files(self.root.folder).items()))
        return f"{store.name} {short(hashlib.sha256(content.encode()).hexdigest())}"

    @property
    def requires_dist(self) -> tuple[str, ...]:
        """What the source requires; its extras are those of the nearest release where only a build tells."""
        own = self.metadata.requires_dist
        released = self.index.requires_dist(self.package, self.released[0])
        lent = (line for line in released if "extra ==" in line) if own else released
        return own if self.metadata.extras else (*own, *lent)

    def version(self, name: str) -> str:
        """Return a version for the source that no release has: its own, or one after that of a release."""
        try:
            base = str(Version(self.metadata.version or ""))
        except InvalidVersion:
            base = self.nearest.version if self.nearest is not None else "0"
        if self.store.built and not name and base not in self.index.versions(self.package):
            return base
        _, *words = re.findall(r"[A-Za-z0-9]+", self.label)
        mark = re.findall(r"[A-Za-z0-9]+", name) or (
            [f"g{words[0]}", *words[1:]] if not self.store.built else words
        )
        return f"{base.partition('+')[0]}+{'.'.join(mark).lower()[:60]}"

    def addition(self, name: str, kernels: Mapping[str, str]) -> Addition:
        """Return what is told about the source."""
        near = self.nearest
        assert near is not None  # noqa: S101 -- for the type checker
        at, names = self.released
        rows, made = self.rows
        release = ReleaseOutlines(self.outlines, self.package, at)
        files = self.modules.outlines()
        options = {each.name for file in files.values() for each in file.definitions if each.kind == "o"}
        found = successors_in_source(
            release,
            names,
            {each.name: each.names for each in rows},
            files,
        )
        news = (
            path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in near.new_paths
        )
        paths = (f"{each.replace('.', '/')}{end}" for each in made for end in (".py", "/__init__.py"))
        lent = sum(release.of(path) is not None for path in paths)
        distance = str(replace(near, lacking=near.lacking - lent))
        return Addition(
            label=self.label,
            nearest=near.version,
            distance=distance,
            name=name,
            generated=made,
            new_modules=tuple(news),
            kernels=dict(kernels),
            successors=found,
            options=tuple(sorted(options)),
        )

    def write(self, target: Path, name: str = "") -> None:
        """Write the index file of the source.

        Raises:
            DiskError: the file cannot be written.
        """
        rows, _ = self.rows
        row = ReleaseMetadata(
            version=self.version(name),
            wheel="",
            sha256="",
            uploaded=None,
            requires_python=self.metadata.requires_python,
            requires_dist=self.requires_dist,
        )
        release = MergedRelease(row, rows, dict)
        content = merge(self.package, IMPORT_NAMES[self.package], [release], SuccessorFinder())
        write_index(target, [content], lambda part: self._finish(part, name))

    def _finish(self, part: Path, name: str) -> None:
        """Add the facts to a written file, and what follows from its rows beside the kernels that it pins."""
        addition = self.addition(name, {})
        with closing(sqlite3.connect(part)) as database, database:
            database.execute(f"CREATE TABLE {TABLE}")
            database.execute("INSERT INTO additions VALUES (?, 0, ?)", (self.package, addition.as_json()))
            database.execute(f"CREATE TABLE {OUTLINES}")
            outlines = packed(self.modules.outlines())
            database.execute(
                "INSERT INTO outlines VALUES (?, ?, ?)", (self.package, self.version(name), outlines)
            )
        at = self.index.published(self.package)
        kernels = pinned(extended := ExtendedIndex([str(part)], self.path), self.package, at)
        pins = {kernel: extended.versions(kernel)[release] for kernel, release in kernels.items()}
        facts = addition._replace(kernels=pins).as_json()
        del extended
        with closing(sqlite3.connect(part)) as database, database:
            database.execute("UPDATE additions SET facts = ?", (facts,))
        found = conclusions(ExtendedIndex([str(part)], self.path), self.package, [at])
        file = Index(part)
        number = file.packages[self.package]
        with closing(sqlite3.connect(part)) as database, database:
            database.executemany(
                "INSERT INTO problems VALUES (?, ?, 0, 0, ?)",
                sorted(
                    (number, file.number("modules", module), reason) for module, reason, _ in found.problems
                ),
            )
            database.executemany(
                "INSERT INTO pair_dependent VALUES (?, ?, ?, 0, 0)",
                sorted(
                    (number, file.number("modules", module), file.number("names", each))
                    for module, each, _ in found.pair_dependent
                ),
            )
