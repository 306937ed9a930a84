"""Find the two releases that a comparison names, and the package that they are of."""

from collections.abc import Sequence
from typing import NamedTuple

from compat.errors import UsageError
from compat.index.extended import open_index
from compat.index.reader import Index
from compat.sources.command_line import with_sources
from compat.sources.stores.addresses import is_source
from compat.sources.stores.located import PACKAGES, package_in


class Sides(NamedTuple):
    """The releases to compare, oldest first as the user gave them."""

    reader: Index
    package: str
    release_indexes: tuple[int, ...]

    def version(self, release_index: int) -> str:
        """Return the version of a release."""
        return self.reader.versions(self.package)[release_index]

    def label(self, release_index: int) -> str:
        """Return the version of a release, or what a checkout or build is called."""
        build = self.reader.addition(self.package, release_index)
        version = self.version(release_index)
        return version if build is None else f"{version} ({build.label})"


def open_sides(texts: Sequence[str], package: str | None, files: Sequence[str]) -> Sides:
    """Return the releases that some texts name: `0.14.0`, `vllm==0.14.0`, `latest` or a source.

    Raises:
        UsageError: a release does not exist, or the package of the releases is not clear.
    """
    plain = []
    for text in texts:
        name, mark, version = text.partition("==")
        if mark and name in PACKAGES and not is_source(text):
            if package not in (None, name):
                raise UsageError(f"{text}: the other release is of {package}; compare two of one package")
            package = name
        plain.append(version if mark and name in PACKAGES and not is_source(text) else text)
    package = package or _package_of(plain)
    opened, wanted = with_sources({package: tuple(plain)}, files)
    index = open_index(opened)
    found = []
    for text in wanted[package]:
        if text == "latest":
            from compat.model.releases import newest

            found.append(newest(index.versions(package)[: index.published(package)]))
        else:
            found.append(index.release_index(package, text, text))
    return Sides(index, package, tuple(found))


def _package_of(texts: Sequence[str]) -> str:
    """Return the package that the sources contain, or the only one that has all the releases."""
    for text in texts:
        if is_source(text):
            return package_in(text)
    index = Index()
    known = [name for name in PACKAGES if all(text == "latest" or index.knows(name, text) for text in texts)]
    if len(known) == 1:
        return known[0]
    what = "both packages have" if known else "no package has"
    raise UsageError(f"{what} these releases; write vllm=={texts[0]} or pass --package")
