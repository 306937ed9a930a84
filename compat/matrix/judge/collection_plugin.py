"""A pytest plugin that records which tests were collected, and which of them were selected to run.

pytest loads a copy of this file in the environment of a pair, where this project is not installed: it needs
nothing but the standard library. It writes `collection.json` into the folder of the copy.
"""

import json
import sys
from pathlib import Path
from typing import Any

RECORD = "collection.json"

_collected: list[Any] = []


def pytest_itemcollected(item: Any) -> None:
    """Remember a test before any deselection."""
    _collected.append(item)


def pytest_collection_finish(session: Any) -> None:
    """Write the ids of all tests with their markers, those of the selected ones, and the number of GPUs."""
    torch = sys.modules.get("torch")
    record = {
        "collected": {item.nodeid: [mark.name for mark in item.iter_markers()] for item in _collected},
        "selected": [item.nodeid for item in session.items],
        "gpus": 0 if torch is None else torch.cuda.device_count(),
    }
    Path(__file__).with_name(RECORD).write_text(json.dumps(record), encoding="utf-8")
