"""The film files that a catalogue was made from, where they still are what they were."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vujax.catalog.ids import fingerprint

MOVED = "put the file back, or ingest the folder where it is now"


def film_file(row: Mapping[str, Any]) -> Path:
    """The file of a film.

    Nothing but what was ingested is ever named: the file lies in the folder that was read, without
    links that lead out of it, and its bytes still have the fingerprint in the film's id.

    Args:
      row: of the film, with `film`, `path` and `folder` of `layout.FILMS`.

    Raises:
      FileNotFoundError: it is not there, or another file is in its place.
    """
    folder, path = row["folder"] or "", row["path"] or ""
    if not folder or not path:
        raise FileNotFoundError(f"the catalogue does not say where {row['film']} was: {MOVED}")
    try:
        base = Path(folder).resolve(strict=True)
        file = Path(folder, path).resolve(strict=True)
        if not file.is_relative_to(base) or Path(path).is_absolute() or not file.is_file():
            raise FileNotFoundError(f"{path} does not lie in {folder}: {MOVED}")
        changed = fingerprint(file) != row["film"].rpartition("-")[2]
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not error.errno:
            raise
        raise FileNotFoundError(
            f"the file of {row['film']}, {path} in {folder}, cannot be read: {MOVED}"
        ) from None
    if changed:
        raise FileNotFoundError(f"{file} is no longer the file that was ingested: ingest it again")
    return file
