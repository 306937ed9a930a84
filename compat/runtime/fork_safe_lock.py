"""A lock for processes that fork while other threads run: only the forking thread goes on in the child."""

import os
import threading
from collections.abc import Callable

LONGEST_WAIT = 10.0
"""Seconds for which a fork waits until another thread has released the lock."""


class ForkSafeLock:
    """A reentrant lock that no other thread holds while this process forks, so that the child can take it."""

    def __init__(self, forget: Callable[[], object]) -> None:
        """Create the lock; `forget` is called in a child, to drop what it must not share with the parent."""
        self._lock = threading.RLock()
        self._turnstile = threading.Lock()
        self._owner: int | None = None
        self._depth = 0
        self._forget = forget
        self._held = False
        if hasattr(os, "register_at_fork"):  # Windows does not fork
            os.register_at_fork(
                before=self._before,
                after_in_parent=self._after_in_parent,
                after_in_child=self._after_in_child,
            )

    def __enter__(self) -> None:
        if self._owner == threading.get_ident():
            self._lock.acquire()
        else:
            # A thread that takes the lock again and again lets a fork pass here.
            with self._turnstile:
                self._lock.acquire()
        self._owner = threading.get_ident()
        self._depth += 1

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None
        self._lock.release()

    def _before(self) -> None:
        passed = self._owner != threading.get_ident() and self._turnstile.acquire(timeout=LONGEST_WAIT)
        self._held = self._lock.acquire(timeout=LONGEST_WAIT)
        if passed:
            self._turnstile.release()

    def _after_in_parent(self) -> None:
        if self._held:
            self._held = False
            self._lock.release()

    def _after_in_child(self) -> None:
        self._turnstile = threading.Lock()
        if not self._held:  # the lock belongs to a thread that does not exist here
            self._lock, self._owner, self._depth = threading.RLock(), None, 0
        self._after_in_parent()
        self._forget()
