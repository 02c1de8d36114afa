"""A process that is killed at any of its changes of the file system, in one process."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

CHANGES = ("replace", "rename", "fsync", "unlink", "remove", "mkdir", "rmdir")


class Killed(BaseException):
    """The end of the process: nothing that comes after it reaches the disk."""


def killed_at_each_change(action: Callable[[], Any]) -> Iterator[int]:
    """Call an action that ends before its first change of the file system, its second, and so on.

    After that change no other one succeeds, so that no clean-up runs. Every call starts from what
    the caller has restored. The last call is not killed.

    Yields:
      The number of changes that were made, after each call.
    """
    change, finished = 0, False
    while not finished:
        with pytest.MonkeyPatch.context() as patch:
            made = _stop_after(patch, change)
            try:
                action()
                finished = True
            except Killed:
                pass
        yield made[0]
        change += 1


def _stop_after(patch: pytest.MonkeyPatch, limit: int) -> list[int]:
    made = [0]

    def counted(real: Callable) -> Callable:
        def change(*args: Any, **kwargs: Any) -> Any:
            if made[0] >= limit:
                raise Killed
            made[0] += 1
            return real(*args, **kwargs)

        return change

    for name in CHANGES:
        patch.setattr(os, name, counted(getattr(os, name)))
    return made
