"""Atomic commits of films, and removal of the leftovers of killed processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.durability import record_syncs
from vujax.catalog import schema
from vujax.catalog.writer import Staging, read_manifest, remove_film, sweep_staging


def stage(root: Path, film: str, text: str, *, commit: bool = True) -> None:
    with Staging(root, film) as staging:
        staging.path("shots.parquet").write_text(text)
        if commit:
            staging.commit({"film": film})


def test_a_film_is_there_when_its_manifest_is(tmp_path: Path) -> None:
    schema.create_catalog(tmp_path)
    stage(tmp_path, "f", "one", commit=False)
    assert schema.list_films(tmp_path) == []
    assert not list((tmp_path / schema.STAGING).iterdir())
    stage(tmp_path, "f", "one")
    assert schema.list_films(tmp_path) == ["f"]
    assert read_manifest(tmp_path, "f")["files"]["shots.parquet"]["bytes"] == 3


def test_a_kill_at_any_rename_leaves_no_film_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rename of the second version is made the last thing that happens."""
    whole = Path.replace
    for last in range(4):
        root = tmp_path / str(last)
        schema.create_catalog(root)
        stage(root, "f", "one")
        count = 0

        def replace(self: Path, target: Path, last: int = last) -> Path:
            nonlocal count
            count += 1
            if count > last:
                raise KeyboardInterrupt
            return whole(self, target)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "replace", replace)
            stage(root, "f", "two")
            raise KeyboardInterrupt  # not reached while `last` is before the end
        made = schema.part_path(root, "shots.parquet", "f").read_text()
        if schema.list_films(root):
            assert read_manifest(root, "f") is not None
            assert made == "two"
    assert schema.list_films(root) == ["f"]


def test_what_was_made_of_a_films_shots_goes_with_them(tmp_path: Path) -> None:
    schema.create_catalog(tmp_path)
    stage(tmp_path, "f", "one")
    old = [tmp_path / "scenes.parquet" / "f.parquet", tmp_path / "vectors/shot/e-1/f.parquet"]
    other = tmp_path / "vectors/shot/e-1/g.parquet"
    for path in [*old, other]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    stage(tmp_path, "f", "two")
    assert [path.exists() for path in old] == [False, False]
    remove_film(tmp_path, "f")
    assert schema.list_films(tmp_path) == []
    assert not schema.part_path(tmp_path, "shots.parquet", "f").exists()
    assert other.exists()


def test_only_what_the_dead_left_is_swept(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    here = socket.gethostname()
    staging = tmp_path / schema.STAGING
    dead = staging / f"f~{here}~{gone.pid}"
    alive = staging / f"f~{here}~{os.getpid()}"
    elsewhere = staging / "f~another~1"
    for folder in (dead, alive, elsewhere):
        folder.mkdir(parents=True)
    sweep_staging(tmp_path)
    assert (dead.exists(), alive.exists(), elsewhere.exists()) == (False, True, True)
    sweep_staging(tmp_path, "g")
    assert elsewhere.exists()
    sweep_staging(tmp_path, "f")
    assert not elsewhere.exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(ValueError, match="is not empty and is not a vujax catalog"):
        schema.create_catalog(tmp_path)
    with pytest.raises(FileNotFoundError, match="vujax ingest"):
        schema.check_catalog(tmp_path)


def test_another_version_is_not_read(tmp_path: Path) -> None:
    schema.create_catalog(tmp_path)
    (tmp_path / schema.CATALOG_FILE).write_text('{"schema": 99}')
    with pytest.raises(ValueError, match="version 99"):
        schema.check_catalog(tmp_path)
    (tmp_path / schema.CATALOG_FILE).write_text("[")
    with pytest.raises(ValueError, match="damaged"):
        schema.check_catalog(tmp_path)


def test_a_film_is_on_the_disk_before_its_manifest_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.create_catalog(tmp_path)
    events = record_syncs(monkeypatch)
    stage(tmp_path, "f", "one")
    part, manifest = (
        schema.part_path(tmp_path, "shots.parquet", "f"),
        schema.manifest_path(tmp_path, "f"),
    )
    of_part, of_manifest = events.index(("rename", part)), events.index(("rename", manifest))
    assert "shots.parquet" in {path.name for event, path in events[:of_part] if event == "sync"}
    between = [path for event, path in events[of_part:of_manifest] if event == "sync"]
    assert part.parent in between
    assert manifest.name in {path.name for path in between}
    assert events[of_manifest + 1 :] == [("sync", manifest.parent)]
