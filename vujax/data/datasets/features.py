"""Films with precomputed features of their shots, in npz files or Parquet.

A folder of npz files has one file per film, named after it, with the arrays

    KEY       [n f]    features of the shots; KEY selects one of several sets of features
    shots     [n 2]    first and last frame of each shot, inclusive
    boundary  [n-1]    1: a scene starts with the next shot; optional

A Parquet file, or a folder of them, has a row for each shot: film, shot (its number), vector (a
list of f numbers), and the times begin_s and end_s or the frames first_frame and last_frame; the
optional column start is true where a scene starts with the shot (the first shot's is ignored; null
in a whole film: not labeled). No file is trusted: nothing is unpickled.
"""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vujax.data.films import Shots, frames_to_seconds, select_films

NORMALIZE = ("none", "sum")
TIMES = {"seconds": ("begin_s", "end_s"), "frames": ("first_frame", "last_frame")}


@dataclass(frozen=True, eq=False)
class FeatureFilm(Shots):
    """A film whose features are in memory, in the dtype of their file.

    Attributes:
      vectors: features `[n f]`.
    """

    vectors: np.ndarray = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_features(self.film, self.vectors, len(self))

    def inputs(self, shots: np.ndarray) -> dict[str, np.ndarray]:
        """Return 'feature' float32 `[k f]` of these shots."""
        return {"feature": self.vectors[shots].astype(np.float32)}


def check_features(film: str, vectors: np.ndarray, shots: int) -> None:
    """Check that there is one finite feature vector for each shot.

    Raises:
      ValueError: there is not; names the film and the shot.
    """
    if vectors.ndim != 2 or len(vectors) != shots or not np.issubdtype(vectors.dtype, np.number):
        raise ValueError(
            f"{film} has features {list(vectors.shape)} of {vectors.dtype} for {shots} shots: it "
            f"needs numbers [{shots} f]"
        )
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        shot = int(np.flatnonzero(~finite)[0])
        raise ValueError(
            f"the features of shot {shot} of {film} are not finite: compute them again"
        )


def open_features(
    path: str,
    key: str = "vgg19",
    pattern: str = "*",
    normalize: str = "none",
    fps: float = 25.0,
    films: Sequence[str] | None = None,
) -> tuple[FeatureFilm, ...]:
    """Open the films of a folder of npz or Parquet files.

    Args:
      path: folder, or one Parquet file.
      key: array of an npz file.
      pattern: pattern of the file names, without their suffix.
      normalize: 'sum' divides each vector by its sum (counts of a histogram); zeros stay zeros.
      fps: frames per second; 25 is right for BBC and RAI, whose files lack it.
      films: only these, in this order.

    Raises:
      FileNotFoundError: the folder, or a file in it, does not exist.
      ValueError: a file is damaged or incomplete, films have features of different widths, or one
        of `films` is missing.
    """
    if normalize not in NORMALIZE:
        raise ValueError(
            f"unknown normalize {normalize!r}; expected one of: {', '.join(NORMALIZE)}"
        )
    files = find_feature_files(Path(path), pattern)
    if files[0].suffix == ".npz":
        names = select_films([file.stem for file in files], films, path)
        found = [_read_npz(Path(path) / f"{name}.npz", key, normalize, fps) for name in names]
    else:
        rows = {film: part for file in files for film, part in _read_films(file)}
        names = select_films(list(rows), films, path)
        found = [_parse_film(name, rows[name], normalize, fps) for name in names]
    for film in found:
        if film.vectors.shape[1] != found[0].vectors.shape[1]:
            raise ValueError(
                f"the features of {film.film} are {film.vectors.shape[1]} numbers wide, those of "
                f"{found[0].film} {found[0].vectors.shape[1]}: give films of one width"
            )
    return tuple(found)


def find_feature_files(path: Path, pattern: str) -> list[Path]:
    """Return the npz files of a folder, or its Parquet files if there are none.

    Raises:
      FileNotFoundError: there are neither.
    """
    if path.is_file():
        return [path]
    for suffix in (".npz", ".parquet"):
        if found := sorted(path.glob(f"{pattern}{suffix}")):
            return found
    raise FileNotFoundError(f"{path} has no file {pattern}.npz or {pattern}.parquet")


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of a file without unpickling.

    Raises:
      FileNotFoundError: the file does not exist.
      ValueError: it is damaged, or contains Python objects.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist") from None
    except (ValueError, OSError, zipfile.BadZipFile, EOFError, TypeError) as error:
        raise ValueError(f"{path} is not an npz file of plain arrays ({error})") from None


def _read_npz(path: Path, key: str, normalize: str, fps: float) -> FeatureFilm:
    arrays = read_npz(path)
    for name in (key, "shots"):
        if name not in arrays:
            raise ValueError(
                f"{path} has no array '{name}': it has {', '.join(arrays)} (choose with key, or "
                "leave the film out with films)"
            )
    frames = arrays["shots"]
    if frames.ndim != 2 or frames.shape[1] != 2 or not np.issubdtype(frames.dtype, np.integer):
        raise ValueError(f"'shots' of {path} must be integers [n 2], first and last frame")
    return FeatureFilm(
        path.stem,
        frames_to_seconds(frames, fps),
        frames,
        fps,
        arrays.get("boundary"),
        _normalized(arrays[key], normalize),
    )


def _normalized(vectors: np.ndarray, normalize: str) -> np.ndarray:
    if normalize == "none":
        return vectors
    total = vectors.sum(axis=-1, keepdims=True, dtype=np.float64)
    return (vectors / np.where(total == 0, 1, total)).astype(np.float32)


def _read_films(file: Path) -> Iterator[tuple[str, pa.Table]]:
    """Yield each film with its rows, in order of shot."""
    table = read_table(file, ("film", "shot", "vector"))
    for film in pc.unique(table["film"]).to_pylist():
        rows = table.filter(pc.equal(table["film"], film)).sort_by("shot")
        if rows["shot"].to_pylist() != list(range(len(rows))):
            raise ValueError(f"the shots of {film} in {file} are not numbered 0 to {len(rows) - 1}")
        yield film, rows


def read_table(file: Path, columns: Sequence[str]) -> pa.Table:
    """Read a Parquet file and check its columns.

    Raises:
      FileNotFoundError: the file does not exist.
      ValueError: it is damaged, or lacks a column.
    """
    try:
        table = pq.ParquetFile(file).read()
    except FileNotFoundError:
        raise FileNotFoundError(f"{file} does not exist") from None
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{file} is not a Parquet file ({error})") from None
    for column in columns:
        if column not in table.column_names:
            raise ValueError(
                f"{file} has no column '{column}': it has {', '.join(table.column_names)}"
            )
    return table


def _parse_film(film: str, rows: pa.Table, normalize: str, fps: float) -> FeatureFilm:
    vectors = _normalized(_matrix(film, rows["vector"]), normalize)
    return FeatureFilm(**parse_shot_columns(film, rows, fps), vectors=vectors)


def parse_shot_columns(film: str, rows: pa.Table, fps: float) -> dict[str, Any]:
    """Parse the arguments of `Shots` from the rows of a film, in order of shot.

    Raises:
      ValueError: they have no times, or a label is missing.
    """
    times = {
        name: np.stack([rows[column].to_numpy() for column in columns], axis=1)
        for name, columns in TIMES.items()
        if set(columns) <= set(rows.column_names)
        and not any(rows[column].null_count for column in columns)
    }
    if not times:
        raise ValueError(f"{film} has no times: add the columns begin_s and end_s")
    frames = times.get("frames")
    seconds = times["seconds"] if "seconds" in times else frames_to_seconds(frames, fps)
    rate = fps if frames is not None else None
    return dict(film=film, seconds=seconds, frames=frames, fps=rate, starts=_starts(film, rows))


def _starts(film: str, rows: pa.Table) -> np.ndarray | None:
    if "start" not in rows.column_names:
        return None
    column = rows["start"].slice(1)
    if len(rows) > 1 and column.null_count == len(column):
        return None
    if column.null_count:
        raise ValueError(f"{film} has shots without a value of 'start': label all or none")
    return column.to_numpy()


def _matrix(film: str, column: pa.ChunkedArray) -> np.ndarray:
    lengths = set(pc.unique(pc.list_value_length(column)).to_pylist())
    if len(lengths) != 1 or None in lengths:
        raise ValueError(
            f"the vectors of {film} are of different widths: {sorted(lengths, key=str)}"
        )
    flat = pc.list_flatten(column).to_numpy()
    return flat.reshape(len(column), -1)
