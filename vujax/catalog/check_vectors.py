"""Whether the vectors of a catalogue are whole, and of the films as they are now."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vujax.catalog import layout, scenes, vectors
from vujax.catalog.parts import read_part
from vujax.catalog.staging import read_manifest


def embedding_problems(root: Path, films: set[str]) -> Iterator[str]:
    """What is wrong, one sentence each.

    Args:
      root: of the catalogue.
      films: in it.
    """
    for level in sorted((root / vectors.FOLDER).glob("*")):
        if level.name not in vectors.LEVELS:
            yield f"{level} holds no vectors that this vujax knows: delete it"
            continue
        for folder in sorted(level.glob("*")):
            if folder.is_dir() and vectors.PLACE.fullmatch(folder.name):
                yield from _folder(root, level.name, folder, films)
            else:
                yield f"{folder} is no folder of an encoder's vectors: delete it"


def _folder(root: Path, level: str, folder: Path, films: set[str]) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            yield f"{path} is being made, or was left by a run that was killed: delete it"
        elif path.suffix != ".parquet" or path.stem not in films:
            yield f"{path} belongs to no film of the catalogue: delete it"
        else:
            try:
                yield from _file(root, level, folder, path)
            except (OSError, ValueError) as error:
                yield f"{path.stem}: {error}"


def _file(root: Path, level: str, folder: Path, path: Path) -> Iterator[str]:
    film, again = path.stem, "delete it and run `vujax embed` again"
    manifest = read_manifest(root, film)
    if manifest is None:  # said already
        return
    shelf = vectors.Shelf(root, level, vectors.model_of(folder, path))
    source, divided = vectors.source(manifest), None
    if level == "scene":
        divided = scenes.read(root, film, source)
        source = vectors.source_of_scenes(source, divided)
    table = shelf.read(film, source)
    shots, keyframes = (
        read_part(layout.part(root, name, film)) for name in ("shots.parquet", "keyframes.parquet")
    )
    if not table.drop_columns("vector").equals(vectors.rows(level, shots, keyframes, divided)):
        yield f"{path} has not one row for each {level} of its film, in order: {again}"
    if not np.isfinite(vectors.matrix(table)).all():
        yield f"{path} has numbers that are not finite: {again}"
