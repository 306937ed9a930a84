"""Install releases at the edges of intervals, and compare what they have with the file of companions.

    python tools/companions_truth.py [--draw 40] [--seed 1] [--file PATH] [--without torch]…

An edge is a release in which a demanded name appears or disappears. Each is installed alone, without what
it requires. A child process stands in for the rest and imports the name. Where that fails for another reason,
the text of the module decides; a release that does not install is left open.
"""

import argparse
import itertools
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from compat.companions.format import SHIPPED
from compat.companions.reader import Companions
from compat.model.symbols import split_location
from compat.uv.client import find_uv

CHILD = r"""
import importlib, importlib.abc, importlib.machinery, importlib.metadata, sys, types
folder, module, name = sys.argv[1:]
sys.path.insert(0, folder)
tops = {entry.partition(".")[0] for entry in __import__("os").listdir(folder)}

class Anything(type):
    def __getattr__(cls, name):
        if name.startswith("__"): raise AttributeError(name)
        return cls
    def __call__(cls, *a, **k):
        return a[0] if len(a) == 1 and callable(a[0]) and not k else cls
    def __getitem__(cls, key): return cls
    def __or__(cls, other): return cls
    __ror__ = __or__
    def __lt__(cls, other): return False
    __gt__ = __le__ = __ge__ = __lt__
    def __iter__(cls): return iter(())
    def __mro_entries__(cls, bases): return ()

class Stub(metaclass=Anything): pass

class StubModule(types.ModuleType):
    __path__ = []
    __version__ = "99.0"
    def __getattr__(self, name):
        if name.startswith("__"): raise AttributeError(name)
        return Stub

class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, full, path, target=None):
        top = full.partition(".")[0]
        if top in tops or top in sys.stdlib_module_names: return None
        return importlib.machinery.ModuleSpec(full, self, is_package=True)
    def create_module(self, spec): return StubModule(spec.name)
    def exec_module(self, module): pass

sys.meta_path.append(Finder())
real = importlib.metadata.version
def version(name):
    try: return real(name)
    except importlib.metadata.PackageNotFoundError: return "99.0"
importlib.metadata.version = version
try:
    found = importlib.import_module(module)
except ModuleNotFoundError as error:
    print("absent" if error.name and (module + ".").startswith(error.name + ".") else "open")
    sys.exit()
except BaseException as error:
    print("open", type(error).__name__, error)
    sys.exit()
for part in filter(None, name.split(".")):
    if hasattr(found, part):
        found = getattr(found, part)
        continue
    try:
        found = importlib.import_module(found.__name__ + "." + part)
    except ModuleNotFoundError:
        print("absent"); sys.exit()
    except BaseException as error:
        print("open", type(error).__name__, error); sys.exit()
print("present")
"""


def edges(companions: Companions) -> list[tuple[str, str, int, str]]:
    """Return distribution, location, release index and state of every release beside a change of state."""
    found = []
    for name in sorted(companions.read):
        for target in sorted(set(companions.states_of(name, len(companions.versions(name)) - 1))):
            ranges = companions.ranges(name, target)
            for (_, last, before), (first, _, after) in itertools.pairwise(ranges):
                if before != after and "uncertain" not in (before, after):
                    found += [(name, target, last, before), (name, target, first, after)]
    return found


def by_text(folder: Path, module: str, name: str) -> str:
    """Return the state of a name by the text of its module: a rough but independent reading."""
    path = folder.joinpath(*module.split("."))
    files = [path / "__init__.py", path.with_suffix(".py")]
    source = next((each for each in files if each.is_file()), None)
    if source is None:
        return "present" if not name and path.is_dir() else "absent"
    if not name or (path / name).is_dir() or (path / f"{name}.py").is_file():
        return "present"
    return "present" if re.search(rf"\b{re.escape(name)}\b", source.read_text(errors="replace")) else "absent"


def truth(name: str, version: str, target: str, folder: Path) -> tuple[str, str]:
    """Install a release into `folder`, and return the state of a location and how it was found."""
    command = [
        str(find_uv()),
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(folder),
        f"{name}=={version}",
    ]
    command += ["--python-version", "3.11", "--python-platform", "x86_64-unknown-linux-gnu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return "open", " ".join(done.stderr.split())[:100]
    module, attribute = split_location(target)
    child = [sys.executable, "-I", "-c", CHILD, str(folder), module, attribute]
    try:
        said = subprocess.run(child, capture_output=True, text=True, check=False, timeout=120).stdout.split()
    except subprocess.TimeoutExpired:
        said = []
    if said and said[-1] in ("present", "absent"):
        return said[-1], "import"
    return by_text(folder, module, attribute), "text"


def main() -> int:
    """Draw edges, install them, and print what is right and what is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draw", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", type=Path, default=Path(SHIPPED))
    parser.add_argument("--without", action="append", default=[], help="a distribution that is too large")
    options = parser.parse_args()
    companions = Companions(options.file)
    every = edges(companions)
    names = sorted({each[0] for each in every} - set(options.without))
    print(f"{len(every)} edges of {len(names)} distributions, seed {options.seed}")
    chance = random.Random(options.seed)  # noqa: S311
    counts: Counter[tuple[str, str]] = Counter()
    for _ in range(options.draw):
        chosen = chance.choice(names)  # each distribution has the same chance, whatever its number of edges
        name, target, at, state = chance.choice([each for each in every if each[0] == chosen])
        version = companions.versions(name)[at]
        with tempfile.TemporaryDirectory() as folder:
            found, how = truth(name, version, target, Path(folder))
        verdict = "open" if found == "open" else "right" if found == state else "WRONG"
        counts[verdict, how if verdict != "open" else ""] += 1
        print(f"{verdict:5}  {name} {version}: {target} is {state}; {how}: {found}", flush=True)
    print(dict(counts))
    return 1 if any(verdict == "WRONG" for verdict, _ in counts) else 0


if __name__ == "__main__":
    sys.exit(main())
