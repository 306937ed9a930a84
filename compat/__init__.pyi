from compat.access.api import load as load
from compat.access.api import require as require
from compat.errors import SymbolUnavailable as SymbolUnavailable

__all__ = ["SymbolUnavailable", "__version__", "load", "require"]

__version__: str
