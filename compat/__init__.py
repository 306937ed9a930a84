"""Where each symbol of sglang and vllm lives, release by release, and whether a pair really works.

`load` and `require` are for programs. They are imported when first used; `__init__.pyi` has their types.
"""

__all__ = ["SymbolUnavailable", "__version__", "load", "require"]

__version__ = "0.1.0"

_HOMES = {
    "SymbolUnavailable": "compat.errors",
    "load": "compat.runtime.load",
    "require": "compat.runtime.load",
}


def __getattr__(name):  # noqa: ANN001, ANN202 -- `__init__.pyi` is what type checkers read
    if name not in _HOMES:
        raise AttributeError(f"module 'compat' has no attribute {name!r}", name=name)
    import importlib

    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found  # next time it is found without this function
    return found


def __dir__():  # noqa: ANN202
    return sorted({*globals(), *__all__})
