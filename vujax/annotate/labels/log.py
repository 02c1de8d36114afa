"""Append-only log of a label set, safe for several writing processes.

A writer locks the file, reads new lines of other writers, and appends its lines with one write; a
call returns after `fsync`. A killed process can leave an incomplete last line, which no caller
was told about: readers stop before it, and the next writer completes or removes it.
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

from vujax.annotate.labels.entry import Decision, Entry, Undo, check_author, parse_entry
from vujax.utils.io import sync_folder

SCHEMA = 1
"""Version of the file format."""

KIND = "vujax labels"

Key = tuple[str, str]
"""The id of an item, and a label."""


class LabelLog:
    """A label set, safe for several threads and for other processes with the same file open.

    Attributes:
      path: path of the file.
      sequence: sequence of the last line read.
      repaired: number of bytes of incomplete last lines removed.
    """

    def __init__(self, path: str | Path, *, create: bool = True) -> None:
        """Read the set.

        Args:
          path: path of the file, see `sets.label_set_path`.
          create: create a missing file with the first decision.

        Raises:
          FileNotFoundError: the file is missing, and `create` is False.
          ValueError: the file is a symbolic link, damaged, or of another version.
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
        """Close the file."""
        with self._threads:
            if self._file >= 0:
                os.close(self._file)
            self._file = -1

    def append(self, decisions: Sequence[Decision], *, author: str) -> int:
        """Append decisions durably, all or none of them.

        Returns:
          Their group, for `undo`.

        Raises:
          ValueError: there are no decisions, or another program damaged the file.
        """
        if not decisions:
            raise ValueError("no item to label; name at least one item")
        check_author(author)
        with self._locked():
            return self._append(decisions, author)

    def _append(self, decisions: Sequence[Decision], author: str) -> int:
        """Append decisions and return their group; the caller holds the lock."""
        first, time = self.sequence + 1, _now()
        entries = [
            Entry(first + offset, first, time, author, decision)
            for offset, decision in enumerate(decisions)
        ]
        self._write([entry.to_json() for entry in entries])
        return first

    def undo(self, group: int, *, author: str) -> list[Key]:
        """Undo a group of decisions, which restores the decisions before them.

        Returns:
          The changed labels; none when the group is undone already.

        Raises:
          KeyError: there is no such group.
        """
        check_author(author)
        with self._locked():
            if group not in self._groups:
                raise KeyError(f"{self.path} has no decision {group} to undo")
            if group in self._undone:
                return []
            self._write([Undo(self.sequence + 1, group, _now(), author).to_json()])
            return list(dict.fromkeys(self._groups[group]))

    def redo(self, group: int, *, author: str) -> list[Key]:
        """Append the decisions of an undone group again, as a new group.

        Returns:
          The changed labels.

        Raises:
          KeyError: there is no such group, or it is not undone.
        """
        check_author(author)
        with self._locked():
            if group not in self._undone:
                raise KeyError(f"{self.path} has no undone decision {group}; undo it first")
            entries = [e for e in self._history if isinstance(e, Entry) and e.group == group]
            self._append([entry.decision for entry in entries], author)
            return list(dict.fromkeys(self._groups[group]))

    def last_group(self, author: str) -> int | None:
        """Return the last group of an author that is not undone."""
        with self._threads:
            groups = (g for g, name in reversed(self._authors.items()) if name == author)
            return next((group for group in groups if group not in self._undone), None)

    def refresh(self) -> int:
        """Read new lines of other writers and return the last sequence.

        Raises:
          ValueError: the file is damaged, or of another version.
        """
        with self._threads:
            self._reopen(create=False)
            if self._file >= 0:
                self._read()
            return self.sequence

    def state(self, until: int | None = None) -> dict[Key, Entry]:
        """Return the entry in force for each item and label, those of value 0 included.

        Args:
          until: state after this sequence; None: the current state.
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
        """Return the value in force: 1, -1, or 0 where it is unknown."""
        entries = self._decided.get(key)
        return entries[-1].decision.value if entries else 0

    def list_changes(self, sequence: int) -> list[Key]:
        """Return the items and labels of all lines after a sequence."""
        with self._threads:
            first = bisect.bisect_right(self._changes, sequence, key=lambda change: change[0])
            changed = self._changes[first:]
            return list(dict.fromkeys(key for _, keys in changed for key in keys))

    def _reopen(self, *, create: bool) -> None:
        """Open the file, again if it was replaced."""
        if self._file >= 0 and not self._is_replaced():
            return
        self.close()
        self._forget()
        if self.path.is_symlink():
            raise ValueError(f"{self.path} is a symbolic link; replace it by the file itself")
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        if create:
            self.path.parent.mkdir(exist_ok=True)
            flags |= os.O_CREAT
        try:
            self._file = os.open(self.path, flags, 0o666)
        except FileNotFoundError:
            if not self._create:
                raise FileNotFoundError(
                    f"{self.path} does not exist; name an existing label set"
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
        """Return whether the file at the path is missing, or not the open one."""
        try:
            current, opened = self.path.stat(), os.fstat(self._file)
        except FileNotFoundError:
            return True
        return (current.st_ino, current.st_dev) != (opened.st_ino, opened.st_dev)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._threads:
            self._reopen(create=self._create)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                self._repair()
                self._read()
                if not self._line:
                    self._write_header()
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _write_header(self) -> None:
        self._write([dict(kind=KIND, schema=SCHEMA, set=self.path.stem)])
        sync_folder(self.path.parent)

    def _write(self, lines: Sequence[dict[str, Any]]) -> None:
        """Append lines and apply them; the caller holds the lock."""
        data = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(f"{self.path} could not be written completely; the disk is full")
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            raise
        self._read()

    def _repair(self) -> None:
        """Complete a last line that lacks only its newline, or remove an incomplete one."""
        end = os.fstat(self._file).st_size
        tail = os.pread(self._file, end - self._offset, self._offset)
        complete = tail.rfind(b"\n") + 1
        torn = tail[complete:]
        if torn and _is_json_object(torn):
            os.write(self._file, b"\n")
        elif torn:
            os.ftruncate(self._file, self._offset + complete)
            self.repaired += len(torn)

    def _read(self) -> None:
        """Read and apply the complete lines after the last one read."""
        size = os.fstat(self._file).st_size
        if size < self._offset:
            raise ValueError(
                f"{self.path} became shorter: another program edited it; start this program again"
            )
        data = os.pread(self._file, size - self._offset, self._offset)
        *lines, _ = data.split(b"\n")
        for line in lines:
            self._apply_line(line)
            self._offset += len(line) + 1

    def _apply_line(self, line: bytes) -> None:
        try:
            fields = json.loads(line)
            if not self._line and (not isinstance(fields, dict) or fields.get("kind") != KIND):
                raise ValueError(f"it does not declare a file of kind {KIND!r}")
            if self._line:
                self._apply(parse_entry(fields))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(
                f"{self.path}, line {self._line + 1}, is damaged ({error}); repair or delete it"
            ) from None
        if not self._line and fields.get("schema") != SCHEMA:
            raise ValueError(
                f"{self.path} is of version {fields.get('schema')}, and this vujax reads version "
                f"{SCHEMA}; use the vujax that wrote it"
            )
        self._line += 1

    def _apply(self, entry: Entry | Undo) -> None:
        if entry.sequence <= self.sequence:
            raise ValueError(f"sequence {entry.sequence} follows {self.sequence}")
        if isinstance(entry, Undo):
            keys = self._groups[entry.group]
            self._undone.add(entry.group)
            for key in dict.fromkeys(keys):
                entries = self._decided[key]
                self._decided[key] = [e for e in entries if e.group != entry.group]
        else:
            decision = entry.decision
            keys = [(decision.id, decision.label)]
            self._decided.setdefault(keys[0], []).append(entry)
            self._groups.setdefault(entry.group, []).extend(keys)
            self._authors[entry.group] = entry.author
        self._history.append(entry)
        self._changes.append((entry.sequence, list(keys)))
        self.sequence = entry.sequence


def _is_json_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
