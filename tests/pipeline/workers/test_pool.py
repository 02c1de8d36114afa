"""Assignment of films to workers, with fake workers."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from vujax.pipeline.sources import Source
from vujax.pipeline.stage import Outcome, Progress
from vujax.pipeline.workers import pool
from vujax.pipeline.workers.pool import Event, Pool, Ready, StartFailed, WorkerDied


def source(name: str) -> Source:
    return Source("/", name, Path(name), name, 1)


class Engine:
    """Workers that do what their film's name says."""

    def __init__(self, first: Event | None = None) -> None:
        self.started, self.stopped, self.first = 0, 0, first or Ready()

    def start(self) -> "FakeWorker":
        self.started += 1
        return FakeWorker(self)

    def wait(self, workers: Sequence["FakeWorker"], timeout_s: float) -> None:
        assert workers


class FakeWorker:
    def __init__(self, engine: Engine) -> None:
        self._engine, self._said = engine, [engine.first]

    def submit(self, source: Source) -> None:
        assert not self._said
        done = Outcome(source, source.slug, "whole")
        self._said = {"die": [None], "hang": []}.get(source.path, [Progress(source, 1.0), done])

    def poll(self) -> list[Event]:
        said, self._said = self._said, []
        if said == [None]:
            raise WorkerDied("signal 9")
        return said

    def stop(self) -> None:
        self._engine.stopped += 1


def fail(source: Source, reason: str) -> Outcome:
    return Outcome(source, source.slug, "error", reason)


def outcomes(names: list[str], engine: Engine, workers: int = 2, stall_s: float = 60) -> dict:
    events = Pool(engine, workers, stall_s=stall_s, fail=fail).run([source(n) for n in names])
    return {e.source.path: e.reason for e in events if isinstance(e, Outcome)}


def test_every_film_has_one_outcome_and_every_worker_ends() -> None:
    engine = Engine()
    assert outcomes([f"{i}" for i in range(9)], engine) == {f"{i}": "" for i in range(9)}
    assert (engine.started, engine.stopped) == (2, 2)


def test_no_more_workers_than_films() -> None:
    engine = Engine()
    outcomes(["a"], engine, workers=8)
    assert engine.started == 1


def test_a_deadly_film_is_tried_twice() -> None:
    engine = Engine()
    found = outcomes(["a", "die", "b"], engine, workers=1)
    assert (found["a"], found["b"]) == ("", "")
    assert "died 2 times (signal 9)" in found["die"]
    assert engine.started == 3


def test_a_film_that_hangs_is_given_up() -> None:
    engine = Engine()
    found = outcomes(["hang", "a"], engine, workers=1, stall_s=0.01)
    assert "no progress" in found["hang"]
    assert found["a"] == ""
    assert engine.stopped == engine.started == 2


def test_what_holds_for_all_workers_ends_the_run() -> None:
    engine = Engine(StartFailed("PySceneDetect is missing"))
    with pytest.raises(ValueError, match="is missing"):
        outcomes(["a", "b"], engine)
    assert engine.stopped == engine.started


def test_workers_that_die_at_their_start_end_the_run() -> None:
    class Dead(FakeWorker):
        def poll(self) -> list[Event]:
            raise WorkerDied("exit status 1")

    class DeadEngine(Engine):
        def start(self) -> FakeWorker:
            self.started += 1
            return Dead(self)

    engine = DeadEngine()
    with pytest.raises(RuntimeError, match=r"did not start \(exit status 1\)"):
        outcomes(["a"], engine)
    assert engine.stopped == engine.started == pool.MAX_FAILED_STARTS
