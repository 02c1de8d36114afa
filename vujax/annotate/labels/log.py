"""A label set on disk: a file of lines that only grows, and that several processes write at once.

A writer locks the file, reads what others added, and adds its lines with one write; the answer
comes after `fsync`. A process that is killed can leave the beginning of a line, which nobody was
told of: readers stop before it, and the next writer completes or removes it.
"""

import bisect
import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from vujax.annotate.labels.entry import Decision, Entry, Undo, check_author, parse
from vujax.utils.io import sync_folder

SCHEMA = 1
"""Version of these files."""

KIND = "vujax labels"
Key = tuple[str, str]
"""An item's id and a label."""


class LabelLog:
    """A label set; safe in several threads, and beside other processes that have it open.

    Attributes:
      path: of the file.
      sequence: of the last line that was read.
      repaired: bytes of a torn last line that were removed.
    """

    def __init__(self, path: str | Path, *, create: bool = True) -> None:
        """Reads the set.

        Args:
          path: of its file, see `sets.path`.
          create: make it with the first decision when it is not there.

        Raises:
          FileNotFoundError: it is not there, and is not to be made.
          ValueError: it is a link, damaged, or of another version.
        """
        self.path, self.repaired = Path(path), 0
        self._create = create
        self._threads = threading.RLock()
        self._file = -1
        self._forget()
        self.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        with self._threads:
            if self._file >= 0:
                os.close(self._file)
            self._file = -1

    def append(self, decisions: Sequence[Decision], *, author: str) -> int:
        """Adds decisions, which are on the disk after this, all or none of them.

        Returns:
          Their group, which `undo` takes.

        Raises:
          ValueError: there are none, or the file was damaged by somebody else.
        """
        if not decisions:
            raise ValueError("there is nothing to label: name at least one item")
        check_author(author)
        with self._locked():
            first, time = self.sequence + 1, _now()
            entries = [
                Entry(first + place, first, time, author, decision)
                for place, decision in enumerate(decisions)
            ]
            self._write([entry.facts() for entry in entries])
            return first

    def undo(self, group: int, *, author: str) -> list[Key]:
        """Takes a group of decisions back; what was decided before holds again.

        Returns:
          What changed; nothing when others have undone it already.

        Raises:
          KeyError: there is no such group.
        """
        check_author(author)
        with self._locked():
            if group not in self._groups:
                raise KeyError(f"{self.path} has no decision {group} to undo")
            if group in self._undone:
                return []
            self._write([Undo(self.sequence + 1, group, _now(), author).facts()])
            return list(dict.fromkeys(self._groups[group]))

    def last_group(self, author: str) -> int | None:
        """The author's last group that is not undone."""
        with self._threads:
            mine = (g for g, who in reversed(self._authors.items()) if who == author)
            return next((group for group in mine if group not in self._undone), None)

    def refresh(self) -> int:
        """Reads what others added; returns the last sequence.

        Raises:
          ValueError: the file is damaged, or of another version.
        """
        with self._threads:
            self._reopen(create=False)
            if self._file >= 0:
                self._read()
            return self.sequence

    def state(self, until: int | None = None) -> dict[Key, Entry]:
        """The entry that holds for each item and label, those whose value is 0 too.

        Args:
          until: as it was after this sequence; None: now.
        """
        with self._threads:
            decided = self._decided if until is None else self._decided_until(until)
            return {key: entries[-1] for key, entries in decided.items() if entries}

    def _decided_until(self, sequence: int) -> dict[Key, list[Entry]]:
        known = [entry for entry in self._history if entry.sequence <= sequence]
        undone = {entry.group for entry in known if isinstance(entry, Undo)}
        decided: dict[Key, list[Entry]] = {}
        for entry in known:
            if isinstance(entry, Entry) and entry.group not in undone:
                key = (entry.decision.id, entry.decision.label)
                decided.setdefault(key, []).append(entry)
        return decided

    def value(self, key: Key) -> int:
        """The value that holds: 1, -1, or 0 where nothing is known."""
        entries = self._decided.get(key)
        return entries[-1].decision.value if entries else 0

    def since(self, sequence: int) -> list[Key]:
        """What lines after a sequence are about; whatever holds of it now may have changed."""
        with self._threads:
            first = bisect.bisect_right(self._changes, sequence, key=lambda change: change[0])
            changed = self._changes[first:]
            return list(dict.fromkeys(key for _, keys in changed for key in keys))

    def _reopen(self, *, create: bool) -> None:
        """Opens the file at the path unless it is open."""
        if self._file >= 0 and not self._is_replaced():
            return
        self.close()
        self._forget()
        if self.path.is_symlink():
            raise ValueError(f"{self.path} is a link: put the file itself there")
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        if create:
            self.path.parent.mkdir(exist_ok=True)
            flags |= os.O_CREAT
        try:
            self._file = os.open(self.path, flags, 0o666)
        except FileNotFoundError:
            if not self._create:
                raise FileNotFoundError(
                    f"{self.path} does not exist: there is no such set"
                ) from None

    def _forget(self) -> None:
        self.sequence, self._line, self._offset = 0, 0, 0
        self._history: list[Entry | Undo] = []
        self._decided: dict[Key, list[Entry]] = {}
        self._groups: dict[int, list[Key]] = {}
        self._authors: dict[int, str] = {}
        self._undone: set[int] = set()
        self._changes: list[tuple[int, list[Key]]] = []

    def _is_replaced(self) -> bool:
        """Whether the file at the path is another one than was opened, or none."""
        try:
            there, ours = self.path.stat(), os.fstat(self._file)
        except FileNotFoundError:
            return True
        return (there.st_ino, there.st_dev) != (ours.st_ino, ours.st_dev)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._threads:
            self._reopen(create=self._create)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                self._repair()
                self._read()
                if not self._line:
                    self._begin()
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _begin(self) -> None:
        self._write([dict(kind=KIND, schema=SCHEMA, set=self.path.stem)])
        sync_folder(self.path.parent)

    def _write(self, lines: Sequence[dict[str, Any]]) -> None:
        """Adds lines and takes note of them; the lock is held."""
        data = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(f"{self.path} could not be written to the end: the disk is full")
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            raise
        self._read()

    def _repair(self) -> None:
        """Completes a last line that lacks nothing but its end, and removes a torn one."""
        end = os.fstat(self._file).st_size
        tail = os.pread(self._file, end - self._offset, self._offset)
        kept = tail.rfind(b"\n") + 1
        torn = tail[kept:]
        if torn and _is_whole(torn):
            os.write(self._file, b"\n")
        elif torn:
            os.ftruncate(self._file, self._offset + kept)
            self.repaired += len(torn)

    def _read(self) -> None:
        """Reads the whole lines after those that were read."""
        size = os.fstat(self._file).st_size
        if size < self._offset:
            raise ValueError(
                f"{self.path} became shorter: somebody edited it; start this program again"
            )
        data = os.pread(self._file, size - self._offset, self._offset)
        *whole, _ = data.split(b"\n")
        for line in whole:
            self._take(line)
            self._offset += len(line) + 1

    def _take(self, line: bytes) -> None:
        try:
            facts = json.loads(line)
            if not self._line and (not isinstance(facts, dict) or facts.get("kind") != KIND):
                raise ValueError(f"it does not say that this is a file of {KIND}")
            if self._line:
                self._apply(parse(facts))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(
                f"{self.path}, line {self._line + 1}, is damaged ({error}): mend or delete it"
            ) from None
        if not self._line and facts.get("schema") != SCHEMA:
            raise ValueError(
                f"{self.path} is of version {facts.get('schema')}, and this vujax reads {SCHEMA}: "
                "use the vujax that wrote it"
            )
        self._line += 1

    def _apply(self, entry: Entry | Undo) -> None:
        if entry.sequence <= self.sequence:
            raise ValueError(f"number {entry.sequence} comes after {self.sequence}")
        if isinstance(entry, Undo):
            keys = self._groups[entry.group]
            self._undone.add(entry.group)
            for key in dict.fromkeys(keys):
                kept = [e for e in self._decided[key] if e.group != entry.group]
                self._decided[key] = kept
        else:
            decision = entry.decision
            keys = [(decision.id, decision.label)]
            self._decided.setdefault(keys[0], []).append(entry)
            self._groups.setdefault(entry.group, []).extend(keys)
            self._authors[entry.group] = entry.author
        self._history.append(entry)
        self._changes.append((entry.sequence, list(keys)))
        self.sequence = entry.sequence


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
