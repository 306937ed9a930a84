"""The processes that a build computes in."""

import gc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

COUNT = 2
"""They compute and do nothing else, so more than the cores there are gains nothing."""


def processes() -> ProcessPoolExecutor:
    """Return a pool of processes that are forked from a clean server: the caller may have threads.

    They look for no cycles: there are none among the millions of rows, and looking takes a fifth of the time.
    """
    return ProcessPoolExecutor(COUNT, mp_context=get_context("forkserver"), initializer=gc.disable)
