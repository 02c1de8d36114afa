"""An encoder without a network, and catalogs to embed."""

import hashlib
import os
import time
from pathlib import Path

import numpy as np

from tests.pipeline.ingest.films import Cuts, folder_of_films
from vujax.catalog import schema
from vujax.encoders.base import Encoder
from vujax.models.image_spec import ImageSpec
from vujax.pipeline.embed import embed
from vujax.pipeline.ingest.detectors import share_detector
from vujax.pipeline.ingest.film import IngestJob, IngestStage
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.pipeline.run import RunnerOptions
from vujax.pipeline.sources import find_films
from vujax.pipeline.stage import Outcome


class Stub(Encoder):
    """Means of a picture's channels and their squares: `dim` numbers that tell pictures apart."""

    image_spec = ImageSpec.square(16)

    def __init__(self, version: int = 0, dim: int = 6, name: str = "stub") -> None:
        self.name, self.dim, self._version = name, dim, version
        self.digest = hashlib.sha256(f"{name} {version} {dim}".encode()).hexdigest()
        self.shapes: list[tuple[int, ...]] = []

    def encode(self, images: np.ndarray) -> np.ndarray:
        """See `vujax.encoders.base.Encoder`."""
        self.shapes.append(images.shape)
        pixels = images.astype(np.float64) / 255
        both = [pixels.mean(axis=(1, 2)), (pixels**2).mean(axis=(1, 2))]
        found = np.concatenate(both, axis=1) + self._version
        return np.resize(found, (len(images), self.dim)).astype(np.float32)


class Held(Stub):
    """Waits inside a film for as long as a file is there, so that a test can kill it there."""

    def __init__(self, gate: str) -> None:
        super().__init__()
        self._gate = Path(gate)

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Writes its process number into the gate's folder, then waits."""
        if self._gate.exists() and images.any():  # not at the trial that every worker begins with
            (self._gate / str(os.getpid())).touch()
            while self._gate.exists():
                time.sleep(0.05)
        return super().encode(images)


class WithGpu(Stub):
    """Wants to be where Ray gave it a GPU."""

    def __init__(self) -> None:
        super().__init__()
        if not os.environ.get("CUDA_VISIBLE_DEVICES"):
            raise ValueError("this worker was given no GPU")


class Dies(Stub):
    """Ends its process at the first picture."""

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Aborts, but not at the trial."""
        if images.any():
            os.abort()
        return super().encode(images)


def catalogue(folder: Path, films: int = 2) -> Path:
    """A catalogue of small films, made in this process."""
    schema.create_catalog(folder / "out")
    stage = IngestStage(IngestJob(folder / "out", IngestSettings(), lambda: share_detector(Cuts)))
    for source in find_films([folder_of_films(folder / "in", films)]).sources:
        stage(source)
    return folder / "out"


def run(root: Path, encoder: object = Stub, batch: int = 4, **runner: object) -> list[Outcome]:
    """Embeds with both levels."""
    prepared = embed(root, encoder, batch=batch, runner=RunnerOptions(**{"workers": 2} | runner))
    return [event for event in prepared.events if isinstance(event, Outcome)]


def vector_files(root: Path) -> dict[str, bytes]:
    """Every file of vectors."""
    found = (root / "vectors").rglob("*")
    return {str(path.relative_to(root)): path.read_bytes() for path in found if path.is_file()}
