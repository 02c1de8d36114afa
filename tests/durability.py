"""Record of what is flushed to the disk and renamed, in order."""

import os
from pathlib import Path

import pytest

Event = tuple[str, Path]


def record_syncs(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Record `("sync", path)` of each fsync and `("rename", target)` of each rename from now on."""
    events: list[Event] = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor: int) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        events.append(("sync", Path(f"/proc/self/fd/{number}").readlink()))
        fsync(descriptor)

    def recorded_replace(source: str | Path, target: str | Path) -> None:
        replace(source, target)
        events.append(("rename", Path(target)))

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    return events
