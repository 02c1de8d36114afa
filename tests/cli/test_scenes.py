"""`vujax scenes`: fast start, one sentence per error, and its table."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.encoders.stub import Stub
from tests.pipeline.ingest.films import film
from tests.scenes.results import result
from vujax import cli, encoders
from vujax.cli import scenes
from vujax.cli.runtime import VARIABLE
from vujax.scenes import exports

LENGTHS = (30, 12, 50, 26)
SHOTS = "begin_frame,end_frame\n0,30\n30,42\n42,92\n92,118\n"


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep compiled programs out of the user's cache."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "compiled"))


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the encoder `lite` by one without weights in this process."""
    monkeypatch.setattr(encoders, "check_encoder", lambda name: None)
    monkeypatch.setattr(encoders, "open_released", Stub)


def words(tmp_path: Path, *more: str, source: str = "a.mp4") -> list[str]:
    (tmp_path / "shots.csv").write_text(SHOTS)
    given = ["scenes", str(tmp_path / "in" / source), "--out", str(tmp_path / "out")]
    return [*given, "--shots", str(tmp_path / "shots.csv"), "--workers", "1", *more]


def test_starting_imports_nothing_heavy() -> None:
    code = (
        "import sys; from vujax import cli\n"
        "try: cli.main(['scenes', '--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('jax', 'av', 'pyarrow', 'numpy', 'tqdm') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert exports.names()[:2] == ("csv", "vtt") and exports.names()[-1] == "html"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--threshold", "2"], "threshold must be in 0..1, got 2"),
        (["--threshold", "-0.1"], "must be in 0..1, got -0.1"),
        (["--threshold", "nan"], "must be in 0..1, got nan"),
        (["--min-duration", "inf"], "0 seconds or more, got inf"),
        (["--head", "no-such"], "no-such is no model"),
        (["--threshold", "0.5", "--scenes", "3"], "a number of scenes and a threshold"),
        (["--scenes", "0"], "number of scenes must be at least 1"),
        (["--min-duration", "-1"], "0 seconds or more"),
        (["--encoder", "no-such"], "unknown encoder 'no-such'"),
        (["--shots", "no-such"], "unknown shot detector 'no-such'"),
        (["--workers", "0"], "workers must be at least 1"),
        (["--host", "0", "--hosts", "2"], "on one machine; run `vujax ingest`"),
    ],
)
def test_a_mistake_is_one_sentence(
    more: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch
) -> None:
    if "--encoder" not in more:
        monkeypatch.setattr(encoders, "check_encoder", lambda name: None)
    film(tmp_path / "in" / "a.mp4", LENGTHS)
    assert cli.main(words(tmp_path, "--head", "none", *more)) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("vujax: error: ")
    assert why in line


@pytest.mark.multiprocess
@pytest.mark.usefixtures("stub")
def test_a_film_to_files_and_a_table(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    film(tmp_path / "in" / "a.mp4", LENGTHS)
    assert cli.main(words(tmp_path, "--head", "none", "--scenes", "2")) == 0
    text = capsys.readouterr().out
    assert "a.mp4: 2 scenes, 4 shots, 0:00:05" in text
    assert "x real time: shots " in text
    assert [line[:8] for line in text.splitlines() if "x real time" in line] == [
        "read in ",
        "embedded",
        "took    ",
    ]
    found = json.loads((tmp_path / "out" / "scenes.json").read_text())
    assert sum(one["shots"] for one in found["scenes"]) == 4
    assert f"{1:>7}{'0:00.0':>12}" in text
    assert (tmp_path / "out" / "report.html").stat().st_size > 5000
    # Again, and another number: nothing is read anew.
    assert cli.main(words(tmp_path, "--head", "none", "--scenes", "3", "--formats", "csv")) == 0
    text = capsys.readouterr().out
    assert "0; 1 were already done" in text
    assert "3 scenes" in text


@pytest.mark.usefixtures("stub")
def test_what_is_not_there_and_where_nothing_can_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(words(tmp_path, "--head", "none", source="gone.mp4")) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("vujax: error: ")
    assert "gone.mp4" in line
    film(tmp_path / "in" / "a.mp4", LENGTHS)
    (tmp_path / "file").write_text("no folder")
    for out, why in (("file", "is a file; name"), ("file/out", "cannot write to")):
        assert cli.main(words(tmp_path, "--head", "none", "--out", str(tmp_path / out))) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert why in line


def test_one_is_one() -> None:
    assert scenes.table(result(shots=(9,), boundaries=()))[0] == "A film: 1 scene, 1 shot, 0:00:00"
    assert scenes.table(result())[0] == "A film: 3 scenes, 4 shots, 0:00:06"


@pytest.mark.multiprocess
@pytest.mark.usefixtures("stub")
def test_more_scenes_than_shots(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    film(tmp_path / "in" / "a.mp4", LENGTHS)
    assert cli.main(words(tmp_path, "--head", "none", "--scenes", "500")) == 1
    said = capsys.readouterr()
    assert said.err.strip() == "error: a.mp4: it has 4 shots, too few for 500 scenes"
    assert "Traceback" not in said.out


@pytest.mark.multiprocess
@pytest.mark.usefixtures("stub")
def test_a_bad_film_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    film(tmp_path / "in" / "bad.mp4", LENGTHS).write_text("no film")
    given = words(tmp_path, "--head", "none", "--formats", "csv", source="bad.mp4")
    assert cli.main(given) == 1
    assert "error: bad.mp4: " in capsys.readouterr().err
    assert not (tmp_path / "out" / "scenes.csv").exists()
    film(tmp_path / "in" / "a.mp4", LENGTHS)
    lists = tmp_path / "lists"
    lists.mkdir()
    for name in ("a", "bad"):
        (lists / f"{name}.csv").write_text(SHOTS)
    both = words(tmp_path, "--shots", str(lists), "--head", "none", "--formats", "csv", source="")
    assert cli.main(both) == 0
    assert cli.main([*both, "--strict"]) == 1
    assert (tmp_path / "out" / "a.csv").exists()
