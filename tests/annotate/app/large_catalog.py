"""Synthetic catalogs of any size, without films: tiny keyframes and embeddings of their colors."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from vujax.catalog import embeddings, schema
from vujax.catalog.parquet import write_parquet
from vujax.catalog.records import RecordWriter
from vujax.catalog.writer import Staging, read_manifest

LENGTH_S = 2.0  # per shot
TICKS = 1000  # per second
HUES = 24


def large_catalog(
    root: Path, films: int, shots: int, *, title: str = "Film {}", extra: int = 0, seed: int = 0
) -> Path:
    """Write a catalog of shots in HUES colors, with the embeddings that `Stub` computes for them.

    Args:
      root: path of the catalog.
      films: number of films.
      shots: number of shots per film, each with one keyframe.
      title: title of a film; {} is its number.
      extra: number of noise dimensions after the six.
      seed: seed of the colors.
    """
    schema.create_catalog(root)
    rng = np.random.default_rng(seed)
    digest = hashlib.sha256(f"stub 0 {6 + extra}".encode()).hexdigest()
    store = embeddings.EmbeddingStore(
        root, "shot", embeddings.EmbeddingModel("stub", digest, 6 + extra)
    )
    colors = _colors()
    for number in range(films):
        film = f"film-{number:04d}-{number:08x}"
        hues = rng.integers(HUES, size=shots)
        _film(root, film, title.format(number), hues, colors)
        rows = _shots(film, shots)
        pixels = colors[hues] / 255.0
        noise = rng.normal(0, 0.3, (shots, extra)) + 0.02 * rng.normal(size=(shots, 1))
        found = np.concatenate([pixels, pixels**2, noise], axis=1).astype(np.float32)
        found[:, :6] += rng.normal(0, 0.08, (shots, 6)).astype(np.float32)  # no duplicates
        table = pa.table(
            {
                "film": [film] * shots,
                "id": [row["id"] for row in rows],
                "shot": pa.array(range(shots), pa.int32()),
                "keyframe": pa.nulls(shots, pa.int32()),
                "pts": [row["begin_pts"] for row in rows],
                "seconds": [row["begin_s"] for row in rows],
            }
        )
        store.write(film, embeddings.hash_source(read_manifest(root, film)), table, found)
    return root


def _colors() -> np.ndarray:
    """Return the colors, uint8 `[HUES 3]`."""
    strip = Image.new("HSV", (HUES, 1))
    for hue in range(HUES):
        strip.putpixel((hue, 0), (hue * 256 // HUES, 220, 210))
    return np.asarray(strip.convert("RGB"))[0]


def _shots(film: str, count: int) -> list[dict]:
    return [
        dict(
            film=film,
            shot=shot,
            id=f"{film}/s{shot:04d}",
            first_frame=48 * shot,
            last_frame=48 * shot + 47,
            begin_pts=round(LENGTH_S * TICKS) * shot,
            end_pts=round(LENGTH_S * TICKS) * (shot + 1),
            time_base_num=1,
            time_base_den=TICKS,
            begin_s=LENGTH_S * shot,
            end_s=LENGTH_S * (shot + 1),
        )
        for shot in range(count)
    ]


def _film(root: Path, film: str, title: str, hues: np.ndarray, colors: np.ndarray) -> None:
    shots = _shots(film, len(hues))
    with Staging(root, film) as staging:
        with RecordWriter(staging.path("keyframes")) as writer:
            for color in colors:  # shots of one color share a keyframe
                writer.write(_jpeg(color))
        keyframes = [
            dict(
                film=film,
                shot=shot,
                keyframe=0,
                id=f"{film}/s{shot:04d}/0",
                position=0.5,
                pts=shots[shot]["begin_pts"] + TICKS,
                seconds=shots[shot]["begin_s"] + 1.0,
                record=int(hue),
                width=64,
                height=36,
            )
            for shot, hue in enumerate(hues)
        ]
        write_parquet(staging.path("keyframes.parquet"), keyframes, schema.KEYFRAMES)
        write_parquet(staging.path("shots.parquet"), shots, schema.SHOTS)
        row = dict(
            film=film,
            path=f"{film}.mp4",
            folder="/nowhere",
            status="whole",
            shots=len(shots),
            keyframes=len(shots),
            begin_s=0.0,
            end_s=LENGTH_S * len(shots),
            time_base_num=1,
            time_base_den=TICKS,
            title=title,
            year=1980 + int(film[-2:], 16) % 40,
        )
        columns = schema.FILMS.append(pa.field("title", pa.string()))
        columns = columns.append(pa.field("year", pa.int64()))
        write_parquet(staging.path("films.parquet"), [row], columns)
        counts = dict(shots=len(shots), keyframes=len(shots), frames=48 * len(shots))
        staging.commit(dict(film=film, status="whole", counts=counts))


def _jpeg(color: np.ndarray) -> bytes:
    pixels = np.full((36, 64, 3), color, np.uint8)
    pixels[26:30, 6:58] = np.minimum(color + np.uint8(30), 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
