"""Small images and archives for the tests of data."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from vujax.data.records import BadSample, Record


def pixels(seed: int, height: int = 24, width: int = 24) -> np.ndarray:
    """A smooth coloured picture, uint8 [h w 3]; another one for each seed."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [
        np.sin(0.2 * (seed % 7 + 1) * x + seed),
        np.cos(0.15 * y + 2 * seed),
        np.sin(0.1 * (x + y)),
    ]
    return ((np.stack(waves, -1) + 1) * 127).astype(np.uint8)


def encoded(seed: int, kind: str = "JPEG", height: int = 24, width: int = 24) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels(seed, height, width)).save(file, kind)
    return file.getvalue()


def write_tar(path: Path, members: Iterable[tuple[str, bytes]], **options) -> Path:
    with tarfile.open(path, "w", **options) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def sample(
    key: str, image: bytes, caption: str | None, /, **fields: object
) -> list[tuple[str, bytes]]:
    """Members of one WebDataset sample."""
    members = [(f"{key}.jpg", image)]
    if caption is not None:
        members.append((f"{key}.txt", caption.encode()))
    if fields:
        members.append((f"{key}.json", json.dumps(fields).encode()))
    return members


def write_shards(folder: Path, count: int, shards: int = 2, bad: Mapping[int, bytes] = {}) -> str:
    """`count` samples s000, s001 ... over shards; returns a pattern. `bad`: index -> picture."""
    made = [
        sample(
            f"s{i:03d}", bad.get(i, encoded(i)), f"picture number {i}", id=str(i), kind="ab"[i % 2]
        )
        for i in range(count)
    ]
    for shard in range(shards):
        own = [member for members in made[shard::shards] for member in members]
        write_tar(folder / f"shard-{shard:03d}.tar", own)
    return str(folder / f"shard-{{000..{shards - 1:03d}}}.tar")


class ListSource:
    """Records held in memory; an entry that is a text is a record that cannot be used."""

    def __init__(self, records: Iterable[Record | str], classes: tuple[str, ...] | None = None):
        self.records, self.classes = list(records), classes

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Record:
        found = self.records[index]
        if isinstance(found, str):
            raise BadSample(found)
        return found


def record(i: int, **changes) -> Record:
    base = Record(
        key=f"k{i:03d}", image=pixels(i), captions=[f"text {i}"], label=None, fields={"id": str(i)}
    )
    return Record({**base, **changes})
