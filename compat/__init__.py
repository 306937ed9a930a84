"""Find the symbols of sglang and vllm in each release, and check whether a pair of releases works.

The public API is `load`, `require` and `SymbolUnavailable`. Each is imported on first use; `__init__.pyi`
declares the types.
"""

__all__ = ["SymbolUnavailable", "__version__", "load", "require"]

__version__ = "0.1.0"

_HOMES = {
    "SymbolUnavailable": "compat.errors",
    "load": "compat.runtime.load",
    "require": "compat.runtime.load",
}

_watching = []


def _drop_unfinished_imports():  # noqa: ANN202
    """Forget the modules that other threads had begun to import, in a child of `os.fork`.

    Those threads do not exist there, but Python keeps the lock of each module: an import would wait forever.
    """
    import _frozen_importlib as importlib  # loaded in every process
    import _thread
    import sys

    locks = getattr(importlib, "_module_locks", {})
    for name, reference in list(locks.items()):
        owner = getattr(reference(), "owner", None)
        if owner not in {None, _thread.get_ident()}:
            locks.pop(name, None)
            sys.modules.pop(name, None)


def __getattr__(name):  # noqa: ANN001, ANN202 -- type checkers read `__init__.pyi`
    if name not in _HOMES:
        raise AttributeError(f"module 'compat' has no attribute {name!r}", name=name)
    if not _watching:  # before the first import that can be interrupted by a fork
        import os

        _watching.append(name)
        if hasattr(os, "register_at_fork"):  # Windows does not fork
            os.register_at_fork(after_in_child=_drop_unfinished_imports)
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value  # Python calls this function only for names that the module does not have
    return value


def __dir__():  # noqa: ANN202
    return sorted({*globals(), *__all__})
