"""Worker processes: equal results for any number of them, deaths, hangs, kills."""

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.configs import ROOT
from tests.pipeline.ingest.films import (
    Cuts,
    Deadly,
    Hanging,
    contents,
    film,
    folder_of_films,
    run,
    staged,
)
from vujax.catalog import schema
from vujax.catalog.validate import find_problems
from vujax.utils.system import is_process_alive

pytestmark = pytest.mark.multiprocess


def until(happens: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_two_workers_give_what_one_gives(tmp_path: Path) -> None:
    films = folder_of_films(tmp_path / "in")
    one = run(films, tmp_path / "one")
    two = run(films, tmp_path / "two", workers=2)
    assert [o.status for o in one] == ["whole"] * 4
    assert sorted(o.film for o in one) == sorted(o.film for o in two)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_hosts_fill_one_catalogue(tmp_path: Path) -> None:
    films = folder_of_films(tmp_path / "in")
    run(films, tmp_path / "one")
    shares = [run(films, tmp_path / "two", host=i, hosts=2) for i in range(2)]
    assert sum(map(len, shares)) == 4
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_film_that_kills_its_worker_costs_no_other(tmp_path: Path) -> None:
    films = folder_of_films(tmp_path / "in", 2)
    film(films / "bad.mp4", size=(128, 64))
    deadly = functools.partial(Deadly, 128)
    outcomes = {o.source.path: o for o in run(films, tmp_path / "out", deadly)}
    assert [outcomes[f"film{i}.mp4"].status for i in range(2)] == ["whole"] * 2
    assert outcomes["bad.mp4"].status == "error"
    assert "its worker died 2 times (signal 6)" in outcomes["bad.mp4"].reason
    assert list(find_problems(tmp_path / "out")) == []
    again = {o.source.path: o for o in run(films, tmp_path / "out", functools.partial(Deadly, 1))}
    assert (again["bad.mp4"].status, again["film0.mp4"].done) == ("whole", False)
    assert staged(tmp_path / "out") == []


def test_a_film_that_hangs_is_given_up(tmp_path: Path) -> None:
    films = folder_of_films(tmp_path / "in", 2)
    film(films / "bad.mp4", size=(128, 64))
    hanging = functools.partial(Hanging, 128)
    outcomes = {o.source.path: o for o in run(films, tmp_path / "out", hanging, stall_s=4)}
    assert [outcomes[f"film{i}.mp4"].status for i in range(2)] == ["whole"] * 2
    assert outcomes["bad.mp4"].reason == "reading it made no progress for 4 s"
    assert list(find_problems(tmp_path / "out")) == []


def test_a_worker_that_cannot_start_is_one_clear_error(tmp_path: Path) -> None:
    films = folder_of_films(tmp_path / "in", 1)
    with pytest.raises(ValueError, match="no such weights"):
        run(films, tmp_path / "out", unready)


def unready() -> Cuts:
    raise ValueError("there are no such weights")


def test_a_killed_worker_costs_its_film_a_retry(tmp_path: Path) -> None:
    films, gate = folder_of_films(tmp_path / "in", 3), tmp_path / "gate"
    gate.mkdir()
    child = start(films, tmp_path / "out", gate)
    until(lambda: any(gate.iterdir()))
    for victim in gate.iterdir():
        os.kill(int(victim.name), signal.SIGKILL)
        victim.unlink()
    until(lambda: any(gate.iterdir()))  # another worker has begun
    open_gate(gate)
    assert child.wait(60) == 0
    run(films, tmp_path / "whole", functools.partial(Cuts, 20))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_kill_9_and_a_rerun_give_the_undisturbed_catalogue(tmp_path: Path) -> None:
    films, gate = folder_of_films(tmp_path / "in", 3), tmp_path / "gate"
    gate.mkdir()
    child = start(films, tmp_path / "out", gate)
    until(lambda: any(gate.iterdir()))
    workers = [int(path.name) for path in gate.iterdir()]
    child.kill()
    child.wait()
    until(lambda: not any(map(is_process_alive, workers)))
    assert schema.list_films(tmp_path / "out") == []
    assert staged(tmp_path / "out")  # what the dead left
    outcomes = run(films, tmp_path / "out", workers=2)
    assert [o.done for o in outcomes] == [True] * 3
    run(films, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert staged(tmp_path / "out") == []


def test_kill_9_at_any_moment_and_a_rerun(tmp_path: Path) -> None:
    films, gate = folder_of_films(tmp_path / "in", 6), tmp_path / "none"
    run(films, tmp_path / "whole")
    for kept in range(1, 6, 2):  # killed when so many films are there: in the midst of the next
        out = tmp_path / f"out{kept}"
        child = start(films, out, gate)
        until(lambda out=out, kept=kept: len(schema.list_films(out)) >= kept)
        child.kill()
        child.wait()
        run(films, out)
        assert contents(out) == contents(tmp_path / "whole")


def start(films: Path, out: Path, gate: Path) -> subprocess.Popen:
    """A run in a process of its own, whose films wait while the gate is there."""
    text = (
        "import functools, sys\nfrom pathlib import Path\n"
        "from tests.pipeline.ingest.films import Held, run\n"
        "if __name__ == '__main__':\n"
        "    films, out, gate = map(Path, sys.argv[1:])\n"
        "    run(films, out, functools.partial(Held, str(gate)))\n"
    )
    script = out.parent / "run.py"
    script.write_text(text)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), str(films), str(out), str(gate)]
    return subprocess.Popen(command, env=environment, cwd=ROOT)


def open_gate(gate: Path) -> None:
    gate.rename(gate.with_name("opened"))
