"""The label log: state after decisions and undos, killed processes, concurrent writers."""

import errno
import fcntl
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.durability import record_syncs
from vujax.annotate.labels import log as module
from vujax.annotate.labels import sets
from vujax.annotate.labels.entry import Decision
from vujax.annotate.labels.log import LabelLog

FILM = "film-0a1b2c3d"


def decision(shot: int = 0, label: str = "boat", value: int = 1, **more: object) -> Decision:
    return Decision(f"{FILM}/s{shot:04d}", label, value, **more)


def values(log: LabelLog) -> dict:
    return {key: entry.decision.value for key, entry in log.state().items()}


def key(shot: int, label: str = "boat") -> tuple[str, str]:
    return (f"{FILM}/s{shot:04d}", label)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels" / "boats.jsonl"


def test_the_last_decision_holds(path: Path) -> None:
    with LabelLog(path) as log:
        log.append([decision(1), decision(2)], author="ann")
        log.append([decision(1, value=-1)], author="ben")
        log.append([decision(2, value=0), decision(2, "night")], author="ann")
    with LabelLog(path, create=False) as again:
        assert values(again) == {key(1): -1, key(2): 0, key(2, "night"): 1}
        assert again.sequence == 5
        assert again.state()[key(1)].author == "ben"


def test_everything_that_is_known_is_kept(path: Path) -> None:
    given = decision(3, "a <b> & é 船", -1, source="sample", query="boat; -night", score=0.25)
    with LabelLog(path) as log:
        log.append([given], author="ann")
    (entry,) = LabelLog(path).state().values()
    assert entry.decision == given
    assert entry.time.endswith("+00:00")


def test_undo_brings_back_what_was_before(path: Path) -> None:
    log, other = LabelLog(path), LabelLog(path)
    first = log.append([decision(1)], author="ann")
    second = log.append([decision(1, value=-1), decision(2)], author="ann")
    third = other.append([decision(2, value=-1)], author="ben")
    assert log.last_group("ann") == second
    assert log.undo(second, author="ann") == [key(1), key(2)]
    assert log.undo(second, author="ann") == []
    assert values(log) == {key(1): 1, key(2): -1}  # what ben said in between stays
    assert log.last_group("ann") == first
    other.refresh()
    assert other.undo(third, author="ben") == [key(2)]
    log.refresh()
    assert values(log) == {key(1): 1}
    log.undo(first, author="ann")
    assert values(log) == {}
    assert log.last_group("ann") is None
    assert values(LabelLog(path)) == {}
    with pytest.raises(KeyError, match="no decision 99"):
        log.undo(99, author="ann")


def test_redo_makes_the_decisions_again(path: Path) -> None:
    log = LabelLog(path)
    group = log.append([decision(1), decision(2, value=-1)], author="ann")
    with pytest.raises(KeyError, match=f"no undone decision {group}"):
        log.redo(group, author="ann")
    log.undo(group, author="ann")
    log.append([decision(3)], author="ben")
    assert log.redo(group, author="ann") == [key(1), key(2)]
    assert values(log) == values(LabelLog(path)) == {key(1): 1, key(2): -1, key(3): 1}
    assert log.last_group("ann") > group  # a new group, to be undone again
    log.undo(log.last_group("ann"), author="ann")
    assert values(log) == {key(3): 1}


def test_what_changed_since(path: Path) -> None:
    log, other = LabelLog(path), LabelLog(path)
    log.append([decision(1), decision(2)], author="ann")
    seen = other.refresh()
    group = log.append([decision(2, value=-1)], author="ann")
    log.undo(group, author="ann")
    other.refresh()
    assert other.list_changes(seen) == [key(2)]
    assert other.value(key(2)) == 1
    assert other.list_changes(other.sequence) == []


def test_as_it_was(path: Path) -> None:
    log = LabelLog(path)
    log.append([decision(1), decision(2)], author="ann")
    group = log.append([decision(1, value=-1)], author="ann")
    log.undo(group, author="ann")
    log.append([decision(2, value=-1)], author="ann")

    def was(sequence: int | None) -> list[int]:
        found = log.state(sequence)
        return [found[key(s)].decision.value if key(s) in found else 0 for s in (1, 2)]

    assert [was(n) for n in (0, 1, 2, 3, 4, 5, None)] == [
        [0, 0],
        [1, 0],
        [1, 1],
        [-1, 1],
        [1, 1],
        [1, -1],
        [1, -1],
    ]


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_torn_last_line_is_repaired(path: Path, cut: int) -> None:
    with LabelLog(path) as log:
        log.append([decision(1)], author="ann")
        log.append([decision(2)], author="ann")
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with LabelLog(path) as reader:  # readers leave it alone
        assert path.read_bytes() == whole[:-cut]
        assert values(reader) == {key(1): 1}
        reader.append([decision(3)], author="ann")
        kept = {key(1): 1, key(3): 1}
        # Only its end was missing: the line is completed.
        assert values(reader) == (kept | {key(2): 1} if cut == 1 else kept)
        assert bool(reader.repaired) == (cut > 1)
    for line in path.read_bytes().splitlines():
        json.loads(line)
    assert values(LabelLog(path)) == (kept | {key(2): 1} if cut == 1 else kept)


@pytest.mark.parametrize("action", ["append", "undo"])
def test_every_write_is_synced_before_the_call_returns(
    path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    calls: list[tuple[str, bool]] = []
    write, fsync = os.write, os.fsync

    def record(name: str, file: int) -> None:
        calls.append((name, os.path.samestat(os.fstat(file), path.stat())))

    def recorded_write(file: int, data: bytes) -> int:
        record("write", file)
        return write(file, data)

    def recorded_fsync(file: int) -> None:
        record("fsync", file)
        fsync(file)

    with LabelLog(path) as log:
        group = log.append([decision(1)], author="ann")
        monkeypatch.setattr(module.os, "write", recorded_write)
        monkeypatch.setattr(module.os, "fsync", recorded_fsync)
        if action == "append":
            log.append([decision(2), decision(3)], author="ann")
        else:
            log.undo(group, author="ann")
        monkeypatch.undo()
    assert calls == [("write", True), ("fsync", True)]


def test_a_writer_has_the_file_for_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = []
    LabelLog(path).append([decision(2)], author="ann")
    with LabelLog(path) as log, path.open("rb") as other:
        write = log._write

        def watched(lines: list[dict]) -> None:
            for lock in (fcntl.LOCK_SH, fcntl.LOCK_EX):
                with pytest.raises(BlockingIOError):
                    fcntl.flock(other, lock | fcntl.LOCK_NB)
                refused.append(lock)
            write(lines)

        monkeypatch.setattr(log, "_write", watched)
        log.append([decision(1)], author="ann")
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)  # free again
        fcntl.flock(other, fcntl.LOCK_UN)
    assert set(refused) == {fcntl.LOCK_SH, fcntl.LOCK_EX}


def test_a_full_disk_leaves_no_half_group(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LabelLog(path)
    log.append([decision(1)], author="ann")
    before, write = path.read_bytes(), os.write

    def short(file: int, data: bytes) -> int:
        write(file, data[: len(data) - 7])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "write", short)
    with pytest.raises(OSError, match="No space"):
        log.append([decision(2), decision(3)], author="ann")
    monkeypatch.undo()
    assert path.read_bytes() == before
    log.append([decision(4)], author="ann")
    assert values(LabelLog(path)) == {key(1): 1, key(4): 1}


def test_a_deleted_file_takes_no_label_with_it(path: Path) -> None:
    log = LabelLog(path)
    log.append([decision(1)], author="ann")
    path.unlink()
    log.append([decision(2)], author="ann")
    assert values(LabelLog(path)) == {key(2): 1} == values(log)


def test_damage_is_named(path: Path, tmp_path: Path) -> None:
    with LabelLog(path) as log:
        log.append([decision(1)], author="ann")
    whole = path.read_text()
    path.write_text(whole + "{}\n")
    with pytest.raises(ValueError, match=r"boats.jsonl, line 3, is damaged .*; repair or delete"):
        LabelLog(path)
    path.write_text(whole + whole.splitlines()[1] + "\n")
    with pytest.raises(ValueError, match="sequence 1 follows 1"):
        LabelLog(path)
    path.write_text(whole.replace('"schema": 1', '"schema": 2'))
    with pytest.raises(ValueError, match="is of version 2, and this vujax reads version 1"):
        LabelLog(path)
    path.write_text('{"a": 1}\n')
    with pytest.raises(ValueError, match="does not declare a file of kind"):
        LabelLog(path)
    (tmp_path / "real.jsonl").write_text(whole)
    path.unlink()
    path.symlink_to(tmp_path / "real.jsonl")
    with pytest.raises(ValueError, match="is a symbolic link"):
        LabelLog(path)
    with pytest.raises(FileNotFoundError, match="does not exist; name an existing label set"):
        LabelLog(tmp_path / "none.jsonl", create=False)


@pytest.mark.parametrize(
    "bad",
    [
        dict(id="../etc/passwd"),
        dict(id=f"{FILM}/s3"),
        dict(label=""),
        dict(label=" boat"),
        dict(label="a\nb"),
        dict(label="x" * 101),
        dict(label=7),
        dict(value=2),
        dict(value=True),
        dict(value="1"),
        dict(score=float("nan")),
        dict(score="0.5"),
        dict(source="elsewhere"),
        dict(query="x" * 1001),
        dict(query=7),
    ],
)
def test_what_is_no_decision(bad: dict) -> None:
    with pytest.raises(ValueError):
        Decision(**{"id": f"{FILM}/s0001", "label": "boat", "value": 1} | bad)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "x" * 49, "a b", None, "é"])
def test_what_is_no_name_of_a_set(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="invalid name of a label set"):
        sets.label_set_path(tmp_path, name)


def test_sets_by_name(path: Path, tmp_path: Path) -> None:
    assert sets.list_label_sets(tmp_path) == []
    LabelLog(path)
    assert sets.list_label_sets(tmp_path) == []  # it is made with the first decision
    LabelLog(path).append([decision(1)], author="ann")
    (path.parent / "no set.jsonl").write_text("")
    assert sets.list_label_sets(tmp_path) == ["boats"]
    assert sets.find_label_set(tmp_path, "boats") == path
    with pytest.raises(FileNotFoundError, match="existing label sets: boats"):
        sets.find_label_set(tmp_path, "cars")


def test_threads_lose_nothing(path: Path) -> None:
    log = LabelLog(path)

    def work(shot: int) -> None:
        for label in "abcde":
            log.append([decision(shot, label)], author="ann")

    threads = [threading.Thread(target=work, args=(shot,)) for shot in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (
        values(log) == values(LabelLog(path)) == {key(s, la): 1 for s in range(8) for la in "abcde"}
    )


def _writer(path: str, number: int, count: int) -> None:
    log = LabelLog(path)
    for shot in range(count):
        log.append([decision(shot, f"by {number}"), decision(shot, "last", 1)], author=f"w{number}")


@pytest.mark.multiprocess
def test_processes_lose_nothing(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_writer, args=(str(path), n, 40)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    found = values(LabelLog(path))
    assert found == {key(s, f"by {n}"): 1 for s in range(40) for n in range(3)} | {
        key(s, "last"): 1 for s in range(40)
    }
    numbers = [json.loads(line)["sequence"] for line in path.read_text().splitlines()[1:]]
    assert numbers == list(range(1, 241))


ENDLESS = """
import sys
from tests.annotate.labels.test_log import decision
from vujax.annotate.labels.log import LabelLog
log, shot = LabelLog(sys.argv[1]), 0
while True:
    log.append([decision(shot, sys.argv[2])], author="ann")
    print(shot, flush=True)
    shot += 1
"""


@pytest.mark.multiprocess
def test_kill_9_loses_nothing_that_was_promised(path: Path) -> None:
    chance = random.Random(0)
    promised: dict[tuple[str, str], int] = {}
    for run in range(3):
        words = [sys.executable, "-c", ENDLESS, str(path), f"run {run}"]
        writer = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "0\n"
        time.sleep(chance.uniform(0.0, 0.2))
        writer.send_signal(signal.SIGKILL)
        done = [0, *map(int, writer.stdout.read().splitlines())]
        writer.wait()
        promised |= {key(shot, f"run {run}"): 1 for shot in done}
    with LabelLog(path) as log:
        log.append([decision(0, "after")], author="ann")
        found = values(log)
    assert promised.items() <= found.items()
    assert len(found) <= len(promised) + 1 + 3  # a line that was written and not yet answered


def test_an_append_returns_when_its_lines_are_on_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    events = record_syncs(monkeypatch)
    fsync = os.fsync

    def measured(descriptor: int) -> None:
        sizes.append(path.stat().st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", measured)
    with LabelLog(path) as log:
        log.append([decision(1)], author="ann")
        assert ("sync", path.parent) in events  # the new file's name
        log.append([decision(2)], author="ann")
        assert sizes[-1] == path.stat().st_size
        assert events[-1] == ("sync", path)
