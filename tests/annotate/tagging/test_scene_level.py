"""Tags of scenes, from labels to rows; films without scenes are skipped and counted."""

import csv
from pathlib import Path

import pytest
from jax.sharding import Mesh

from tests.annotate.tagging.stub_catalog import embedded_catalog, write_table
from tests.encoders.stub import Stub
from vujax.annotate.tagging.labels import read_labels
from vujax.annotate.tagging.resolve import resolve_labels
from vujax.annotate.tagging.tagger import apply_tagger
from vujax.annotate.tagging.train import train_tagger
from vujax.catalog import Catalog, embeddings, scenes
from vujax.pipeline.embed import EmbedJob, EmbedStage, embed

pytestmark = pytest.mark.skipif("scene" not in embeddings.LEVELS, reason="no vectors of scenes yet")


def with_scenes(catalog: Catalog, film: str) -> None:
    """A scene of the first two shots, and one of the third."""
    shots, rows = catalog.shots(film), []
    for number, (first, last) in enumerate([(0, 1), (2, 2)]):
        times = dict(begin_s=shots["begin_s"][first].as_py(), end_s=shots["end_s"][last].as_py())
        row = dict(film=film, scene=number, id=f"{film}/c00{number}", first_shot=first)
        rows.append(row | times | dict(last_shot=last))
    scenes.write_scenes(
        catalog.path, film, embeddings.hash_source(catalog.manifest(film)), rows, {}
    )


def test_scenes_are_tagged(tmp_path: Path, mesh1: Mesh) -> None:
    catalog = Catalog(embedded_catalog(tmp_path, 4))
    films = catalog.film_ids()[:3]
    for film in films:
        with_scenes(catalog, film)
    levels = ("scene",)
    stage = EmbedStage(EmbedJob(catalog.path, Stub, levels=levels, batch=4))
    for source in embed(catalog.path, Stub, levels=levels).sources:
        stage(source)
    lines = [f"{film}/c000,warm" for film in films] + [f"{films[0]}/s0000,warm"]
    said = resolve_labels(
        catalog, "scene", read_labels(write_table(tmp_path / "labels.csv", lines))
    )
    assert said.notes == (
        "left out 1 row: it labels a shot, which is smaller than the scenes to tag",
    )
    tagger, report = train_tagger(catalog, said, encoder="stub", mesh=mesh1)
    assert report["map"] == 1
    out = tmp_path / "tags.csv"
    done = apply_tagger(tagger, catalog, out)
    assert (done.films, done.without, done.items, done.chosen) == (3, 1, 6, {"warm": 3})
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["id"].rpartition("/")[2] for row in rows] == ["c000", "c001"] * 3
    assert float(rows[0]["end_s"]) == catalog.shots(films[0])["end_s"][1].as_py()
