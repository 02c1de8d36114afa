"""Catalog of films of colored shots, with embeddings and labels of the colors."""

from pathlib import Path

from tests.encoders.stub import Stub, catalogue
from vujax.catalog import Catalog
from vujax.pipeline.embed import EmbedJob, EmbedStage, embed

NAMES = ("red", "green", "blue")  # the shots of each film, in order


def embedded_catalog(folder: Path, films: int = 5) -> Path:
    """Build films of three shots each, with embeddings of keyframes and shots."""
    root = catalogue(folder, films)
    embed_all(root)
    return root


def embed_all(root: Path, encoder: type | None = None) -> None:
    """Embed keyframes and shots by the stub, in this process."""
    make = encoder or Stub
    stage = EmbedStage(EmbedJob(root, make, batch=4))
    assert all(stage(source).done for source in embed(root, make).sources)


def label_rows(root: Path, films: slice = slice(None), end: str = "") -> list[str]:
    """Return `id,label` of each shot."""
    return [
        f"{film}/s{shot:04d},{name}{end}"
        for film in Catalog(root).film_ids()[films]
        for shot, name in enumerate(NAMES)
    ]


def write_table(path: Path, lines: list[str], header: str = "id,label") -> Path:
    """Write a file of labels."""
    path.write_text("\n".join([header, *lines]) + "\n")
    return path
