"""Loading of a film's shot embeddings."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.encoders.stub import Stub, catalogue
from vujax.catalog import Catalog, embeddings
from vujax.scenes.film import load_shot_embeddings


def test_a_shot_without_a_keyframe_takes_the_vector_before_it(tmp_path: Path) -> None:
    catalog = Catalog(catalogue(tmp_path, 1))
    (film,) = catalog.film_ids()
    stub, source = Stub(dim=2), embeddings.hash_source(catalog.manifest(film))
    shelf = embeddings.EmbeddingStore(
        catalog.path, "shot", embeddings.EmbeddingModel("stub", stub.digest, 2)
    )
    rows = embeddings.build_rows("shot", catalog.shots(film), catalog.keyframes(film))
    for kept, wanted in (([0, 2], [0, 0, 1]), ([1], [0, 0, 0])):
        found = np.arange(2 * len(kept), dtype=np.float32).reshape(-1, 2)
        shelf.write(film, source, rows.take(pa.array(kept)), found)
        shots = load_shot_embeddings(catalog, film, "stub")
        np.testing.assert_array_equal(shots.vectors, found[wanted])
        assert shots.seconds.shape == (3, 2)
        assert shots.seconds[1, 0] == shots.seconds[0, 1]
    shelf.write(film, source, rows.take(pa.array([], pa.int64())), np.zeros((0, 2), np.float32))
    with pytest.raises(ValueError, match="it has no keyframes"):
        load_shot_embeddings(catalog, film, "stub")
