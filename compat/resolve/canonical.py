"""Rank the modules that bind a name, to choose the canonical one."""


def closeness(module: str) -> int:
    """Return the rank of a module: 0 below `…layers.quantization`, 1 elsewhere below `…layers`, else 2."""
    inside = f"{module}."
    if inside.partition(".layers.quantization.")[2]:
        return 0
    return 1 if ".layers." in inside else 2


def nearness(module: str) -> tuple[int, int, int, str]:
    """Return the sort key of a module: by `closeness`, then by length of the path, then by name."""
    return closeness(module), module.count("."), len(module), module
