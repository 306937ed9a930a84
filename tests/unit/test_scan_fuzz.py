"""Random guards, classes and imports: a scan terminates, with the same result every time."""

import json
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from compat.scan.cli import main

SIMPLE = st.sampled_from(
    [
        "import vllm",
        "import vllm.worker.worker",
        "from vllm.worker.worker import Worker",
        "from vllm.worker.worker import Worker as a, nothing as b",
        "from a import *",
        "from b import Worker",
        "from . import a",
        "from .b import Worker as a",
        "import a, b as c",
        "import flash_attn",
        "from packaging.version import Version",
        "a = Version(vllm.__version__) < Version('0.11')",
        "self.a = vllm.__version__ == '0.10.2'",
        "self.a, b = b, self.a",
        "a = self.a",
        "a.b = {x: x for x in ('1', '2')}",
        "a = None",
        "Worker = A()",
        "Worker.apply(a)",
        "print(a.Worker, b.c.d)",
        "return a",
        "raise ImportError",
        "assert a",
        "continue",
        "del a",
        "global a",
        "load('a.Worker')",
        "a()",
        "pass",
    ]
)
HEADS = st.sampled_from(
    [
        ("if a:", "else:"),
        ("if self.a:", "elif not b:"),
        ("if vllm.__version__ == '0.10.2':", "else:"),
        ("try:", "except ImportError:"),
        ("try:", "except (ValueError, ModuleNotFoundError):"),
        ("try:", "finally:"),
        ("with suppress(ImportError):", ""),
        ("def a(self):", ""),
        ("def f(a=b):", ""),
        ("class A:", ""),
        ("class Worker(A):", ""),
        ("for a in b:", "else:"),
        ("while a:", ""),
        ("@property\ndef a(self):", ""),
    ]
)


def _compound(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.one_of(SIMPLE.map(lambda text: [text]), st.builds(_block, HEADS, inner, inner))).map(
        lambda parts: [line for part in parts for line in part]
    )


def _block(head: tuple[str, str], body: list[str], other: list[str]) -> list[str]:
    lines = [*head[0].split("\n"), *_indented(body)]
    return [*lines, head[1], *_indented(other)] if head[1] else lines


def _indented(lines: list[str]) -> list[str]:
    return textwrap.indent("\n".join(lines or ["pass"]), "    ").split("\n")


FILES = st.recursive(st.lists(SIMPLE, max_size=4), _compound, max_leaves=6)


def scanned(folder: str, *options: str) -> dict[str, Any]:
    target = Path(folder) / "out.json"
    releases = ["--vllm", "0.10.2", "--vllm", "0.11.0", "--vllm", "0.23.0"]
    code = main([folder, *releases, "--format", "json", "--output", str(target), *options])
    assert code in (0, 1)
    document: dict[str, Any] = json.loads(target.read_text())
    target.unlink()
    return document


@settings(max_examples=60, deadline=None)
@given(FILES, FILES, FILES)
def test_whatever_modules_do_to_one_another_a_scan_ends(
    first: list[str], second: list[str], third: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, lines in (("a", first), ("b", second), ("use", third)):
            text = "\n".join(["import vllm", *lines, ""])
            (Path(folder) / f"{name}.py").write_text(text)
        found = scanned(folder)["findings"]
        places = [
            (each["path"], each["line"], each["column"], each["rule"], each["import"]) for each in found
        ]
        assert len(set(places)) == len(places)
        for each in found:
            line = (Path(each["path"])).read_text().split("\n")[each["line"] - 1]
            assert line[each["column"] - 1 : each["end_column"] - 1].strip()
        assert scanned(folder)["findings"] == found
