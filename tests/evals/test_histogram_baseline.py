"""The color baseline: histograms, neighbors and bags of words by hand."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from tests.evals.fakes import SIZE, Memory, Oracle
from vujax.evals.histogram_baseline import ColorNeighbors, color_histogram
from vujax.evals.reader import Reader


def test_histogram_equals_numpy():
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3)).astype(np.uint8)
    found = np.asarray(color_histogram(jnp.asarray(images)))
    for image, row in zip(images, found, strict=True):
        counts, _ = np.histogramdd(image.reshape(-1, 3), bins=8, range=[(0, 256)] * 3)
        chex.assert_trees_all_close(row, np.sqrt(counts.ravel() / 63).astype(np.float32), rtol=1e-6)
    np.testing.assert_allclose((found**2).sum(1), 1, rtol=1e-6)


@pytest.fixture
def colours(mesh8):
    """Six dark and six light pictures, captioned."""
    images = [np.full((SIZE, SIZE, 3), level, np.uint8) for level in [3] * 6 + [250] * 6]
    captions = [["night sky"]] * 4 + [["night street"]] * 2 + [["snow"]] * 6
    train = Memory([None] * 12, captions, images=images)
    return ColorNeighbors(Reader(train, Oracle(2), mesh8), neighbors=6), images, mesh8


def test_a_picture_is_the_mean_of_its_neighbors_captions(colours):
    neighbors, images, mesh = colours
    reader = Reader(Memory([None] * 2, images=[images[0], images[-1]]), Oracle(2), mesh)
    dark, light = neighbors.embed_images(reader)
    night_sky, night_street, snow = neighbors.embed_texts(["night sky", "night street", "snow"])
    mean = (4 * night_sky + 2 * night_street) / 6
    chex.assert_trees_all_close(dark, mean / np.linalg.norm(mean), rtol=1e-5)
    chex.assert_trees_all_close(light, snow, rtol=1e-5)


def test_texts_weigh_rare_words_more_and_ignore_unknown_ones(colours):
    neighbors, *_ = colours
    street, sky, unknown = neighbors.embed_texts(["night street", "Night, SKY! unseen", "unseen"])
    columns = {word: column for word, (column, _) in neighbors.words.items()}
    assert street[columns["street"]] > street[columns["night"]] > 0
    assert sky[columns["sky"]] > 0
    np.testing.assert_array_equal(unknown, 0)
    np.testing.assert_allclose(np.linalg.norm([street, sky], axis=1), 1, rtol=1e-6)
