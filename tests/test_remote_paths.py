"""The address of a bucket, wherever a path is taken: one sentence, and no folder named 'gs:'."""

from collections.abc import Callable
from pathlib import Path

import pytest

import vujax
from tests.configs import tiny
from vujax.cli import main
from vujax.data.registry import open_films, open_scenes
from vujax.data.sources import open_source

BUCKET = "gs://bucket/folder"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not [path for path in tmp_path.iterdir() if ":" in path.name]


@pytest.mark.parametrize(
    "arguments",
    [
        ["scenes", BUCKET, "--out", "out"],
        ["scenes", "film.mp4", "--out", BUCKET],
        ["ingest", BUCKET, "--out", "catalog"],
        ["ingest", "films", "--out", BUCKET],
        ["embed", BUCKET, "--encoder", "lite"],
        ["search", BUCKET, "a boat"],
        ["synthesize", "--films", "1", "--out", BUCKET],
    ],
)
def test_commands(arguments, capsys):
    assert main(arguments) == 1
    assert f"error: {BUCKET} is not on this machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    "call",
    [
        lambda: vujax.Catalog(BUCKET),
        lambda: vujax.load_model(BUCKET),
        lambda: vujax.ingest(BUCKET, "catalog"),
        lambda: vujax.detect_scenes(BUCKET),
        lambda: vujax.train(tiny(), Path(BUCKET)),
        lambda: open_source("webdataset", path=f"{BUCKET}/*.tar"),
        lambda: open_source("table", path=f"{BUCKET}/a.csv"),
        lambda: open_source("folder", path=BUCKET),
        lambda: open_films("features", path=BUCKET, key="x"),
        lambda: open_scenes("movieclip", path=BUCKET, clips="clips.csv"),
    ],
)
def test_functions(call: Callable):
    with pytest.raises(ValueError, match="is not on this machine"):
        list(call())
