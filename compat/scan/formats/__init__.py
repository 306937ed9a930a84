"""The output formats of a scan: each module has a function `render(report, options) -> str`."""
