"""The tools of the server as functions: each returns a short text with its evidence.

Their docstrings are what an agent reads before it calls them. They ask the same functions as the commands.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from compat.errors import UsageError
from compat.index.reader import Index
from compat.mcp import output
from compat.model.package_names import SGLANG, VLLM

MOST_REQUIREMENTS = 2000
"""More than any environment has; checking them takes time that other calls wait for."""


def resolve(query: str, vllm: str = "", sglang: str = "") -> str:
    """Tell where a release of vllm or sglang has a name, and what to import instead if it is gone.

    Args:
        query: a name, a dotted path, module:Name, or an import statement.
        vllm: a version, specifier or "latest"; without vllm and sglang, the installed or latest releases.
        sglang: the same for sglang.
    """
    from compat.index.query.installed_releases import installed_versions
    from compat.resolve.cli import answer
    from compat.resolve.query import parse_query
    from compat.resolve.release_selection import Request, subjects

    index = _index()
    request = Request(vllm=_one(vllm), sglang=_one(sglang))
    if not (vllm or sglang or {SGLANG, VLLM} & installed_versions().keys()):
        request = Request(vllm=("latest",), sglang=("latest",))
    selected, note = subjects(request, index)
    results = [result for each in parse_query(query) for result in answer(each, selected, index)]
    return output.resolved(results, index, note)


def explain(log: str, vllm: str = "", sglang: str = "") -> str:
    """Find the cause of a failed import or call of vllm or sglang in a traceback or log, and its fix.

    Args:
        log: the traceback, or the whole log.
        vllm: the version of vllm that wrote it, if the log does not name it.
        sglang: the same for sglang.
    """
    from compat.explain.engine import explain as diagnoses
    from compat.explain.output import as_text
    from compat.requirements.installed import read_environment

    found = diagnoses(log, vllm=vllm or None, sglang=sglang or None, environment=read_environment())
    return output.shortened(as_text(found))


def scan(path: str = "", code: str = "", vllm: str = "", sglang: str = "") -> str:
    """Find the uses of vllm and sglang that break in given releases, and what to write instead.

    Args:
        path: a file or folder.
        code: Python source to check instead of a path.
        vllm: a version, specifier or "latest"; without vllm and sglang, what the project pins.
        sglang: the same for sglang.
    """
    if bool(path) == bool(code):
        raise UsageError("give a path, or code, and not both")
    versions = [f"--{package}={text}" for package, text in ((VLLM, vllm), (SGLANG, sglang)) if text]
    if path:
        if not os.path.lexists(path):
            raise UsageError(f"{path}: no such file or folder")
        return _scanned(f"./{path}" if path.startswith("-") else path, versions)  # a file, not an option
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "code.py"
        file.write_text(code, encoding="utf-8")
        return _scanned(str(file), versions).replace(str(file), file.name)


def _scanned(path: str, versions: Sequence[str]) -> str:
    from compat.scan.cli import scan as report_of
    from compat.scan.options import parse

    report = report_of(parse([path, *versions]))
    return output.scanned(report)


def check(requirements: list[str], entry: str = "all") -> str:
    """Tell which modules of vllm and sglang cannot be imported beside given releases of other packages.

    Args:
        requirements: exact requirements, such as "vllm==0.11.0" and "transformers==5.0.0".
        entry: "serve" for what a server imports when it starts, "all", or a module.
    """
    from compat.check import inputs
    from compat.check.environment import Completion, select_releases
    from compat.check.findings import check_environment
    from compat.check.output import render
    from compat.companions.reader import Companions
    from compat.requirements.release_summary import PYTHON

    if len(requirements) > MOST_REQUIREMENTS:
        raise UsageError(f"requirements: {len(requirements)} are too many; give at most {MOST_REQUIREMENTS}")
    index, companions = _index(), Companions()
    given = [inputs.parse_requirement(text, "requirements") for text in requirements]
    named, specifiers = select_releases(given, index)
    if not {SGLANG, VLLM} & named.keys():
        raise UsageError('neither sglang nor vllm is named; add one, such as "vllm==0.11.0"')
    environment = Completion(
        named=named, specifiers=specifiers, index=index, companions=companions, python=PYTHON
    ).run()
    report = check_environment(environment, index, companions, [entry])
    return output.shortened(render(report, index, companions, "text"))


def pairs(sglang: str = "", vllm: str = "") -> str:
    """Tell whether a release of sglang and one of vllm go together, or which partners fit one of them best.

    Args:
        sglang: a version; leave it out to rank the partners of the vllm release.
        vllm: a version; leave it out to rank the partners of the sglang release.
    """
    from compat.companions.reader import Companions
    from compat.pairs import ranking_output
    from compat.pairs.indirect_clashes import known_requirements, predicted_clashes
    from compat.pairs.ranking import rank
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


def _one(version: str) -> tuple[str, ...]:
    return (version,) if version else ()


@lru_cache(maxsize=1)
def _index() -> Index:
    """Return the index, which one thread at a time may use."""
    return Index()
