"""The tools of the server as functions: each returns a short text with its evidence.

Their docstrings are what an agent reads before it calls them. They ask the same functions as the commands.
"""

import tempfile
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path

from compat.errors import UsageError
from compat.index.extended import open_index
from compat.index.reader import Index
from compat.mcp import output
from compat.model.package_names import SGLANG, VLLM
from compat.sources.command_line import Texts
from compat.sources.opening import DEMANDS, SETTINGS, OpenedSources, open_sources
from compat.sources.stores.addresses import is_source

MOST_REQUIREMENTS = 2000
"""More than any environment has; checking them takes time that other calls wait for."""


def resolve(query: str, vllm: str = "", sglang: str = "") -> str:
    """Tell where a release of vllm or sglang has a name, and what to import instead if it is gone.

    Args:
        query: a name, a dotted path, module:Name, or an import statement.
        vllm: a version, specifier or "latest", or a checkout (./vllm), git+file:PATH@REF, a wheel file or
            env:PATH; without vllm and sglang, the installed or latest releases.
        sglang: the same for sglang.
    """
    from compat.index.query.installed_releases import installed_versions
    from compat.resolve.cli import answer
    from compat.resolve.query import parse_query
    from compat.resolve.release_selection import Request, subjects

    opened = _opened(vllm, sglang)
    request = Request(vllm=opened.texts[VLLM], sglang=opened.texts[SGLANG])
    if not (vllm or sglang or {SGLANG, VLLM} & installed_versions().keys()):
        request = Request(vllm=("latest",), sglang=("latest",))
    index = _index(opened.files)
    selected, note = subjects(request, index)
    results = [result for each in parse_query(query) for result in answer(each, selected, index)]
    return output.resolved(results, index, (*opened.notes, *([note] if note else [])))


def explain(log: str, vllm: str = "", sglang: str = "") -> str:
    """Find the cause of a failed import or call of vllm or sglang in a traceback or log, and its fix.

    Args:
        log: the traceback, or the whole log.
        vllm: the version, checkout or build of vllm that wrote it, if the log does not name it.
        sglang: the same for sglang.
    """
    from compat.explain.engine import explain as diagnoses
    from compat.explain.output import as_text
    from compat.requirements.installed import read_environment

    opened = _opened(vllm, sglang)
    found = diagnoses(
        log,
        vllm=next(iter(opened.texts[VLLM]), None),
        sglang=next(iter(opened.texts[SGLANG]), None),
        environment=read_environment(),
        index=opened.files,
    )
    return output.shortened("\n".join((*opened.notes, as_text(found))))


def scan(path: str = "", code: str = "", vllm: str = "", sglang: str = "") -> str:
    """Find the uses of vllm and sglang that break in given releases, and what to write instead.

    Args:
        path: a file or folder.
        code: Python source to check instead of a path.
        vllm: a version, specifier or "latest", or a checkout, git+file:PATH@REF, a wheel file or env:PATH;
            without vllm and sglang, what the project pins.
        sglang: the same for sglang.
    """
    if bool(path) == bool(code):
        raise UsageError("give a path, or code, and not both")
    opened = _opened(vllm, sglang, (SETTINGS,))
    if path:
        from compat.scan.sources.discovery import require_paths

        require_paths([path])
        return _scanned(f"./{path}" if path.startswith("-") else path, opened)  # a file, not an option
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "code.py"
        file.write_text(code, encoding="utf-8")
        return _scanned(str(file), opened).replace(str(file), file.name)


def _scanned(path: str, opened: OpenedSources) -> str:
    from compat.scan.cli import scan as report_of
    from compat.scan.options import parse

    versions = [f"--{package}={text}" for package, texts in opened.texts.items() for text in texts]
    report = report_of(parse([path, *versions])._replace(indexes=opened.files))
    return output.shortened("\n".join((*opened.notes, output.scanned(report))))


def check(requirements: list[str], entry: str = "all", vllm: str = "", sglang: str = "") -> str:
    """Tell which modules of vllm and sglang cannot be imported beside given releases of other packages.

    Args:
        requirements: exact requirements, such as "vllm==0.11.0" and "transformers==5.0.0".
        entry: "serve" for what a server imports when it starts, "all", or a module.
        vllm: a checkout, git+file:PATH@REF, a wheel file or env:PATH to check instead of a release.
        sglang: the same for sglang.
    """
    from compat.check import inputs
    from compat.check.environment import Completion, select_releases
    from compat.check.findings import check_environment
    from compat.check.output import render
    from compat.companions.reader import Companions
    from compat.requirements.release_summary import PYTHON
    from compat.sources.demands import CompanionsOfSources

    if len(requirements) > MOST_REQUIREMENTS:
        raise UsageError(f"requirements: {len(requirements)} are too many; give at most {MOST_REQUIREMENTS}")
    opened = _opened(vllm, sglang, (DEMANDS,))
    index = _index(opened.files)
    companions = CompanionsOfSources(opened.files) if opened.files else Companions()
    given = [inputs.parse_requirement(text, "requirements") for text in requirements]
    named, specifiers = select_releases(given, index)
    for package, texts in opened.texts.items():
        for text in texts:
            named[package] = index.versions(package)[index.release_index(package, text, package)]
    if not {SGLANG, VLLM} & named.keys():
        raise UsageError('neither sglang nor vllm is named; add one, such as "vllm==0.11.0"')
    environment = Completion(
        named=named, specifiers=specifiers, index=index, companions=companions, python=PYTHON
    ).run()
    report = check_environment(environment, index, companions, [entry])
    return output.shortened("\n".join((*opened.notes, render(report, index, companions, "text"))))


def pairs(sglang: str = "", vllm: str = "") -> str:
    """Tell whether a release of sglang and one of vllm go together, or which partners fit one of them best.

    Args:
        sglang: a version; leave it out to rank the partners of the vllm release.
        vllm: a version; leave it out to rank the partners of the sglang release.
    """
    from compat.companions.reader import Companions
    from compat.partners import ranking_output
    from compat.partners.indirect_clashes import known_requirements, predicted_clashes
    from compat.partners.ranking import rank
    from compat.requirements.release_requirements import requirements_of
    from compat.requirements.release_summary import PYTHON

    index = _index()
    if not sglang and not vllm:
        raise UsageError("give a version of sglang, of vllm, or of both")
    if not sglang or not vllm:
        package, version = (SGLANG, sglang) if sglang else (VLLM, vllm)
        mine, partners = rank(index, package, version, PYTHON)
        return ranking_output.ranking(mine, partners, 5)
    one, other = (
        requirements_of(
            package, index.releases(package)[index.release_index(package, version, package)], PYTHON
        )
        for package, version in ((SGLANG, sglang), (VLLM, vllm))
    )
    _, partners = rank(index, SGLANG, sglang, PYTHON)
    partner = next((each for each in partners if each.vllm.version == str(other.release.version)), None)
    clashes = predicted_clashes(one, other, known_requirements(Companions(), PYTHON))
    return output.paired(one, other, clashes, partner)


TOOLS: tuple[Callable[..., str], ...] = (resolve, explain, scan, check, pairs)


def _opened(vllm: str, sglang: str, further: Collection[str] = ()) -> OpenedSources:
    """Return the releases that a tool is asked about, with the index files of the sources among them.

    Args:
        vllm: a version, a specifier, a source, or nothing.
        sglang: the same for sglang.
        further: what to read of the sources besides their names.
    """
    texts: Texts = {VLLM: (vllm,) if vllm else (), SGLANG: (sglang,) if sglang else ()}
    if not (is_source(vllm) or is_source(sglang)):
        return OpenedSources(texts=texts)
    return open_sources(texts, further=further)


@lru_cache(maxsize=2)
def _index(files: tuple[str, ...] = ()) -> Index:
    """Return the index, with the sources in further files; one thread at a time may use it."""
    return open_index(files)
