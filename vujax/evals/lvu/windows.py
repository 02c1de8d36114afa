"""Part of the evaluations."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vujax.data.datasets.features import read_npz, read_table
from vujax.data.tables import PARQUET

Vectors = Mapping[str, np.ndarray]

"""By clip, `[w d]` of its windows, or `[d]`."""


class Windows(NamedTuple):
    """Windows of several clips, one after the other.

    Attributes:
      vectors: float32 `[w d]`.
      clip: int64 `[w]`, which clip each is of.
      clips: how many there are.
    """

    vectors: np.ndarray
    clip: np.ndarray
    clips: int

    @classmethod
    def from_embeddings(cls, vectors: Vectors, clips: Sequence[str]) -> "Windows":
        """The windows of some clips, in their order.

        Raises:
          ValueError: a clip has no window, one of another width, or one that is not finite.
        """
        arrays = [np.atleast_2d(np.asarray(vectors[clip], np.float32)) for clip in clips]
        width = arrays[0].shape[-1] if arrays else 0
        for clip, array in zip(clips, arrays, strict=True):
            if array.ndim != 2 or array.shape[1] != width or not array.size:
                raise ValueError(
                    f"the clip {clip} has vectors of shape {list(array.shape)}: it needs one or "
                    f"more, {width} numbers wide as those of {clips[0]}"
                )
            if not np.isfinite(array).all():
                raise ValueError(f"the vectors of the clip {clip} are not finite: make them again")
        clip = np.repeat(np.arange(len(arrays)), [len(array) for array in arrays])
        whole = np.concatenate(arrays) if arrays else np.zeros((0, 0), np.float32)
        return cls(whole, clip, len(arrays))

    def shares(self) -> np.ndarray:
        """`[w]`: 1 over the number of windows of the clip, so that clips count alike."""
        return 1 / np.bincount(self.clip, minlength=self.clips)[self.clip]

    def mean(self, values: np.ndarray) -> np.ndarray:
        """The mean over each clip's windows: `[w k] -> [clips k]`."""
        result = np.zeros((self.clips, values.shape[1]))
        np.add.at(result, self.clip, values * self.shares()[:, None])
        return result


def group_by_clip(
    keys: Sequence[str], vectors: np.ndarray, depth: int = 1
) -> dict[str, np.ndarray]:
    """Vectors of scenes, by clip, for scenes that are clips or windows of clips.

    Args:
      keys: `[n]`, of the scenes (`vujax.data.scenes`).
      vectors: `[n d]`.
      depth: which part of a key names the clip: 1 of 'MOVIE/CLIP', 0 of 'CLIP/c003'.
    """
    rows: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        rows.setdefault(key.split("/")[depth], []).append(place)
    return {clip: vectors[places] for clip, places in rows.items()}


def read_clip_embeddings(path: str | Path) -> dict[str, np.ndarray]:
    """Vectors of clips from a file.

    Args:
      path: .npz with an array for each clip, named by its id, `[d]` or `[w d]`; or .parquet with
        the columns clip and vector (a list), a row for each window.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is damaged, lacks a column, or holds no clip.
    """
    path = Path(path)
    found = _of_table(path) if path.suffix.lower() in PARQUET else read_npz(path)
    if not found:
        raise ValueError(f"{path} holds no clip: write one array for each, named by its id")
    return found


def _of_table(path: Path) -> dict[str, np.ndarray]:
    table = read_table(path, ("clip", "vector"))
    rows: dict[str, list[Iterable[float]]] = {}
    for clip, vector in zip(table["clip"].to_pylist(), table["vector"].to_pylist(), strict=True):
        if clip is None or vector is None:
            raise ValueError(f"{path} has a row without a clip or a vector: leave it out")
        rows.setdefault(str(clip), []).append(vector)
    if len({len(vector) for found in rows.values() for vector in found}) > 1:
        raise ValueError(f"{path} has vectors of different widths: take those of one encoder")
    return {clip: np.array(found, np.float32) for clip, found in rows.items()}
