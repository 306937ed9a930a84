"""`python -m compat.export`."""

from compat._cli import console
from compat.export.cli import main

if __name__ == "__main__":
    raise SystemExit(console.run(main))
