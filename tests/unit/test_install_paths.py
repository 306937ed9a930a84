"""Where the files of a wheel are installed, and which modules they provide."""

import pytest

from compat.requirements.install_paths import added_roots, extension_module, importable, installed_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("vllm/config.py", "vllm/config.py"),
        ("vllm-1.0.data/purelib/vllm/config.py", "vllm/config.py"),
        ("vllm-1.0.data/platlib/vllm/_C.so", "vllm/_C.so"),
        ("vllm-1.0.data/scripts/vllm.py", None),
        ("vllm-1.0.data/headers/purelib/x.py", None),
        ("vllm-1.0.dist-info/METADATA", None),
        ("vllm-1.0.data/platlib/vllm-1.0.dist-info/METADATA", None),
        ("vllm/a.data/purelib/x.py", "vllm/a.data/purelib/x.py"),
        (
            "setuptools/_vendor/wheel-1.0.dist-info/METADATA",
            "setuptools/_vendor/wheel-1.0.dist-info/METADATA",
        ),
    ],
)
def test_where_a_path_is_installed(path: str, expected: str | None) -> None:
    assert installed_path(path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("vllm/_C.abi3.so", "_C"),
        ("_yaml.cpython-311-x86_64-linux-gnu.so", "_yaml"),
        ("sgl_kernel/common_ops.so", "common_ops"),
        ("torch/lib/libtorch.so.2", None),
        ("numpy.libs/libgfortran-040039e1.so", None),
        ("vllm/config.py", None),
    ],
)
def test_which_files_are_extension_modules(path: str, expected: str | None) -> None:
    assert extension_module(path) == expected


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["vllm/__init__.py", "vllm/_C.abi3.so", "vllm-1.0.dist-info/RECORD"], ("vllm",)),
        (["six.py", "_cffi_backend.cpython-311-x86_64-linux-gnu.so"], ("_cffi_backend", "six")),
        (["nvidia/cublas/lib/libcublas.so.12"], ("nvidia",)),
        (["numpy/__init__.py", "numpy.libs/libopenblas.so.0"], ("numpy",)),
        (["thing-1.0.data/purelib/thing/deep/x.py"], ("thing",)),
        (["thing-1.0.data/scripts/run.py", "thing-1.0.data/data/share/x.py"], ()),
        (["share/doc/conf.py", "bin/tool.py", "lib/libx.so", "__pycache__/six.py"], ()),
        (["docs/__init__.py", "docs/a.py"], ("docs",)),
        (["thing/data.json", "thing.pth", "README.md"], ()),
        (["7zip/x.py", "a-b/x.py"], ()),
    ],
)
def test_what_a_wheel_lets_a_program_import(paths: list[str], expected: tuple[str, ...]) -> None:
    assert importable(paths) == expected


def test_folders_that_a_pth_file_adds_count_too() -> None:
    roots = added_roots("# comment\nimport os; os.x\nvendor/python_packages/\n/absolute\n\n")
    assert roots == ("vendor/python_packages",)
    paths = ["vendor/python_packages/cutlass/__init__.py", "vendor/__init__.py", "vendor.pth"]
    assert importable(paths, roots) == ("cutlass", "vendor")


@pytest.mark.parametrize(
    ("line", "roots"),
    [
        ("import os, sys, a; sys.path.insert(0, os.path.join(a.__path__[0], 'x', 'y'))", ("a/x/y",)),
        (
            "import os, sys, a.b; sys.path.append(os.path.join(os.path.dirname(a.b.__file__), 'x'))",
            ("a/b/x",),
        ),
        ("import os, sys, a; sys.path.insert(0, os.path.join(a.__path__[0], a.folder))", ()),
        ("import os, a; print(os.path.join(a.__path__[0], 'x'))", ()),
        ("import a; sys.path.insert(", ()),
    ],
)
def test_folders_that_code_in_a_pth_file_adds_are_read(line: str, roots: tuple[str, ...]) -> None:
    assert added_roots(line) == roots
