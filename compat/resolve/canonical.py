"""Which module is the canonical one when several bind a name."""


def closeness(module: str) -> int:
    """Return 0 for modules below `…layers.quantization`, 1 for it and the rest below `…layers`, else 2."""
    inside = f"{module}."
    if inside.partition(".layers.quantization.")[2]:
        return 0
    return 1 if ".layers." in inside else 2


def nearness(module: str) -> tuple[int, int, int, str]:
    """Return what modules are sorted by: the closest, then the shortest path, then by name."""
    return closeness(module), module.count("."), len(module), module
