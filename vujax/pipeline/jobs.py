"""Ingest and embedding in this process, for scripts and notebooks.

    report = ingest("films/", "catalog/")
    report.failed                      # {'films/bad.mp4': 'it has no video'}
    embed("catalog/", "lite", level="shot")

The command line gives the same work to several processes or to Ray.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vujax import encoders
from vujax.catalog import Catalog, schema
from vujax.catalog.metadata import Metadata
from vujax.catalog.writer import sweep_staging
from vujax.pipeline.embed import EmbedJob, EmbedStage
from vujax.pipeline.ingest.detectors import open_detectors
from vujax.pipeline.ingest.film import IngestJob, IngestStage
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.pipeline.sources import build_embed_source, find_films
from vujax.pipeline.stage import Outcome
from vujax.utils.system import count_cores


@dataclass(frozen=True)
class JobReport:
    """Result of a job over films.

    Attributes:
      catalog: root of the catalog.
      outcomes: one per film, in order.
    """

    catalog: Path
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> dict[str, str]:
        """Reasons by path of the films that are not whole."""
        return {done.source.path: done.reason for done in self.outcomes if done.reason}

    @property
    def num_new(self) -> int:
        """Number of films that were not finished before."""
        return sum(done.done for done in self.outcomes)


def ingest(
    paths: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    detector: str | Path = "transnetv2",
    settings: IngestSettings | None = None,
    metadata: str | Path | None = None,
) -> JobReport:
    """Read films into a catalog of shots and keyframes, one after the other.

    Finished films are skipped, so the same call resumes an interrupted one.

    Args:
      paths: a film, a folder of films, or several of these.
      out: root of the catalog; created if it is missing.
      detector: shot detector (transnetv2, adaptive, content), or a list of known shots.
      settings: keyframes and audio to keep.
      metadata: CSV or Parquet table to join to the films.

    Raises:
      FileNotFoundError: a path is missing.
      ValueError: an argument is wrong, or `out` is not a catalog of this version.
      OSError: a file cannot be read or written.
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    root = Path(out).resolve()
    films = find_films([Path(path) for path in several], root)
    table = None if metadata is None else Path(metadata).resolve()
    if table is not None:
        Metadata.read(table)  # fail before hours of work
    make = open_detectors(detector)
    schema.create_catalog(root)
    sweep_staging(root)
    stage = IngestStage(IngestJob(root, settings or IngestSettings(), make, table))
    return JobReport(root, tuple(stage(source, _ignore) for source in films.sources))


def embed(
    catalog: str | Path | Catalog,
    encoder: str = "lite",
    *,
    level: str | None = None,
    batch: int = 32,
) -> JobReport:
    """Compute the embeddings that the films of a catalog lack.

    Args:
      catalog: root of the catalog.
      encoder: 'lite', or the directory of a trained or imported model.
      level: 'frame', 'shot' or 'scene'; None: keyframes and shots.
      batch: images, or shots, per call of the network.

    Raises:
      FileNotFoundError, ValueError: an argument is wrong, or `catalog` is not a catalog.
      OSError: released weights are not available.
    """
    root = (catalog.path if isinstance(catalog, Catalog) else Path(catalog)).resolve()
    films = Catalog(root).film_ids()
    levels = None if level is None else (level,)
    make = encoders.make_opener(encoder)
    stage = EmbedStage(EmbedJob(root, make, levels, batch, count_cores()))
    return JobReport(root, tuple(stage(build_embed_source(root, film), _ignore) for film in films))


def _ignore(seconds: float) -> None:
    """Take no note of progress."""
