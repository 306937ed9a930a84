"""Draw the pictures of docs/accuracy/quant.md from the measured results: `python bench/gpu_picture.py`.

They are SVG files that follow the light or dark theme of the reader and are narrow enough for a phone. No
library draws them, since files of matplotlib cannot follow a theme and are ten times as large.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from typing import Any

from gpu_table import EXACT, OTHERS, PACKAGES, RESULTS, ROWS, SHORT, SPEED, in_order, read
from packaging.version import Version

WIDTH = 440
"""The width of every picture in SVG units: that of a phone, so that the text keeps its size there."""
LABELS = 144
"""The part of the width for the names of the schemes."""
ROW = 22
LETTER = 7
"""The most width of a letter of a release's name."""

STYLE = """
svg { font: 12px system-ui, sans-serif; background: #fff; }
text { fill: #1f2328; } .dim { fill: #59636e; } .rule { stroke: #d1d9e0; } .title { font-weight: 600; }
.cell { stroke: #fff; } .none { fill: #f1f3f5; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; }
  text { fill: #e6edf3; } .dim { fill: #9198a1; } .rule { stroke: #3d444d; }
  .cell { stroke: #0d1117; } .none { fill: #1c2128; } .cell text { fill: #e6edf3; }
}
"""

HUES: Mapping[str, str] = {
    "fp8-tensor-dynamic": "#4f8ef7",
    "fp8-channel-dynamic": "#00a5a5",
    "fp8-block-dynamic": "#8a63d2",
    "gptq4-g128-sym": "#e8590c",
    "gptq8-g128-sym": "#d6336c",
    "awq4-g128": "#b08900",
    "block-int8": "#7a8794",
    "w8a8-int8": "#2f9e44",
}
"""The colour of each scheme in every panel, legible on a light and on a dark background."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The result of one scheme in one release."""

    text: str
    shade: float | None
    """From 0, for an error at the precision of the dtype, to 1, for one of 10 %; None if it did not run."""


def errors(dtype: str) -> str:
    """Return the picture of errors relative to float64 in one dtype: schemes by releases."""
    everything = [each for name in (EXACT, *OTHERS) for each in read(name)["records"]]
    records = [each for each in everything if each["test"].startswith("the_right_kernel")]
    here = [each for each in records if each["dtype"] == dtype]
    parts: list[str] = []
    y = 32.0
    for package in PACKAGES:
        own = [each for each in here if each["back_end"] == package]
        releases = sorted({each[package] for each in own}, key=Version)
        wide = (WIDTH - LABELS - 4) / len(releases)
        # Columns are too narrow for the names of releases, which are written upwards.
        y += LETTER * max(map(len, releases))
        parts.append(_text(8, y, package, "title"))
        for column, release in enumerate(releases):
            x = LABELS + wide * (column + 0.5) + 4
            parts.append(f'<g transform="rotate(-90 {x:.1f} {y:.1f})">{_text(x, y, release, "dim")}</g>')
        y += 8
        for scheme in in_order(own):
            parts.append(_text(8, y + 15, scheme))
            for column, release in enumerate(releases):
                cell = _cell([each for each in own if (each[package], each["scheme"]) == (release, scheme)])
                parts += _box(LABELS + wide * column, y, wide, cell)
            y += ROW
        y += 20
    title = f"Relative error against float64, {SHORT[dtype]}: lower is better"
    notes = [
        "The most exact way of each release; the largest error of M = 1 to 8192.",
        "no: the release refuses it.",
    ]
    parts += [_text(8, y - 2 + 16 * line, note, "dim") for line, note in enumerate(notes)]
    return _svg(y + 24, title, parts)


def _cell(records: Sequence[Mapping[str, Any]]) -> Cell:
    ran = [max(each["errors"].values()) for each in records if each["outcome"] == "passed"]
    if not ran:
        return Cell(text="no", shade=None)
    least = min(ran)
    return Cell(text=f"{least:.0e}".replace("e-0", "e-"), shade=min(1.0, max(0.0, (log10(least) + 4) / 3)))


def _box(x: float, y: float, wide: float, cell: Cell) -> Iterator[str]:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{ROW}"'
    if cell.shade is None:
        yield f'<rect class="cell none" {place}/>'
    else:
        yield f'<rect class="cell" {place} fill="#4f8ef7" fill-opacity="{0.08 + 0.6 * cell.shade:.2f}"/>'
    yield _text(x + wide / 2, y + 15, cell.text, "", "middle")


def speed() -> str:
    """Return the picture of device times by rows: a panel for each package, a line for each scheme."""
    parts: list[str] = []
    top = 42.0
    for package in PACKAGES:
        document = read(SPEED[package])
        parts += _panel(f"{package} {document['releases'][package]}", _ratios(document), top)
        top += 290
    title = "Device time on an H200 as a ratio to bf16: lower is better"
    return _svg(top, title, parts)


def _ratios(document: Mapping[str, Any]) -> dict[str, list[float]]:
    ran = [each for each in document["records"] if each["outcome"] == "ran" and each["scheme"] in HUES]
    return {
        scheme: [
            statistics.median(
                each["layer_device_us"] / each["bf16_device_us"]
                for each in ran
                if (each["scheme"], each["m"]) == (scheme, rows)
            )
            for rows in ROWS
        ]
        for scheme in dict.fromkeys(each["scheme"] for each in ran)
    }


def _panel(name: str, ratios: Mapping[str, Sequence[float]], top: float) -> Iterator[str]:
    """Yield the elements of one panel: ratios on a logarithmic scale, with names at the ends of the lines."""
    left, right, height = 34.0, WIDTH - 150.0, 220.0

    def across(index: int) -> float:
        return left + (right - left) * index / (len(ROWS) - 1)

    def down(ratio: float) -> float:
        return top + 14 + height * (log10(3.2) - log10(ratio)) / (log10(3.2) - log10(0.4))

    yield _text(8, top, name, "title")
    for ratio in (0.5, 1, 2, 3):
        yield f'<line class="rule" x1="{left}" x2="{right}" y1="{down(ratio):.1f}" y2="{down(ratio):.1f}"/>'
        yield _text(left - 6, down(ratio) + 4, f"{ratio:g}", "dim", "end")
    for index, rows in enumerate(ROWS):
        head = f"M = {rows}" if index == 0 else str(rows)
        yield _text(across(index), top + height + 32, head, "dim", "middle")
    ends = _apart({scheme: down(values[-1]) for scheme, values in ratios.items()})
    for scheme, values in ratios.items():
        points = " ".join(f"{across(index):.1f},{down(value):.1f}" for index, value in enumerate(values))
        hue = HUES[scheme]
        yield f'<polyline points="{points}" fill="none" stroke="{hue}" stroke-width="2"/>'
        lead = f"{right:.1f},{down(values[-1]):.1f} {right + 10:.1f},{ends[scheme]:.1f}"
        yield f'<polyline points="{lead}" fill="none" stroke="{hue}"/>'
        place = f'x="{right + 13:.1f}" y="{ends[scheme] + 4:.1f}"'
        yield f'<text {place} style="fill:{hue}">{escape(scheme)}</text>'


def _apart(places: Mapping[str, float], least: float = 14.0) -> dict[str, float]:
    """Return the positions of labels, moved down where two would overlap."""
    found: dict[str, float] = {}
    lowest = float("-inf")
    for name in sorted(places, key=lambda each: places[each]):
        lowest = found[name] = max(places[name], lowest + least)
    return found


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    styled = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{styled}>{escape(text)}</text>'


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
    ground = '<rect class="ground" width="100%" height="100%" fill="none"/>'
    shown = _text(8, 16, title, "title")
    return "\n".join(
        [head, f"<title>{escape(title)}</title><style>{STYLE}</style>", ground, shown, *parts, "</svg>", ""]
    )


def pictures() -> dict[str, str]:
    """Return the content of each picture by file name."""
    return {
        "errors-h200-bf16.svg": errors("bfloat16"),
        "errors-h200-fp16.svg": errors("float16"),
        "bench-gpu-h200.svg": speed(),
    }


def main() -> None:
    """Write the pictures to the folder of the results."""
    for name, text in pictures().items():
        (RESULTS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
