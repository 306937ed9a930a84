"""Forms of version tests: an import for old releases is guarded, and one for new releases is reported."""

import textwrap
from pathlib import Path

import pytest

from scan_guard_cases import BROKEN, broken

TESTS = {
    "join of a generator": "'.'.join(str(e) for e in vllm.__version_tuple__[:2]) == '0.10'",
    "join of a list": "'.'.join([str(e) for e in vllm.__version_tuple__[:2]]) == '0.10'",
    "join of map": "'.'.join(map(str, vllm.__version_tuple__[:2])) == '0.10'",
    "join of parts": "'.'.join(vllm.__version__.split('.')[:2]) == '0.10'",
    "join of a filtered generator": "'.'.join(p for p in parts[:2] if p.isdigit()) == '0.10'",
    "map of a lambda": "tuple(map(lambda part: int(part), vllm.__version__.split('.'))) < (0, 11)",
    "map of a function": "list(map(number, vllm.__version__.split('.'))) < [0, 11]",
    "float of two parts": "float('.'.join(vllm.__version__.split('.')[:2])) == 0.10",
    "float of one part": "float(vllm.__version__.split('.')[1]) < 11",
    "an f-string": "f'v{vllm.__version__}' == 'v0.10.2'",
    "an f-string of parts": "f'{parts[0]}.{parts[1]}' == '0.10'",
    "concatenation": "parts[0] + '.' + parts[1] == '0.10'",
    "a number made of parts": "int(parts[0]) * 1000 + int(parts[1]) < 11",
    "format": "'{}.{}'.format(parts[0], parts[1]) == '0.10'",
    "format of parts": "'{}.{}'.format(*vllm.__version_tuple__[:2]) == '0.10'",
    "a template": "'%d.%s' % vllm.__version_tuple__[:2] == '0.10'",
    "one of some members": "vllm.__version__ in (Release.OLD, '0.10.1')",
    "a set": "vllm.__version__ in {'0.10.1', '0.10.2'}",
    "a member of a str Enum": "vllm.__version__ == Release.OLD",
    "the value of a member": "Plain.OLD.value == vllm.__version__",
    "a version of a member": "Version(vllm.__version__) <= Version(Release.OLD)",
    "a member in a tuple": "vllm.__version__.startswith(Release.OLD)",
    "re.match": "int(re.match(r'(\\d+)\\.(\\d+)', vllm.__version__).group(2)) < 11",
    "re.match with names": "re.match(r'0\\.(?P<minor>\\d+)', vllm.__version__)['minor'] == '10'",
    "re.search": "re.search(r'^0\\.10\\.', vllm.__version__)",
    "re.fullmatch": "re.fullmatch('0.10.2', vllm.__version__) is not None",
    "re.compile and match": "re.compile(r'0\\.10\\.').match(vllm.__version__)",
    "re.compile and search": "re.compile('^0[.](9|10)[.]').search(vllm.__version__) is not None",
    "a compiled pattern": "int(PATTERN.fullmatch(vllm.__version__).group(2)) < 11",
    "an f-string of a representation": "f'{vllm.__version__!r}' == \"'0.10.2'\"",
    "all of a list": "all([vllm.LLM, vllm.__version__ == '0.10.2'])",
    "any of a tuple": "any((False, vllm.__version__ == '0.10.2'))",
    "sorted": "sorted([parts[1], '0'])[1] == '10'",
}
HEAD = """
import re, sys
from enum import Enum
import vllm
from packaging.version import Version
class Release(str, Enum):
    OLD = '0.10.2'
    NEW = '0.11.0'
class Plain(Enum):
    OLD = '0.10.2'
def number(text):
    return int(text)
parts = vllm.__version__.split('.')
PATTERN = re.compile(r'(\\d+)\\.(\\d+)\\.(\\d+)')
"""
MATCHES = {
    "a literal": ("vllm.__version__", "'0.10.2'", "_"),
    "alternatives": ("vllm.__version__", "'0.10.1' | '0.10.2'", "_"),
    "a sequence": ("vllm.__version__.split('.')", "['0', '10', *_]", "[*_]"),
    "a tuple": ("vllm.__version_tuple__[:2]", "(0, 10)", "(0, _)"),
    "a guard": ("Version(vllm.__version__)", "v if v < Version('0.11')", "v"),
    "a guard of a captured part": ("vllm.__version__.split('.')", "[_, minor, *_] if int(minor) < 11", "_"),
    "a class": ("vllm.__version__", "str('0.10.2')", "str()"),
    "a member": ("vllm.__version__", "Release.OLD", "other"),
    "a truth": ("vllm.__version__ == '0.10.2'", "True", "False"),
}


@pytest.mark.parametrize("name", TESTS)
def test_both_branches_of_a_version_test_are_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    first, second = "vllm.worker.worker", "vllm.worker.model_runner"
    source = f"{HEAD}if {TESTS[name]}:\n    import {first}\nelse:\n    import {second}\n"
    assert broken(tmp_path, capsys, source) == {source.count("\n"): BROKEN}


@pytest.mark.parametrize("name", MATCHES)
def test_both_cases_of_a_match_are_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    subject, old, new = MATCHES[name]
    source = (
        f"{HEAD}match {subject}:\n    case {old}:\n        import vllm.worker.worker\n"
        f"    case {new}:\n        import vllm.worker.model_runner\n"
    )
    assert broken(tmp_path, capsys, source) == {source.count("\n"): BROKEN}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        (  # the subject is unknown
            """
            import settings, vllm
            match settings.mode:
                case 'old':
                    import vllm.worker.worker
                case _:
                    import vllm.worker.worker
            """,
            [5, 7],
        ),
        (  # a guard that is unknown decides nothing
            """
            import settings, vllm
            match vllm.__version__:
                case '0.10.2' if settings.mode:
                    pass
                case _ if settings.mode:
                    import vllm.worker.worker
                case _:
                    import vllm.worker.worker
            """,
            [7, 9],
        ),
        (  # the function returns in old releases only, and in the others
            """
            import vllm
            def load():
                match vllm.__version__:
                    case '0.10.2':
                        from vllm.worker.worker import Worker
                    case _:
                        return None
                from vllm.worker.worker import Worker
            def again():
                match vllm.__version__:
                    case '0.10.2':
                        return None
                from vllm.worker.worker import Worker
            """,
            [14],
        ),
        (  # the cases bind a name and return from a function
            """
            import vllm
            match vllm.__version__:
                case '0.10.2':
                    OLD = True
                case _:
                    OLD = False
            def old():
                match vllm.__version__.split('.'):
                    case ['0', '10', *_]:
                        return True
                return False
            if OLD and old():
                import vllm.worker.worker
            if not OLD or not old():
                import vllm.worker.worker
            """,
            [16],
        ),
    ],
)
def test_a_match_is_followed_like_an_if(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, lines: list[int]
) -> None:
    assert broken(tmp_path, capsys, textwrap.dedent(source)) == dict.fromkeys(lines, BROKEN)
