from compat.errors import SymbolUnavailable as SymbolUnavailable
from compat.runtime.load import load as load
from compat.runtime.load import require as require

__all__ = ["SymbolUnavailable", "__version__", "load", "require"]

__version__: str
