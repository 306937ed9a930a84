"""Decide which successors are safe to write or to return without review; every command asks here."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Safety = Literal["safe", "unsafe"]
    """Whether a fix can be applied without review, in ruff's words."""
else:  # `typing` takes longer to import than most answers
    Safety = str

SAFE_CONFIDENCE = 0.8
"""The least confidence of a safe successor: of 120 judged by hand (docs/accuracy/resolve.md), all 48 with at
least 0.80 were right, but not all of those below."""


def safety_of(confidence: float, *, exact: bool) -> Safety:
    """Return whether a successor is safe to write.

    Args:
        confidence: how likely it is the successor, from 0 to 1.
        exact: whether it is the same object, of the same kind and called in the same way, as far as known.
    """
    return "safe" if exact and confidence >= SAFE_CONFIDENCE else "unsafe"
