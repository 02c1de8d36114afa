"""The Ray runner gives the results of the local one."""

import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.ingest.films import Cuts, Deadly, contents, film, folder_of_films, run, staged
from vujax.catalog.validate import find_problems

HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="extra [ray] is missing")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Ends the cluster that the runner started by itself."""
    yield
    import ray

    ray.shutdown()


@needs_ray
@pytest.mark.multiprocess
@pytest.mark.usefixtures("cluster")
def test_the_same_catalogue_as_local(tmp_path: Path) -> None:
    films = folder_of_films(tmp_path / "in")
    run(films, tmp_path / "local", Cuts)
    outcomes = run(films, tmp_path / "ray", Cuts, name="ray", workers=2)
    assert len(outcomes) == 4
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")
    assert not any(o.done for o in run(films, tmp_path / "ray", Cuts, name="ray"))


@needs_ray
@pytest.mark.multiprocess
@pytest.mark.usefixtures("cluster")
def test_a_film_that_kills_its_worker_costs_no_other(tmp_path: Path) -> None:
    films = folder_of_films(tmp_path / "in", 2)
    film(films / "bad.mp4", size=(128, 64))
    deadly = functools.partial(Deadly, 128)
    found = run(films, tmp_path / "out", deadly, name="ray", workers=2)
    statuses = {o.source.path: o.status for o in found}
    assert statuses == {"film0.mp4": "whole", "film1.mp4": "whole", "bad.mp4": "error"}
    assert list(find_problems(tmp_path / "out")) == []
    assert staged(tmp_path / "out") == []


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    hidden = lambda name, *rest: None if name == "ray" else there(name, *rest)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", hidden)
    with pytest.raises(ImportError, match=r"vujax\[ray\]"):
        run(folder_of_films(tmp_path / "in", 1), tmp_path / "out", name="ray")
