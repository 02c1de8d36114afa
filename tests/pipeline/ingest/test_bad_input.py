"""Bad input of every kind: a row with the reason, exit status 0, a complete catalog."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.configs import ROOT
from tests.pipeline.ingest.bad_films import QUOTED, bad_films
from tests.pipeline.ingest.films import Cuts, film, film_with_sound, staged
from tests.pipeline.ingest.test_film import read
from tests.video.clips import flipped
from vujax import cli
from vujax.catalog import Catalog, schema
from vujax.catalog.validate import find_problems
from vujax.pipeline.ingest import detectors
from vujax.pipeline.ingest.detectors import share_detector

MIB = 1 << 20

ERRORS = {
    "empty.mp4": "is empty",
    "text.mp4": "cannot be read as a film",
    "sound.mkv": "has no video stream, only sound",
    "pipe.mp4": "is not a regular file",
    "loop.mp4": "cannot be opened (Too many levels of symbolic links)",
    "nothing.mkv": "cannot be read as a film",
    "zero.mkv": "cannot be read as a film",
    "zero.mp4": "has no decodable video or audio stream",
    "unkeyed.mkv": "no frame of it can be decoded",
    "unkeyed.mp4": "no frame of it can be decoded",
    "unkeyed.ts": "has frames of 0x0",
    "lie64.mp4": "cannot be read as a film",
    "samples.mp4": "cannot be read as a film",
    "ages.avi": "counts time in steps of 132819627 s",
    "secret.mp4": "is not readable",
    "listed/a.mp4": "cannot be opened (Permission denied)",
}
PARTS = {
    "half.mp4": "though its header says 5.83 s",
    "half.mkv": "though its header says 5.83 s",
    "headless.mkv": "frames are missing for 1.96 s",
}
FRAMES = {
    "lie.mp4": 60,
    "timeless.mp4": 60,
    "backwards.ts": 80,
    "two.mkv": 60,
    "pixel.mkv": 9,
    "frame.mp4": 1,
    "film.mp4": 92,
    "film.mkv": 92,
    "deep/film.mp4": 92,
    "deep/er/film.mp4": 92,
    "folder.mp4/inside.mp4": 92,
    QUOTED: 92,
}


def powerless(command: list[str]) -> list[str]:
    """The command as one that file permissions hold for.

    Root keeps its files and loses its powers over those of mode 000: another user may have no way
    to the interpreter.
    """
    if os.geteuid():
        return command
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run over all bad films: status, lines of output, rows by path, memory of a worker."""
    top = tmp_path_factory.mktemp("bad")
    bad_films(top / "in", top / "spare")
    command = [sys.executable, "-m", "vujax.cli", "ingest", str(top / "in"), "--audio"]
    command += ["--out", str(top / "out"), "--detector=adaptive", "--workers=2"]
    # The command line, then the most memory that any of its processes had.
    code = (
        "import json, resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True, timeout=120)\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "print(json.dumps([done.returncode, done.stdout, done.stderr, peak]))\n"
    )
    done = subprocess.run(
        powerless([sys.executable, "-c", code, *command]),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("closed", "listed"):
        (top / "in" / name).chmod(0o755)  # pytest removes them
    status, out, err, peak = json.loads(done.stdout)
    rows = {row["path"]: row for row in Catalog(top / "out").films().to_pylist()}
    return SimpleNamespace(
        status=status, out=out.splitlines(), err=err, rows=rows, root=top / "out", peak=peak
    )


@pytest.mark.multiprocess
def test_bad_films_do_not_make_the_run_fail(ingested: SimpleNamespace) -> None:
    assert (ingested.status, ingested.err) == (0, "")
    whole, partial, error = len(FRAMES), len(PARTS), len(ERRORS)
    total = whole + partial + error
    counted = f"{total} ({whole} whole, {partial} partial, {error} error)"
    assert ingested.out[0].split(maxsplit=1) == ["films", counted]
    assert set(ingested.rows) == {*ERRORS, *PARTS, *FRAMES}
    assert list(find_problems(ingested.root)) == []
    assert staged(ingested.root) == []
    assert ingested.peak * 1024 < 1024 * MIB  # whatever sizes the headers claim


@pytest.mark.multiprocess
def test_each_bad_film_has_its_reason(ingested: SimpleNamespace) -> None:
    for status, wanted in (("error", ERRORS), ("partial", PARTS)):
        for path, reason in wanted.items():
            row = ingested.rows[path]
            assert (path, row["status"]) == (path, status)
            assert reason in row["reason"]
            assert (row["shots"] > 0) == (status == "partial")
            assert f"{status}: {path}: {row['reason']}" in ingested.out
    assert "error: closed: the folder is not readable" in ingested.out


@pytest.mark.multiprocess
def test_odd_films_are_whole(ingested: SimpleNamespace) -> None:
    rows = {path: ingested.rows[path] for path in FRAMES}
    assert {path: row["frames"] for path, row in rows.items()} == FRAMES
    assert {row["status"] for row in rows.values()} == {"whole"}
    assert all(row["shots"] and row["keyframes"] for row in rows.values())
    sizes = [(rows[path]["width"], rows[path]["height"]) for path in ("two.mkv", "pixel.mkv")]
    assert sizes == [(96, 64), (1, 1)]
    assert (rows["backwards.ts"]["repaired"], rows["timeless.mp4"]["repaired"]) == (40, 59)


SEEDS = {"a.mp4": 0, "b.mkv": 1, "c.ts": 2, "d.avi": 3, "sound.mkv": 4}


def late_cuts(name: str, options: dict) -> object:
    """Stands for the detectors by name: at the top of a module, so that workers find it."""
    return share_detector(lambda: Cuts(5))


def altered_films(folder: Path, spare: Path) -> None:
    """200 small films in which some bytes were changed."""
    folder.mkdir()
    spare.mkdir()
    for name, seed in SEEDS.items():
        make = film if name != "sound.mkv" else lambda path, n: film_with_sound(path, n, 0.75)
        whole = make(spare / name, (8, 10)).read_bytes()
        for i, data in enumerate(flipped(whole, seed)):
            (folder / f"{i:02d}{name}").write_bytes(data)


@pytest.mark.multiprocess
def test_200_altered_films(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(detectors, "open_shared_detector", late_cuts)
    altered_films(tmp_path / "in", tmp_path / "spare")
    root = tmp_path / "out"
    words = ["ingest", str(tmp_path / "in"), "--audio=8000", "--detector=adaptive", "--workers=2"]
    assert cli.main([*words, "--out", str(root)]) == 0
    out = capsys.readouterr().out
    rows = Catalog(root).films().to_pylist()
    counts = {s: sum(r["status"] == s for r in rows) for s in ("whole", "partial", "error")}
    assert f"200 ({', '.join(f'{n} {status}' for status, n in counts.items())})" in out
    assert min(counts.values()) > 10
    assert all((row["status"] == "whole") == (row["reason"] == "") for row in rows)
    assert not [row["reason"] for row in rows if not row["reason"].isprintable()]
    # Nothing but the film was at fault: such films are not tried again.
    assert [row["reason"] for row in rows if not _final(root, row["film"])] == []
    assert list(find_problems(root)) == []
    assert staged(root) == []
    assert cli.main([*words, "--strict", "--out", str(root)]) == 1
    assert "0; 200 were already done" in capsys.readouterr().out


def _final(root: Path, name: str) -> bool:
    return json.loads(schema.manifest_path(root, name).read_text())["final"]


def test_a_namesake_costs_no_film_its_only_row(tmp_path: Path) -> None:
    """Ids of films with like names differ from those that they have alone."""
    folder, root = tmp_path / "in", tmp_path / "out"
    film(folder / "a.mp4", (10, 10))
    (alone,) = read(folder, root)
    film(folder / "A.mkv", (10, 12))
    for _ in range(2):
        ids = sorted(outcome.film for outcome in read(folder, root))
        assert schema.list_films(root) == ids
        assert sorted(Catalog(root).films()["path"].to_pylist()) == ["A.mkv", "a.mp4"]
    (folder / "A.mkv").unlink()
    (again,) = read(folder, root)
    assert again.film == alone.film
    assert sorted(Catalog(root).films()["path"].to_pylist()) == ["A.mkv", "a.mp4"]


def test_a_film_that_cannot_be_reached_keeps_what_was_read_of_it(tmp_path: Path) -> None:
    path = film(tmp_path / "in" / "a.mp4", (10, 10))
    (old,) = read(tmp_path / "in", tmp_path / "out")
    path.rename(tmp_path / "kept.mp4")
    path.symlink_to("a.mp4")
    assert [o.status for o in read(tmp_path / "in", tmp_path / "out")] == ["error"]
    assert old.film in schema.list_films(tmp_path / "out")
    path.unlink()
    (tmp_path / "kept.mp4").rename(path)
    assert not read(tmp_path / "in", tmp_path / "out")[0].done
    assert schema.list_films(tmp_path / "out") == [old.film]
