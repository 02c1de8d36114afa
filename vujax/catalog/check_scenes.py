"""Whether the scenes of a catalogue are whole, and of the films as they are now."""

from collections.abc import Iterator
from pathlib import Path

from vujax.catalog import layout, scenes, vectors
from vujax.catalog.parts import read_part
from vujax.catalog.staging import read_manifest


def scene_problems(root: Path, films: set[str]) -> Iterator[str]:
    """What is wrong, one sentence each.

    Args:
      root: of the catalogue.
      films: in it.
    """
    for path in sorted((root / scenes.FOLDER).glob("*")):
        if path.name.startswith("."):
            yield f"{path} is being made, or was left by a run that was killed: delete it"
        elif path.suffix != ".parquet" or path.stem not in films:
            yield f"{path} belongs to no film of the catalogue: delete it"
        elif manifest := read_manifest(root, path.stem):  # else said already
            try:
                yield from _film_scene_problems(root, path.stem, vectors.source(manifest))
            except (OSError, ValueError) as error:
                yield f"{path.stem}: {error}"


def _film_scene_problems(root: Path, film: str, made_from: str) -> Iterator[str]:
    """Its scenes must have each of its shots once, in order."""
    rows = scenes.read(root, film, made_from).to_pylist()
    shots = len(read_part(layout.part(root, "shots.parquet", film)))
    firsts = [*(row["first_shot"] for row in rows), shots]
    ends = [-1, *(row["last_shot"] for row in rows)]
    if any(first != end + 1 for first, end in zip(firsts, ends, strict=True)):
        yield f"{film}: its scenes leave shots out or have one twice: {scenes.AGAIN}"
