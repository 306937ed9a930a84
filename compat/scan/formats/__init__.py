"""A report in the forms that people and programs read: each module has `render(report, options) -> str`."""
