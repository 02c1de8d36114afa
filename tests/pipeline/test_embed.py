"""Embedding workers: equal results for any number of them, kills, deaths, updates."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.configs import ROOT
from tests.encoders.stub import Dies, Stub, WithGpu, catalogue, run, vector_files
from tests.pipeline.ingest.films import Cuts, film
from tests.pipeline.ingest.films import run as ingest
from tests.pipeline.workers.test_local import until
from vujax.catalog import Catalog, schema
from vujax.catalog.validate import find_problems
from vujax.pipeline.workers.ray import RayEngine
from vujax.utils.system import is_process_alive

pytestmark = pytest.mark.multiprocess
HAS_RAY = importlib.util.find_spec("ray") is not None


def test_a_film_ingested_anew_is_stale_and_alone_renewed(tmp_path: Path) -> None:
    root = catalogue(tmp_path, 3)
    assert [o.done for o in run(root)] == [True] * 3
    kept = vector_files(root)
    changed = schema.list_films(root)[1]
    film(tmp_path / "in" / "film1.mp4", (60, 30))
    ingest(tmp_path / "in", root, Cuts)
    new = schema.list_films(root)[1]
    assert new != changed
    with pytest.raises(FileNotFoundError, match=new):
        Catalog(root).embeddings("shot", "stub")
    assert [(o.film, o.done) for o in sorted(run(root), key=lambda o: o.film)] == [
        (name, name == new) for name in schema.list_films(root)
    ]
    assert {p: d for p, d in vector_files(root).items() if new not in p} == {
        p: d for p, d in kept.items() if changed not in p
    }
    assert list(find_problems(root)) == []


def test_a_worker_that_dies_costs_its_films_and_no_vectors(tmp_path: Path) -> None:
    root = catalogue(tmp_path, 1)
    (outcome,) = run(root, Dies)
    assert "its worker died 2 times (signal 6)" in outcome.reason
    assert vector_files(root) == {}
    assert [o.status for o in run(root)] == ["whole"]


def test_hosts_share_the_films(tmp_path: Path) -> None:
    root = catalogue(tmp_path, 4)
    shares = [run(root, host=i, hosts=2) for i in range(2)]
    assert sorted(o.film for share in shares for o in share) == schema.list_films(root)
    assert len(Catalog(root).embeddings("shot", "stub")) == 12


def test_kill_9_and_a_rerun_give_the_undisturbed_vectors(tmp_path: Path) -> None:
    root, gate = catalogue(tmp_path, 2), tmp_path / "gate"
    other = shutil.copytree(root, tmp_path / "other")  # x264 need not write the same film twice
    gate.mkdir()
    script = tmp_path / "run.py"
    script.write_text(
        "import functools, sys\nfrom pathlib import Path\n"
        "from tests.encoders.stub import Held, run\n"
        "if __name__ == '__main__':\n"
        "    run(Path(sys.argv[1]), functools.partial(Held, sys.argv[2]))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), str(root), str(gate)]
    child = subprocess.Popen(command, env=environment, cwd=ROOT)
    until(lambda: any(gate.iterdir()))
    (worker,) = [int(path.name) for path in gate.iterdir()]
    os.kill(worker, signal.SIGKILL)
    until(lambda: any(int(path.name) != worker for path in gate.iterdir()))  # tried once more
    child.kill()
    child.wait()
    until(lambda: not any(is_process_alive(int(path.name)) for path in gate.iterdir()))
    assert vector_files(root) == {}
    run(root)
    once = vector_files(root)
    assert len(once) == 4
    run(other)
    assert vector_files(other) == once


@pytest.fixture
def cluster_with_gpu() -> Iterator[None]:
    """A cluster that counts one GPU, whether or not it is there."""
    import ray

    ray.init(num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.skipif(not HAS_RAY, reason="extra [ray] is missing")
@pytest.mark.usefixtures("cluster_with_gpu")
def test_ray_gives_what_local_gives(tmp_path: Path) -> None:
    one = catalogue(tmp_path)
    two = shutil.copytree(one, tmp_path / "two")
    run(one)
    assert [o.status for o in run(two, WithGpu, name="ray")] == ["whole"] * 2
    assert vector_files(two) == vector_files(one)
    assert not any(o.done for o in run(two, WithGpu, name="ray", workers=1))
    assert RayEngine(Stub, accelerators=True).num_slots == 1  # one actor for each GPU
    assert RayEngine(Stub).num_slots == 2
