"""Writes films as `vujax.data.datasets.prepared` reads them; a later run of the same call completes
them.
"""

import io
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image

from vujax.data.datasets.prepared import FORMAT, read_manifest
from vujax.data.datasets.shot_folders import KEYFRAMES, FolderFilm
from vujax.data.images import BICUBIC, FORMATS, to_rgb
from vujax.data.sources.array_record import MANIFEST, WRITER_OPTIONS
from vujax.utils.io import write_array, write_atomically, write_json, write_parquet

JPEG_QUALITY = 90  # of JPEG files that are made smaller
CHUNK_SHOTS = 256  # whose features are read at once


def prepare_films(
    splits: Mapping[str, Sequence[FolderFilm]],
    folder: Path,
    *,
    origin: Mapping[str, Any],
    side: int | None = None,
    workers: int = 1,
    allow_missing: bool = False,
    progress: Callable[[int], Any] = lambda shots: None,
) -> dict[str, Any]:
    """Writes a folder of films.

    A film that cannot be read is left out and named in dataset.json; it is tried again the next
    time. With such films the folder is not complete, and is not opened, unless they are allowed.

    Args:
      splits: the films of each; one that is in several is written once, with labels if it has any.
      folder: new, or that of an interrupted call with the same arguments.
      origin: what the films were opened with, kept in dataset.json.
      side: pictures whose shorter side is longer are made this small; others, and None, keep their
        bytes.
      workers: processes.
      allow_missing: whether films may be left out, of their splits too.
      progress: called with the number of shots done since the last call.

    Returns:
      The contents of dataset.json.

    Raises:
      ValueError: the folder holds films that were prepared otherwise.
    """
    names = {split: [film.film for film in films] for split, films in splits.items()}
    plan = dict(format=FORMAT, origin=json.loads(json.dumps(origin)), side=side)
    facts = _start(folder, plan)
    facts |= dict(complete=False, left_out={}, splits=names)
    todo = []
    for film in _once(splits):
        if film.film in facts["films"]:
            progress(len(film))
        else:
            todo.append(film)
    for film, found in _written(todo, folder, side, workers):
        facts["left_out" if isinstance(found, str) else "films"][film.film] = found
        write_json(folder / MANIFEST, facts)
        progress(len(film))
    if allow_missing:
        there = {k: [film for film in v if film in facts["films"]] for k, v in names.items()}
        facts["splits"] = there
    facts["complete"] = allow_missing or not facts["left_out"]
    write_json(folder / MANIFEST, facts)
    return facts


def _start(folder: Path, plan: Mapping[str, Any]) -> dict[str, Any]:
    """What dataset.json of an earlier call says, or that nothing is done."""
    if not (folder / MANIFEST).exists():
        return {**plan, "films": {}}
    found = read_manifest(folder)
    if different := [key for key, value in plan.items() if found.get(key) != value]:
        raise ValueError(
            f"{folder} has films that were prepared differently ({', '.join(different)} differ): "
            "use an empty folder"
        )
    return found


def _once(splits: Mapping[str, Sequence[FolderFilm]]) -> list[FolderFilm]:
    result: dict[str, FolderFilm] = {}
    for films in splits.values():
        for film in films:
            if film.film not in result or result[film.film].starts is None:
                result[film.film] = film
    return list(result.values())


def _written(
    films: Sequence[FolderFilm], folder: Path, side: int | None, workers: int
) -> Iterator[tuple[FolderFilm, dict[str, Any] | str]]:
    """Each film as it is done, and its facts or what is wrong with it."""
    if workers == 1:
        for film in films:
            yield film, write_film(film, folder, side)
        return
    # spawn: the caller may have threads, which a fork would lose
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool:
        tasks = {pool.submit(write_film, film, folder, side): film for film in films}
        try:
            for task in as_completed(tasks):
                yield tasks[task], task.result()
        finally:
            pool.shutdown(cancel_futures=True)


def write_film(film: FolderFilm, folder: Path, side: int | None) -> dict[str, Any] | str:
    """Writes a film's files.

    Returns:
      Its facts for dataset.json; or, if it cannot be read, why.

    Raises:
      OSError: the folder cannot be written to.
    """
    places = [folder / f"{film.film}{suffix}" for suffix in (".array_record", ".npy", ".parquet")]
    try:
        if film.folders.keyframes:
            write_atomically(places[0], lambda path: _write_pictures(film, path, side))
        if film.folders.features:
            vectors = _features(film)
            write_array(places[1], vectors)
        write_parquet(places[2], _rows(film), compression="snappy")
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    return dict(
        shots=len(film),
        fps=film.fps,
        boundaries=None if film.starts is None else int(film.starts.sum()),
        pictures=film.folders.keyframes is not None,
        features=film.folders.features is not None,
    )


def _write_pictures(film: FolderFilm, path: Path, side: int | None) -> None:
    writer = ArrayRecordWriter(str(path), WRITER_OPTIONS)
    try:
        for shot in range(len(film)):
            for k in range(KEYFRAMES):
                name = film.folders.picture(film.film, shot * KEYFRAMES + k)
                writer.write(shrink_image(film.jpeg(shot, k), side, str(name)))
    finally:
        writer.close()


def shrink_image(data: bytes, side: int | None, name: str) -> bytes:
    """A picture whose shorter side is at most `side` pixels: the same bytes if it is so already.

    Raises:
      ValueError: it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            short = min(image.size)
            if side is None or short <= side:
                image.load()  # what cannot be decoded must not be kept
                return data
            size = tuple(max(1, round(side * length / short)) for length in image.size)
            image.draft("RGB", size)
            file = io.BytesIO()
            to_rgb(image).resize(size, BICUBIC).save(file, "JPEG", quality=JPEG_QUALITY)
            return file.getvalue()
    except Exception as error:  # Pillow answers damaged files with almost any exception
        raise ValueError(f"{name} cannot be decoded ({type(error).__name__})") from None


def _features(film: FolderFilm) -> np.ndarray:
    shots = np.arange(len(film))
    parts = np.split(shots, range(CHUNK_SHOTS, len(shots), CHUNK_SHOTS))
    return np.concatenate([film.features(part) for part in parts])


def _rows(film: FolderFilm) -> pa.Table:
    n = len(film)
    frames = np.zeros((n, 2), np.int64) if film.frames is None else film.frames
    unknown = np.full(n, film.frames is None)
    starts = np.zeros(n, bool) if film.starts is None else np.append(True, film.starts)
    return pa.table(
        {
            "film": pa.array([film.film] * n),
            "shot": pa.array(np.arange(n, dtype=np.int32)),
            "begin_s": film.seconds[:, 0],
            "end_s": film.seconds[:, 1],
            "first_frame": pa.array(frames[:, 0], mask=unknown),
            "last_frame": pa.array(frames[:, 1], mask=unknown),
            "start": pa.array(starts, mask=np.full(n, film.starts is None)),
        }
    )
