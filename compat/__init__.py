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


def __getattr__(name):  # noqa: ANN001, ANN202 -- type checkers read `__init__.pyi`
    if name not in _HOMES:
        raise AttributeError(f"module 'compat' has no attribute {name!r}", name=name)
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value  # Python calls this function only for names that the module does not have
    return value


def __dir__():  # noqa: ANN202
    return sorted({*globals(), *__all__})
