"""Check the releases that `compat explain --which` finds: draw frames from wheels, and compare.

    python tools/check_release_fit.py [--sets 300] [--seed N] [--without-text]

Each set has 3 to 8 frames of one random release: a function of a random module, and a line in it at which a
call begins. The seed is printed. Exit code 1 if a set of releases lacks the right one.
"""

import argparse
import ast
import random
import secrets
import sys
from collections import Counter
from collections.abc import Iterator, Mapping

from packaging.version import Version

from compat.source_outlines.reader import SourceOutlines, indexes
from compat.source_outlines.release_fit import Sighting, fit
from compat.wheels.package_index import Registry
from compat.wheels.source_cache import SourceCache

FEW = 3
"""Up to this many releases count as narrowed down."""


def main() -> int:
    """Print how many sets of frames were narrowed to the right release, and return 1 if one was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=300, metavar="N")
    parser.add_argument("--seed", type=int, help="the seed (default: random; printed)")
    parser.add_argument("--without-text", action="store_true", help="draw frames without their source lines")
    arguments = parser.parse_args()
    seed = secrets.randbelow(10**6) if arguments.seed is None else arguments.seed
    print(f"seed {seed}")
    counts = Counter(_results(arguments.sets, random.Random(seed), text=not arguments.without_text))  # noqa: S311
    for state in ("alone", "few", "more", "wrong"):
        print(f"{state:6} {counts[state]}")
    return 1 if counts["wrong"] else 0


def _results(count: int, drawn: random.Random, *, text: bool) -> Iterator[str]:
    outlines, cache = SourceOutlines(), SourceCache()
    releases = [
        (package, at) for package in outlines.packages for at in range(len(outlines.versions(package)))
    ]
    with Registry() as registry:
        for package, right in sorted(drawn.choice(releases) for _ in range(count)):
            wheel = registry.wheel(package, Version(outlines.versions(package)[right]))
            sources = cache.get(wheel, registry.session).sources
            frames = tuple(_frames(sources, package, drawn, text=text))
            found = fit(outlines, package, package, frames)
            places = indexes(found.releases) if found else ()
            if right not in places:
                print(
                    f"wrong: {package} {wheel.version}: {[outlines.versions(package)[at] for at in places]}"
                )
                yield "wrong"
            else:
                yield "alone" if len(places) == 1 else "few" if len(places) <= FEW else "more"


def _frames(
    sources: Mapping[str, bytes], package: str, drawn: random.Random, *, text: bool
) -> Iterator[Sighting]:
    paths = sorted(path for path in sources if path.startswith(f"{package}/"))
    wanted, found = drawn.randint(3, 8), 0
    while found < wanted:
        path = drawn.choice(paths)
        try:
            tree = ast.parse(sources[path])
        except SyntaxError:
            continue
        calls = list(_calls(tree, "<module>"))
        if not calls:
            continue
        line, function = drawn.choice(calls)
        source = sources[path].split(b"\n")[line - 1].decode("utf-8", "replace").strip() if text else ""
        found += 1
        yield Sighting(path=f"/x/site-packages/{path}", line=line, function=function, source=source)


def _calls(node: ast.AST, function: str) -> Iterator[tuple[int, str]]:
    """Yield the first line of each call and the name of the function around it."""
    for child in ast.iter_child_nodes(node):
        inner = function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = child.name
        elif isinstance(child, ast.Lambda):
            inner = "<lambda>"
        if isinstance(child, ast.Call):
            yield child.lineno, function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for outside in child.decorator_list:
                yield from _calls(ast.Expression(outside), function)
            for inside in child.body:
                yield from _calls(ast.Module([inside], []), inner)
        else:
            yield from _calls(child, inner)


if __name__ == "__main__":
    sys.exit(main())
