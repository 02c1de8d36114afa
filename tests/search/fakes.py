"""A text space of colors for the embeddings of tests.encoders.stub.Stub, and catalogs."""

import hashlib
import types
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.encoders.stub import run
from tests.pipeline.ingest.films import Cuts, folder_of_films
from vujax.catalog import schema
from vujax.pipeline.ingest.detectors import share_detector
from vujax.pipeline.ingest.film import IngestJob, IngestStage
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.pipeline.sources import find_films
from vujax.search.text_space import LITE_SPACES, EncoderSpace
from vujax.utils.arrays import l2_normalize

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
METADATA = """path,title,year,genres
film0.mp4,First,1985,Drama|Crime
film1.mp4,<b>Second</b> & third,1995,Comedy
film2.mp4,,,
"""


class Colours:
    """A space in which texts are the sum of the colors they name, images their mean color."""

    name, dim = "colours", 3

    def __init__(self, version: int = 0) -> None:
        self.digest = hashlib.sha256(f"colours {version}".encode()).hexdigest()
        self.asked: list[str] = []

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """See `TextSpace`; a text without a colour is grey."""
        self.asked += texts
        rows = [[v for w, v in COLOURS.items() if w in text] or [(1, 1, 1)] for text in texts]
        return l2_normalize(np.array([np.sum(row, axis=0) for row in rows], np.float32))

    def map_embeddings(self, vectors: np.ndarray) -> np.ndarray:
        """See `TextSpace`."""
        if vectors.shape[1] != 6:
            raise ValueError(f"vectors of {vectors.shape[1]} numbers are not of this space")
        return l2_normalize(vectors[:, :3])


def catalogue(folder: Path, films: int = 3) -> Path:
    """Build a catalog of films with red, green and blue shots, metadata and embeddings."""
    (folder / "m.csv").write_text(METADATA)
    schema.create_catalog(folder / "out")
    work = IngestJob(
        folder / "out", IngestSettings(), lambda: share_detector(Cuts), folder / "m.csv"
    )
    stage = IngestStage(work)
    for source in find_films([folder_of_films(folder / "in", films)]).sources:
        stage(source)
    assert {outcome.status for outcome in run(folder / "out")} == {"whole"}
    return folder / "out"


def space_module(space: Colours) -> types.ModuleType:
    """Return a replacement of vujax.search.text_space."""
    module = types.ModuleType("vujax.search.text_space")
    module.open_text_space = lambda spec: space
    module.EncoderSpace, module.LITE_SPACES = EncoderSpace, LITE_SPACES
    return module
