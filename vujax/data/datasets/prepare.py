"""Preparation of films for `vujax.data.datasets.prepared`; a repeated call resumes it."""

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

JPEG_QUALITY = 90  # of images that are resized
CHUNK_SHOTS = 256  # shots whose features are read at once


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
    """Write a folder of films.

    A film that cannot be read is left out and named in dataset.json; the next call retries it. With
    such films the folder is incomplete, and cannot be opened, unless `allow_missing` is set.

    Args:
      splits: films of each split; one in several splits is written once, with labels if it has any.
      folder: new folder, or that of an interrupted call with the same arguments.
      origin: options of the films, recorded in dataset.json.
      side: images whose shorter side is longer are resized to it; others, and None, keep their
        bytes.
      workers: processes.
      allow_missing: whether films may be left out, also of their splits.
      progress: called with the number of shots done since the last call.

    Returns:
      The contents of dataset.json.

    Raises:
      ValueError: the folder has films that were prepared with other options.
    """
    names = {split: [film.film for film in films] for split, films in splits.items()}
    plan = dict(format=FORMAT, origin=json.loads(json.dumps(origin)), side=side)
    facts = _start(folder, plan)
    facts |= dict(complete=False, left_out={}, splits=names)
    todo = []
    for film in _unique_films(splits):
        if film.film in facts["films"]:
            progress(len(film))
        else:
            todo.append(film)
    for film, result in _write_films(todo, folder, side, workers):
        facts["left_out" if isinstance(result, str) else "films"][film.film] = result
        write_json(folder / MANIFEST, facts)
        progress(len(film))
    if allow_missing:
        facts["splits"] = {
            split: [film for film in films if film in facts["films"]]
            for split, films in names.items()
        }
    facts["complete"] = allow_missing or not facts["left_out"]
    write_json(folder / MANIFEST, facts)
    return facts


def _start(folder: Path, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return the dataset.json of an earlier call, or a new one."""
    if not (folder / MANIFEST).exists():
        return {**plan, "films": {}}
    found = read_manifest(folder)
    if different := [key for key, value in plan.items() if found.get(key) != value]:
        raise ValueError(
            f"{folder} has films that were prepared differently ({', '.join(different)} differ): "
            "use an empty folder"
        )
    return found


def _unique_films(splits: Mapping[str, Sequence[FolderFilm]]) -> list[FolderFilm]:
    result: dict[str, FolderFilm] = {}
    for films in splits.values():
        for film in films:
            if film.film not in result or result[film.film].starts is None:
                result[film.film] = film
    return list(result.values())


def _write_films(
    films: Sequence[FolderFilm], folder: Path, side: int | None, workers: int
) -> Iterator[tuple[FolderFilm, dict[str, Any] | str]]:
    """Yield each film when it is written, with its facts or the reason of the failure."""
    if workers == 1:
        for film in films:
            yield film, write_film(film, folder, side)
        return
    # spawn: the caller may have threads, which do not survive a fork
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool:
        tasks = {pool.submit(write_film, film, folder, side): film for film in films}
        try:
            for task in as_completed(tasks):
                yield tasks[task], task.result()
        finally:
            pool.shutdown(cancel_futures=True)


def write_film(film: FolderFilm, folder: Path, side: int | None) -> dict[str, Any] | str:
    """Write the files of a film.

    Returns:
      Its facts for dataset.json; or the reason why it cannot be read.

    Raises:
      OSError: the folder is not writable.
    """
    paths = [folder / f"{film.film}{suffix}" for suffix in (".array_record", ".npy", ".parquet")]
    try:
        if film.folders.keyframes:
            write_atomically(paths[0], lambda path: _write_keyframes(film, path, side))
        if film.folders.features:
            vectors = _features(film)
            write_array(paths[1], vectors)
        write_parquet(paths[2], _rows(film), compression="snappy")
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    return dict(
        shots=len(film),
        fps=film.fps,
        boundaries=None if film.starts is None else int(film.starts.sum()),
        pictures=film.folders.keyframes is not None,
        features=film.folders.features is not None,
    )


def _write_keyframes(film: FolderFilm, path: Path, side: int | None) -> None:
    writer = ArrayRecordWriter(str(path), WRITER_OPTIONS)
    try:
        for shot in range(len(film)):
            for k in range(KEYFRAMES):
                name = film.folders.keyframe_path(film.film, shot * KEYFRAMES + k)
                writer.write(shrink_image(film.jpeg(shot, k), side, str(name)))
    finally:
        writer.close()


def shrink_image(data: bytes, side: int | None, name: str) -> bytes:
    """Resize an image to a shorter side of at most `side` pixels; smaller ones keep their bytes.

    Raises:
      ValueError: it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            short = min(image.size)
            if side is None or short <= side:
                image.load()  # raises if it cannot be decoded
                return data
            size = tuple(max(1, round(side * length / short)) for length in image.size)
            image.draft("RGB", size)
            file = io.BytesIO()
            to_rgb(image).resize(size, BICUBIC).save(file, "JPEG", quality=JPEG_QUALITY)
            return file.getvalue()
    except Exception as error:  # Pillow raises almost any exception for damaged files
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
