"""Code with and without guards for the tests of the scan, with the expected findings."""

import json
import textwrap
from pathlib import Path

import pytest

from compat.scan.cli import main

OLD = "vllm.worker.worker"
"""A module that exists up to 0.10.2."""
NEW = "vllm.v1.worker.gpu_worker"
"""A module that exists from 0.6.4."""
RELEASES = ("0.10.2", "0.11.0", "0.23.0")


BROKEN = list(RELEASES[1:])


def broken(folder: Path, capsys: pytest.CaptureFixture[str], source: str) -> dict[int, list[str]]:
    """Return the releases in which something breaks, by line number."""
    (folder / "code.py").write_text(textwrap.dedent(source))
    arguments = [argument for release in RELEASES for argument in ("--vllm", release)]
    main([str(folder), "--format", "json", "--select", "CPT001", *arguments])
    document = json.loads(capsys.readouterr().out)
    known = next(each["versions"] for each in document["releases"] if each["package"] == "vllm")
    found: dict[int, list[str]] = {}
    for finding in document["findings"]:
        for row in finding["broken_in"]:
            first, last = known.index(row["first"]), known.index(row["last"])
            found.setdefault(finding["line"], []).extend(known[first : last + 1])
    return found


GUARDED = {
    "an alternative": """
        try:
            from vllm.worker.worker import Worker
        except ImportError:
            from vllm.v1.worker.gpu_worker import Worker
        """,
    "the other way round": """
        try:
            from vllm.v1.worker.gpu_worker import Worker
        except (ImportError, AttributeError):
            from vllm.worker.worker import Worker
        """,
    "an attempt that returns": """
        def worker():
            try:
                from vllm.v1.worker.gpu_worker import Worker
                print("new")
                return Worker
            except ImportError:
                pass
            try:
                from vllm.worker.worker import Worker
                return Worker
            except ImportError as error:
                raise RuntimeError("neither") from error
        """,
    "behind what fails in an attempt": """
        try:
            import vllm.worker.worker
            vllm.worker.worker.Worker = 1
            print(vllm.worker.worker.Worker)
            from vllm.worker.model_runner import ModelRunner
        except ImportError:
            pass
        """,
    "a local that an attempt sets": """
        import vllm
        from packaging import version
        def patch():
            try:
                have = version.parse(vllm.__version__)
                old = have == version.parse("0.10.2")
            except version.InvalidVersion:
                old = False
            if not old:
                return
            def inner():
                import vllm.worker.worker
            inner()
        """,
    "a local that a test sets": """
        import vllm
        def patch():
            if vllm.__version__ == "0.10.2":
                old = True
            else:
                old = False
            if old:
                import vllm.worker.worker as w
        """,
    "a table of versions": """
        import importlib.metadata
        def load():
            have = importlib.metadata.version("vllm")
            ones = ("0.10.", "0.9.")
            old = {one: have.startswith(one) for one in ones}
            if any(old[one] for one in ("0.10.", "0.9.")):
                import vllm.worker.worker
        """,
    "an alternative to a module": """
        try:
            from vllm.v1.worker.gpu_worker import Worker
        except ModuleNotFoundError:
            from vllm.worker.worker import Worker
        """,
    "nothing": """
        try:
            import vllm.worker.worker
        except ModuleNotFoundError:
            pass
        """,
    "suppressed": """
        import contextlib
        with contextlib.suppress(ImportError):
            import vllm.worker.worker
        """,
    "else": """
        try:
            import vllm.worker.worker as w
        except Exception:
            w = None
        else:
            import vllm.worker.model_runner
        """,
    "a flag": """
        try:
            import vllm.worker.worker
            OLD = True
        except ImportError:
            OLD = False
        def f():
            if OLD:
                from vllm.worker.worker import Worker
        """,
    "None": """
        try:
            from vllm.worker.worker import Worker
        except ImportError:
            Worker = None
        if Worker is not None:
            import vllm.worker.model_runner
        """,
    "type checking": """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import vllm.worker.worker
        """,
    "a version": """
        import vllm
        from packaging import version
        if version.parse(vllm.__version__) < version.parse("0.11"):
            import vllm.worker.worker
        """,
    "a version in a variable": """
        from importlib.metadata import version as get_version
        from packaging.version import Version
        _V = Version(get_version("vllm"))
        _OLD = _V < Version("0.11.0")
        def f():
            if not _OLD:
                return
            import vllm.worker.worker
        """,
    "a version in a tuple": """
        import vllm
        V = tuple(int(part) for part in vllm.__version__.split(".")[:2])
        if V < (0, 11):
            import vllm.worker.worker
        """,
    "the release of a version": """
        from vllm import __version__
        from packaging.version import parse
        if parse(__version__).release >= (0, 11):
            pass
        else:
            import vllm.worker.worker
        """,
    "a helper": """
        import vllm
        from packaging.version import Version
        def vllm_version_is(*wanted):
            return False
        def older(than: str, package: str = "vllm") -> bool:
            have = vllm.__version__
            return Version(have) < Version(than)
        if older("0.11.0"):
            import vllm.worker.worker
        """,
    "an early return": """
        import vllm
        from packaging.version import Version
        def f():
            if Version(vllm.__version__) >= Version("0.11"):
                return None
            import vllm.worker.worker
        """,
    "a refusal": """
        import vllm
        from packaging.version import Version
        if Version(vllm.__version__) >= Version("0.11"):
            raise RuntimeError("too new")
        import vllm.worker.worker
        """,
    "an assertion": """
        import vllm
        from packaging.version import Version
        assert Version(vllm.__version__) < Version("0.11")
        import vllm.worker.worker
        """,
    "a spec": """
        import importlib.util
        if importlib.util.find_spec("vllm.worker.worker") is not None:
            import vllm.worker.worker
        """,
    "hasattr": """
        import vllm.envs
        if hasattr(vllm.envs, "VLLM_USE_V1"):
            print(vllm.envs.VLLM_USE_V1)
        """,
    "hasattr in an expression": """
        import vllm.envs as envs
        x = envs.VLLM_USE_V1 if hasattr(envs, "VLLM_USE_V1") else None
        y = hasattr(envs, "VLLM_USE_V1") and envs.VLLM_USE_V1
        """,
    "importorskip": """
        import pytest
        pytest.importorskip("vllm.worker.worker")
        from vllm.worker.worker import Worker
        """,
    "skipif": """
        import pytest, vllm
        from packaging.version import Version
        @pytest.mark.skipif(Version(vllm.__version__) >= Version("0.11"), reason="")
        def test_it():
            import vllm.worker.worker
        """,
    "a skip": """
        import pytest
        try:
            import vllm.worker.worker
        except ImportError:
            pytest.skip("too new", allow_module_level=True)
        import vllm.worker.model_runner
        """,
    "only called for an older release": """
        import vllm
        from packaging.version import Version
        def old_way():
            import vllm.worker.worker
        def run():
            if Version(vllm.__version__) < Version("0.11"):
                old_way()
        """,
    "only called where it is caught": """
        def old_way():
            import vllm.worker.worker
        try:
            old_way()
        except ImportError:
            pass
        """,
    "chosen by an expression": """
        import vllm
        from packaging.version import Version
        def old_way():
            import vllm.worker.worker
        way = old_way if Version(vllm.__version__) < Version("0.11") else print
        """,
    "a specifier": """
        from packaging.specifiers import SpecifierSet
        import vllm
        if vllm.__version__ in SpecifierSet("<0.11"):
            import vllm.worker.worker
        """,
    "a table of operators": """
        import operator, importlib.metadata
        from packaging import version
        OPS = {">=": operator.ge, "<": operator.lt}
        def compare(name, op, wanted):
            return OPS[op](version.parse(importlib.metadata.version(name)), version.parse(wanted))
        if compare("vllm", "<", "0.11"):
            import vllm.worker.worker
        """,
    "an attribute of an object": """
        import vllm
        from packaging import version
        class Engine:
            def __init__(self, model):
                self.model = model
                self.new_vllm = version.parse(vllm.__version__) >= version.parse("0.11")
            def load(self):
                if not self.new_vllm:
                    import vllm.worker.worker
            def also(self):
                return self.load() if self.new_vllm else __import__("vllm.worker.worker")
        """,
    "an attribute from a local variable": """
        class Engine:
            def __init__(this):
                import vllm
                version = tuple(map(int, vllm.__version__.split(".")[:2]))
                this.old, this.version = version < (0, 11), version
            def load(self):
                if self.old:
                    import vllm.worker.worker
                if self.version < (0, 11):
                    import vllm.worker.worker
        """,
    "an attribute that an attempt sets": """
        class Engine:
            def __init__(self):
                try:
                    import vllm.worker.worker
                    self.old = True
                except ImportError:
                    self.old = False
            def load(self):
                if self.old:
                    import vllm.worker.worker
        """,
    "an attribute of a class": """
        import vllm
        class Engine:
            _V = vllm.__version__
            OLD = _V == "0.10.2"
            def load(self):
                if self.OLD:
                    import vllm.worker.worker
            @classmethod
            def make(cls):
                if cls.OLD:
                    import vllm.worker.worker
        def load():
            if Engine.OLD:
                import vllm.worker.worker
        """,
    "an attribute of a base": """
        import vllm
        class Base:
            def __init__(self):
                self.old = vllm.__version__ == "0.10.2"
        class Engine(Base):
            def load(self):
                if self.old:
                    import vllm.worker.worker
        """,
    "a property": """
        import vllm
        class Engine:
            @property
            def old(self):
                return vllm.__version__ == "0.10.2"
            def is_old(self, really=True):
                return really and self.old
            def load(self):
                if self.old:
                    import vllm.worker.worker
                if self.is_old():
                    import vllm.worker.worker
        """,
    "a configuration": """
        import vllm
        from dataclasses import dataclass
        @dataclass
        class Config:
            old: bool = vllm.__version__ == "0.10.2"
        config = Config()
        if config.old:
            import vllm.worker.worker
        """,
    "a namespace": """
        import vllm, types
        flags = types.SimpleNamespace()
        flags.old = vllm.__version__ == "0.10.2"
        def load():
            if flags.old:
                import vllm.worker.worker
        """,
    "a version that may be overridden": """
        import os
        from packaging.version import Version
        def is_old():
            if os.environ.get("VERSION") is not None:
                have = os.environ["VERSION"]
            else:
                import vllm
                have = vllm.__version__
            try:
                return Version(have) < Version("0.11")
            except ValueError:
                raise RuntimeError("no version")
        if is_old():
            import vllm.worker.worker
        """,
    "what a try leaves behind whose handler returns": """
        import logging
        def use_v1():
            try:
                import vllm.envs as envs
            except ImportError:
                if logging.root.level:
                    logging.info("no vllm")
                return None
            if hasattr(envs, "VLLM_USE_V1"):
                return envs.VLLM_USE_V1
            return None
        """,
    "a local of a try whose handler raises": """
        from importlib.metadata import version
        from packaging.version import parse
        def patch():
            try:
                have = parse(version("vllm"))
            except Exception as error:
                raise ValueError("no vllm") from error
            if have < parse("0.11"):
                import vllm.worker.worker as w
        """,
    "an attribute from a local of a try whose handler raises": """
        from importlib.metadata import version
        from packaging.version import parse
        class Engine:
            def __init__(self):
                try:
                    have = parse(version("vllm"))
                except Exception as error:
                    raise ValueError("no vllm") from error
                self.old = have < parse("0.11")
            def load(self):
                if not self.old:
                    return
                import vllm.worker.worker
        """,
    "a local that is otherwise only set where the function ends": """
        import os, vllm
        def patch():
            old = vllm.__version__ == "0.10.2"
            if os.environ.get("OLD"):
                old = True
                return
            if old:
                import vllm.worker.worker as w
        """,
    "a version as an imported tuple": """
        from vllm import __version_tuple__ as have
        if have < (0, 11):
            import vllm.worker.worker
        """,
    "skipif with an imported tuple": """
        import pytest
        from vllm.version import __version_tuple__
        @pytest.mark.skipif(__version_tuple__ >= (0, 11, 0), reason="gone")
        def test_it():
            import vllm.worker.worker
        """,
    "a global version in an inner function": """
        try:
            import vllm
            VERSION = vllm.__version__
        except ImportError:
            VERSION = None
        def load(again):
            global VERSION
            if again:
                VERSION = vllm.__version__
            def inner():
                if VERSION == "0.10.2":
                    import vllm.worker.worker
            inner()
        """,
    "a decorator with the releases": """
        from mine import for_versions
        OLD = ">=0.9,<0.11"
        class Patch:
            @for_versions(OLD)
            def patch(self, runner):
                def patched():
                    import vllm.worker.worker
                runner.load = patched
        """,
    "a handler that leaves either way": """
        import os
        def worker():
            try:
                import vllm.worker.worker
            except ImportError:
                if os.environ.get("QUIET"):
                    return None
                else:
                    return 1
            from vllm.worker.worker import Worker
        """,
}

GUARDED |= {
    "a switch of the package that chooses between two imports": """
        from vllm import envs
        def worker():
            if not hasattr(envs, "VLLM_USE_V1") or envs.VLLM_USE_V1:
                from vllm.v1.worker.gpu_worker import Worker
            else:
                from vllm.worker.worker import Worker
            return Worker
        """,
    "behind a raise": """
        def worker():
            raise NotImplementedError
            import vllm.worker.worker
        worker()
        """,
    "a test that is always skipped": """
        import pytest, unittest
        @pytest.mark.skip
        def test_one():
            import vllm.worker.worker
        @pytest.mark.skip(reason="later")
        class TestAll:
            def test_two(self):
                import vllm.worker.worker
        @unittest.skip("later")
        def test_three():
            import vllm.worker.worker
        """,
    "a mark for all tests": """
        import pytest, vllm
        pytestmark = [pytest.mark.slow, pytest.mark.skipif(vllm.__version__ >= "0.11", reason="")]
        def test_one():
            import vllm.worker.worker
        """,
    "a name that a test binds": """
        import vllm
        if (old := vllm.__version__ < "0.11"):
            pass
        if old:
            import vllm.worker.worker
        """,
    "a loop that imports": """
        import vllm
        while vllm.__version__.startswith("0.10"):
            import vllm.worker.worker
            break
        """,
    "the condition of a comprehension": """
        import importlib, vllm
        names = [importlib.import_module("vllm.worker.worker") for _ in "a" if vllm.__version__ < "0.11"]
        """,
}

UNGUARDED = {
    "a switch of the package without another import of the name": """
        from vllm import envs
        if not envs.VLLM_USE_MODELSCOPE:
            from vllm.worker.worker import Worker
        """,
    "a switch of the code that chooses between two imports": """
        import os
        if os.environ.get("VLLM_USE_V1"):
            from vllm.v1.worker.gpu_worker import Worker
        else:
            from vllm.worker.worker import Worker
        """,
    "what no branch of a switch has": """
        from vllm import envs
        if envs.VLLM_USE_MODELSCOPE:
            from vllm.no_such_module import Worker  # compat: ignore
        else:
            from vllm.worker.worker import Worker
        """,
    "the condition of a comprehension on its variable": """
        import importlib, vllm
        name = vllm.__version__
        names = [importlib.import_module("vllm.worker.worker") for name in [1] if name == "0.10.2"]
        """,
    "a mark for other functions": """
        import pytest
        pytestmark = pytest.mark.skip(reason="later")
        def helper():
            import vllm.worker.worker
        """,
    "a mark is no skip": """
        import pytest
        pytestmark = pytest.mark.skip(reason="later")
        import vllm.worker.worker
        """,
    "the method of another object is no exit": """
        from mine import window
        window.quit()
        import vllm.worker.worker
        """,
    "a raise in a try": """
        try:
            raise ValueError
        except ValueError:
            pass
        import vllm.worker.worker
        """,
    "a loop that binds the version": """
        import vllm
        for vllm in range(3):
            import vllm.worker.worker
        """,
    "a function in a handler returns": """
        try:
            from vllm.worker.worker import Worker
        except ImportError:
            def Worker():
                return None
        import vllm.worker.worker
        """,
    "a handler that may return": """
        import os
        def worker():
            try:
                import vllm.worker.worker
            except ImportError:
                if os.environ.get("QUIET"):
                    return None
            from vllm.worker.worker import Worker
        """,
    "a loop that ends in a handler": """
        def worker(names):
            try:
                import vllm.worker.worker
            except ImportError:
                for name in names:
                    if name:
                        break
            from vllm.worker.worker import Worker
        """,
    "a global that a function sets": """
        _worker = None
        def begin(worker):
            global _worker
            _worker = worker
        def use():
            if _worker is None:
                raise RuntimeError("not begun")
            import vllm.worker.worker
        """,
    "a decorator with releases of something else": """
        from mine import for_versions
        @for_versions(">=3.10,<3.13")
        def patch():
            import vllm.worker.worker
        patch()
        """,
    "a decorator with releases that are left out": """
        from mine import skip_versions
        @skip_versions(">=0.9,<0.11")
        def patch():
            import vllm.worker.worker
        patch()
        """,
    "a decorator with a text": """
        from mine import versioned
        @versioned("0.9")
        def patch():
            import vllm.worker.worker
        patch()
        """,
    "an attribute that is only cleared": """
        from other import Runner
        class Patched(Runner):
            def run(self):
                if self.state is None:
                    return None
                self.state = None
                import vllm.worker.worker
        """,
    "a local that a loop sets": """
        def worker(names):
            found = None
            for name in names:
                if name:
                    found = name
                    break
            if found is None:
                raise ValueError("none")
            import vllm.worker.worker
        """,
    "a local that a block sets which does more": """
        def worker(config):
            found = None
            if config:
                found = config.worker
                with config:
                    found.check()
            if found is not None:
                import vllm.worker.worker
        """,
    "an attribute of what a loop sets": """
        class Engine:
            def __init__(self, names):
                found = False
                for name in names:
                    found = name
                self.found = found
            def load(self):
                if self.found:
                    import vllm.worker.worker
        """,
    "a handler that fails": """
        try:
            import vllm.worker.worker
        except ImportError as error:
            raise RuntimeError("install vllm") from error
        """,
    "a handler for something else": """
        try:
            import vllm.worker.worker
        except KeyError:
            pass
        """,
    "a handler that ends the process": """
        import sys
        try:
            import vllm.worker.worker
        except ImportError:
            sys.exit(1)
        """,
    "a test of something else": """
        import torch
        if torch.cuda.is_available():
            import vllm.worker.worker
        """,
    "a version the wrong way round": """
        import vllm
        from packaging.version import Version
        if Version(vllm.__version__) >= Version("0.11"):
            import vllm.worker.worker
        """,
    "availability": """
        from transformers.utils import is_vllm_available
        if is_vllm_available():
            import vllm.worker.worker
        """,
    "another package": """
        try:
            import flash_attn
            HAS_FLASH = True
        except ImportError:
            HAS_FLASH = False
        if not HAS_FLASH:
            import vllm.worker.worker
        """,
    "a function that others call": """
        def load():
            import vllm.worker.worker
        load()
        """,
    "a function in the try of another": """
        try:
            def load():
                import vllm.worker.worker
        except ImportError:
            pass
        """,
    "an attribute that is set twice": """
        import vllm
        class Engine:
            def __init__(self):
                self.old = vllm.__version__ == "0.10.2"
            def force(self):
                self.old = True
            def load(self):
                if self.old:
                    import vllm.worker.worker
        """,
    "an attribute that is set from outside": """
        import vllm
        class Engine:
            def __init__(self):
                self.old = vllm.__version__ == "0.10.2"
            def load(self):
                if self.old:
                    import vllm.worker.worker
        engine = Engine()
        engine.old = True
        """,
    "a field": """
        import vllm
        from dataclasses import dataclass
        @dataclass
        class Config:
            old: bool = vllm.__version__ == "0.10.2"
        config = Config(old=True)
        if config.old:
            import vllm.worker.worker
        """,
    "an attribute of another class": """
        import vllm
        class Engine:
            def __init__(self):
                self.old = vllm.__version__ == "0.10.2"
        class Other:
            def load(self):
                if self.old:
                    import vllm.worker.worker
        """,
    "an attribute that is set by itself": """
        class Engine:
            def __init__(self):
                self.old = not self.old
            def load(self):
                if self.old:
                    import vllm.worker.worker
        """,
    "a member": """
        import enum, vllm
        class Kind(enum.Enum):
            OLD = 0
        if Kind.OLD:
            import vllm.worker.worker
        """,
    "behind what fails and is not caught": """
        try:
            import vllm.no_such_module  # compat: ignore
            import vllm.worker.worker
        except KeyError:
            pass
        """,
    "an attempt of another package that returns": """
        def worker():
            try:
                from vllm.v1.worker.gpu_worker import Worker
                import flash_attn
                return Worker
            except ImportError:
                pass
            from vllm.worker.worker import Worker
        """,
    "behind a test with an import in it": """
        import vllm
        def f():
            if vllm.__version__ == "0.10.2":
                from vllm.worker import worker
                return
            from vllm.worker.worker import Worker
        """,
    "behind what ends the process": """
        try:
            import vllm.no_such_module  # compat: ignore
            import vllm.worker.worker
        except ImportError:
            raise SystemExit(1)
        """,
    "a local that something else sets": """
        import os, vllm
        def patch():
            old = vllm.__version__ == "0.10.2"
            if os.environ.get("OLD"):
                old = True
            if old:
                import vllm.worker.worker as w
        """,
    "the last alternative": """
        try:
            import vllm.no_such_module
        except ImportError:
            import vllm.worker.worker
        """,
}
