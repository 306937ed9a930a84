"""Print the tables of docs/accuracy/quant.md from the measured results: `python bench/gpu_table.py`.

`--merge FILE… --output docs/results/quant-h200.json` merges the results of the GPU tests from several
processes and pairs into one file; all must be from the same GPU model.
"""

import argparse
import json
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packaging.version import Version

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
PACKAGES = ("sglang", "vllm")
ROWS = (1, 16, 64, 512, 4096)
REASONS = {
    "takes activations in float16 only": 1,
    "c10::Half": 1,
    "mutable_data_ptr<c10": 1,
    "reads this format": 2,
    "size of scales_a is not matched": 3,
}
"""Texts in the reasons of refusals, with the number of the note below the table that explains each."""

EXACT = "quant-h200.json"
OTHERS = tuple(
    f"quant-h200-{pair}.json"
    for pair in (
        "seed", "home-grown", "torch-2.8", "torch-2.9", "torch-2.13", "torch-apart", "newest", "sglang-alone",
        "vllm-alone",
    )
)  # fmt: skip
"""The same for pairs with another torch."""
REPORT = "report-pair-h200.json"
SPEED = {package: f"bench-gpu-h200-{package}.json" for package in PACKAGES}
BLOCK_FP8 = "deep-gemm-h200.json"
LOADER = {package: f"loader-h200-{package}.json" for package in PACKAGES}

SHORT = {"bfloat16": "bf16", "float16": "fp16"}

Records = Sequence[dict[str, Any]]


def read(name: str) -> dict[str, Any]:
    """Return a document from `docs/results/`."""
    found: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return found


def exactness(*documents: dict[str, Any]) -> list[str]:
    """Return the table of schemes by release, with the error relative to float64."""
    everything = [each for document in documents for each in document["records"]]
    records = [each for each in everything if each["test"].startswith("the_right_kernel")]
    columns = [
        (package, release)
        for package in PACKAGES
        for release in sorted({each[package] for each in records if each[package]}, key=Version)
    ]
    lines = [_row(["Scheme", "dtype", *(f"{package} {release}" for package, release in columns)])]
    lines.append("|" + "---|" * (2 + len(columns)))
    for scheme in in_order(records):
        for dtype, short in SHORT.items():
            cells = []
            for package, release in columns:
                here = [
                    each
                    for each in records
                    if each["back_end"] == package
                    and (each[package], each["scheme"], each["dtype"]) == (release, scheme, dtype)
                ]
                cells.append(_cell(here))
            lines.append(_row([f"`{scheme}`", short, *cells]))
    return lines


def in_order(records: Records) -> list[str]:
    """Return the labels of the schemes, grouped by format."""
    kinds = ("unquantized", "fp8", "gptq", "awq", "block-int8", "w8a8")
    return sorted(
        {str(each["scheme"]) for each in records},
        key=lambda label: ([label.startswith(kind) for kind in kinds].index(True), label),
    )


def _cell(records: Records) -> str:
    ran: dict[str, float] = {}
    for each in records:
        if each["outcome"] == "passed":
            ran[each["way"]] = max(ran.get(each["way"], 0), *each["errors"].values())
    if ran:
        return ", ".join(f"`{way}` {error:.1e}" for way, error in ran.items())
    if not records:
        return "not in the data"
    told = {note for each in records for says, note in REASONS.items() if says in each["reason"]}
    return "refused " + ", ".join(f"[{note}]" for note in sorted(told))


def report(document: dict[str, Any]) -> list[str]:
    """Return the table of the sglang of the pair `seed`: class and kernel that ran, and the error by M."""
    ran = [each for each in document["records"] if "errors" in each]
    rows = sorted({int(m) for each in ran for m in each["errors"]})
    heads = ["Scheme", "dtype", "method", "kernel", *(f"M = {m}" if m == 1 else str(m) for m in rows)]
    lines = [_row(heads), "|" + "---|" * len(heads)]
    for each in ran:
        method = f"{each['home'].partition('.')[0]}'s `{each['method']}`"
        kernel = "" if each["kernel"].startswith(each["method"]) else f"`{each['kernel']}`"
        errors = (f"{each['errors'][str(m)]:.1e}" for m in rows)
        lines.append(_row([f"`{each['scheme']}`", SHORT[each["dtype"]], method, kernel, *errors]))
    return lines


def speed(document: dict[str, Any]) -> list[str]:
    """Return the table of device times relative to bf16 and to the hardware limit, as medians over shapes."""
    ran = [each for each in document["records"] if each["outcome"] == "ran"]
    lines = [_row([document["back_end"], *(f"M = {rows}" if rows == 1 else str(rows) for rows in ROWS)])]
    lines.append("|" + "---|" * (1 + len(ROWS)))
    for scheme in dict.fromkeys(each["scheme"] for each in ran):
        cells = []
        for rows in ROWS:
            here = [each for each in ran if (each["scheme"], each["m"]) == (scheme, rows)]
            to_bf16 = statistics.median(each["layer_device_us"] / each["bf16_device_us"] for each in here)
            to_floor = statistics.median(each["layer_device_us"] / each["floor_us"] for each in here)
            cells.append(f"{to_bf16:.2f} / {to_floor:.1f}")
        lines.append(_row([f"`{scheme}`", *cells]))
    return lines


def above_direct(document: dict[str, Any]) -> list[str]:
    """Return the table of host overhead: microseconds above a direct call of the method, as medians."""
    ran = [each for each in document["records"] if each["outcome"] == "ran"]
    lines = []
    for what, name in (("layer_us", "this layer"), ("package_us", "the package's own layer")):
        over = [
            statistics.median(each[what] - each["direct_us"] for each in ran if each["m"] == rows)
            for rows in ROWS
        ]
        lines.append(_row([document["back_end"], name, *(f"{each:.1f}" for each in over)]))
    return lines


def block_fp8(document: dict[str, Any]) -> list[str]:
    """Return the table of errors of vllm's block FP8: the maximum over all shapes and numbers of rows."""
    releases = list(dict.fromkeys(each["vllm"] for each in document["records"]))
    lines = [_row(["", *(f"vllm {release}" for release in releases)])]
    lines.append("|" + "---|" * (1 + len(releases)))
    for way, what in (
        ("left", "beside sglang, as vllm leaves it"),
        ("copied", "beside sglang, in this layer"),
        ("own", "with vllm's own `deep_gemm`"),
    ):
        here = [each for each in document["records"] if each["way"] == way]
        errors = [[error for shape in each["errors"] for error in shape] for each in here]
        cells = ["NaN" if "nan" in each else f"{max(each):.1e}" for each in errors]
        lines.append(_row([what, *cells]))
    return lines


def memory(documents: Sequence[dict[str, Any]]) -> list[str]:
    """Return the table of the loader's memory, in MB of 1,000,000 bytes."""
    heads = [
        "",
        "all layers",
        "the largest",
        "host, at the most",
        "all read first",
        "GPU, at the most",
        "then",
    ]
    lines = [_row(heads), "|" + "---|" * len(heads)]
    for each in documents:
        loader, first = each["loader"], each["all_first"]
        sizes = [
            each["file_bytes"],
            each["largest_layer_bytes"],
            loader["peak_bytes"],
            first["peak_bytes"],
            loader["gpu_peak_bytes"],
            loader["gpu_after_bytes"],
        ]
        told = (f"{size / 1e6:,.0f}" for size in sizes)
        lines.append(_row([f"{each['back_end']} {each['release']}", *told]))
    return lines


def tables() -> list[str]:
    """Return the lines of all tables."""
    speeds = [read(SPEED[package]) for package in PACKAGES]
    lines = [*exactness(read(EXACT)), "", *block_fp8(read(BLOCK_FP8))]
    lines += ["", *report(read(REPORT)), "", *exactness(*map(read, OTHERS))]
    for each in speeds:
        lines += ["", *speed(each)]
    lines += ["", *(line for each in speeds for line in above_direct(each))]
    return [*lines, "", *memory([read(LOADER[package]) for package in PACKAGES])]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def merged(documents: Sequence[dict[str, Any]], date: str) -> dict[str, Any]:
    """Return one document with the records of several, each record with its releases.

    Paths in messages of a package are shortened to begin with that package.

    Args:
        documents: the documents that the option `--results` of the tests writes.
        date: the date of the run, `YYYY-MM-DD`.

    Raises:
        ValueError: the documents are from different GPUs, Python or torch versions.
    """
    fields = ("schema", "command", "device", "capability", "python", "torch")
    heads = {tuple(str(each[field]) for field in fields) for each in documents}
    if len(heads) != 1:
        raise ValueError(f"the documents are from different machines: {sorted(heads)}")
    records: list[dict[str, Any]] = [
        {**_tidy(record), **each["releases"]} for each in documents for record in each["records"]
    ]
    records.sort(key=lambda each: (Version(each["sglang"] or "0"), each["test"], each["case"]))
    return {**{field: documents[0][field] for field in fields}, "date": date, "records": records}


def _tidy(record: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(record)
    found: dict[str, Any] = json.loads(re.sub(r"/[^\s\"]*?/(?=(?:sglang|vllm|torch)/)", "", text))
    test, _, case = found["test"].removeprefix("test_").partition("[")
    return {**found, "test": test, "case": case.removesuffix("]")}


def main() -> None:
    """Print the tables, or merge documents."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--merge", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--date", help="date of the merged run, YYYY-MM-DD")
    parser.add_argument("--output", type=Path)
    chosen = parser.parse_args()
    if not chosen.merge:
        print("\n".join(tables()))
        return
    if not (chosen.output and chosen.date):
        parser.error("--merge needs --output and --date")
    document = merged([json.loads(path.read_text(encoding="utf-8")) for path in chosen.merge], chosen.date)
    chosen.output.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
