"""Captions of a catalog: spans of items, captioners, and films without captions."""

from pathlib import Path

import jax
import numpy as np
import pyarrow as pa
import pytest

from tests.encoders.stub import catalogue, run
from tests.search.letters import Letters, picture_of
from vujax.catalog import Catalog, embeddings, scenes
from vujax.models import release
from vujax.models.caption import build_caption_model
from vujax.search.captions.bank import CaptionBank
from vujax.search.captions.calibration import Calibration
from vujax.search.captions.captioners import (
    CAPTIONS,
    BankCaptioner,
    caption_catalog,
    compute_spans,
    open_decoder,
)

SMALL = dict(encoder="stub", dim=6, vocab=600, context=6, width=8, layers=1, heads=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Build a catalog of two films with embeddings of keyframes and shots."""
    folder = catalogue(tmp_path_factory.mktemp("captions"))
    run(folder)
    return folder


def captioner(**options) -> BankCaptioner:
    return BankCaptioner(CaptionBank(["boat", "dog", "zebra"], Letters()), **options)


def test_the_best_of_the_bank():
    batch = captioner().caption(picture_of("boat", "zebr", "boats"))
    assert batch.captions == ["boat", "zebra", "boat"] and np.isnan(batch.probabilities).all()
    np.testing.assert_allclose(batch.scores, [1, 2 / 5**0.5, 2 / 5**0.5], rtol=1e-5)


def test_captions_that_are_not_good_enough():
    vectors = picture_of("boat", "xxxxb")
    assert captioner(min_score=0.5).caption(vectors).captions == ["boat", None]
    curve = Calibration((0.0, 1.0), (0.2, 0.6), 100)
    batch = captioner(min_score=0.5, calibration=curve).caption(vectors)
    assert batch.captions == ["boat", None]
    np.testing.assert_allclose(batch.probabilities, 0.2 + 0.4 * batch.scores, rtol=1e-6)
    assert captioner(min_score=0.7, calibration=curve).caption(vectors).captions == [None, None]


def test_captions_that_may_not_be_repeated():
    batch = captioner(repeats=1).caption(picture_of("boats", "boat", "boa", "bo"))
    assert batch.captions[1] == "boat" and batch.captions.count(None) == 1
    assert {text for text in batch.captions if text} == {"boat", "dog", "zebra"}


@pytest.mark.parametrize("level", ["frame", "shot"])
def test_every_film_has_a_table(root, level):
    catalog = Catalog(root)
    found = dict(caption_catalog(catalog, level, "stub", captioner(by="mine.txt")))
    assert list(found) == catalog.film_ids()
    for film, table in found.items():
        own = catalog.embeddings(level, "stub", film)
        assert table.schema == CAPTIONS and table["id"].to_pylist() == own["id"].to_pylist()
        assert set(table["by"].to_pylist()) == {"mine.txt"} and table["chance"].null_count
        begins, ends = (table[name].to_numpy() for name in ("begin_s", "end_s"))
        assert (begins <= ends).all() and (ends[:-1] <= begins[1:] + 1e-9).all()
        np.testing.assert_array_equal(begins, own["seconds"].to_numpy())
        if level == "shot":
            np.testing.assert_array_equal(ends, catalog.shots(film)["end_s"].to_numpy())
            np.testing.assert_array_equal(ends[:-1], begins[1:])
        batch = captioner().caption(embeddings.to_matrix(own))
        assert table["caption"].to_pylist() == batch.captions


def test_a_frame_ends_with_its_shot(root):
    catalog = Catalog(root)
    film = catalog.film_ids()[0]
    own = catalog.embeddings("frame", "stub", film)
    spans = compute_spans(catalog, "frame", film, own)
    ends = dict(zip(own["shot"].to_pylist(), spans["end_s"], strict=True))
    shots = catalog.shots(film)
    assert ends == dict(zip(shots["shot"].to_pylist(), shots["end_s"].to_pylist(), strict=True))


def test_scenes_last_as_the_catalogue_says(root):
    catalog = Catalog(root)
    film = catalog.film_ids()[0]
    row = dict(film=film, first_shot=0, last_shot=1, begin_pts=0, end_pts=9, encoder="", head="")
    rows = [
        row | dict(scene=i, id=f"{film}/c00{i}", begin_s=2.0 * i, end_s=2.0 * i + 2)
        for i in range(2)
    ]
    scenes.write_scenes(root, film, embeddings.hash_source(catalog.manifest(film)), rows, {})
    own = pa.table({"id": [rows[1]["id"]], "seconds": [2.0]})
    assert compute_spans(catalog, "scene", film, own) == dict(
        id=[rows[1]["id"]], begin_s=[2.0], end_s=[4.0]
    )


def test_a_film_without_vectors_has_a_reason(root, tmp_path):
    folder = catalogue(tmp_path)
    run(folder)
    catalog = Catalog(folder)
    gone = catalog.film_ids()[0]
    next((folder / "vectors" / "shot").rglob(f"{gone}.parquet")).unlink()
    found = dict(caption_catalog(catalog, "shot", "stub", captioner()))
    assert "does not exist; delete it and run `vujax embed`" in found[gone]
    assert [isinstance(table, str) for table in found.values()] == [True, False]


def released(folder: Path, **changes) -> Path:
    """Write an untrained decoder with weights large enough for varied captions."""
    model = build_caption_model(**SMALL)
    params = model.init(jax.random.key(0), np.zeros((1, 6)), np.zeros((1, 6), int))["params"]
    config = dict(model=SMALL, method=dict(name="caption")) | changes
    release.save(folder, config, {"params": jax.tree.map(lambda p: 5 * p, params)})
    return folder


@pytest.mark.long
def test_a_decoder_says_what_it_finds_most_likely(root, tmp_path):
    decoder = open_decoder(released(tmp_path / "mine"), beams=3)
    assert decoder.by == "mine" == open_decoder(tmp_path / "mine" / "release").by
    vectors = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    batch = decoder.caption(vectors)
    _, scores = decoder.model.search(decoder.variables, vectors, beams=3)
    np.testing.assert_allclose(batch.scores, np.exp(scores[:, 0]), rtol=1e-4)
    assert len(batch.captions) == 5 and any(batch.captions) and np.isnan(batch.probabilities).all()
    min_score = float(np.median(batch.scores))
    fewer = open_decoder(tmp_path / "mine", beams=3, min_score=min_score).caption(vectors)
    assert [text is None for text in fewer.captions] == [
        text is None or score < min_score
        for text, score in zip(batch.captions, batch.scores.tolist(), strict=True)
    ]
    found = dict(caption_catalog(Catalog(root), "shot", "stub", decoder))
    assert all(isinstance(table, pa.Table) for table in found.values())


def test_decoders_that_cannot_be(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no model"):
        open_decoder(tmp_path)
    other = released(tmp_path / "other", method=dict(name="distill"))
    with pytest.raises(
        ValueError, match="holds a model of the method distill, expected a caption decoder"
    ):
        open_decoder(other)
    with pytest.raises(
        ValueError, match=r"expects embeddings of dim 6, .* has dim 7; use --encoder stub"
    ):
        open_decoder(released(tmp_path / "mine")).caption(np.zeros((2, 7), np.float32))
