"""Frozen embeddings of clips, one for each window, such as 60 s or a scene."""

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
      vectors: float32 `[w d]`, embeddings.
      clip: int64 `[w]`, the number of each one's clip.
      clips: number of clips.
    """

    vectors: np.ndarray
    clip: np.ndarray
    clips: int

    @classmethod
    def from_embeddings(cls, vectors: Vectors, clips: Sequence[str]) -> "Windows":
        """Concatenate the windows of some clips, in their order.

        Raises:
          ValueError: a clip has no window, one of another dim, or one that is not finite.
        """
        arrays = [np.atleast_2d(np.asarray(vectors[clip], np.float32)) for clip in clips]
        dim = arrays[0].shape[-1] if arrays else 0
        for clip, array in zip(clips, arrays, strict=True):
            if array.ndim != 2 or array.shape[1] != dim or not array.size:
                raise ValueError(
                    f"the clip {clip} has embeddings of shape {list(array.shape)}; it needs one or "
                    f"more of dim {dim}, as those of {clips[0]}"
                )
            if not np.isfinite(array).all():
                raise ValueError(
                    f"the embeddings of the clip {clip} are not finite; compute them again"
                )
        clip = np.repeat(np.arange(len(arrays)), [len(array) for array in arrays])
        embeddings = np.concatenate(arrays) if arrays else np.zeros((0, 0), np.float32)
        return cls(embeddings, clip, len(arrays))

    def shares(self) -> np.ndarray:
        """Return `[w]`: 1 over the number of windows of the clip: clips weigh the same."""
        return 1 / np.bincount(self.clip, minlength=self.clips)[self.clip]

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Average over each clip's windows: `[w k] -> [clips k]`."""
        result = np.zeros((self.clips, values.shape[1]))
        np.add.at(result, self.clip, values * self.shares()[:, None])
        return result


def group_by_clip(
    keys: Sequence[str], vectors: np.ndarray, depth: int = 1
) -> dict[str, np.ndarray]:
    """Group embeddings of scenes by clip; scenes are clips or windows of clips.

    Args:
      keys: `[n]`, of the scenes (`vujax.data.scenes`).
      vectors: `[n d]`.
      depth: position of the clip in a key: 1 of 'MOVIE/CLIP', 0 of 'CLIP/c003'.
    """
    rows: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        rows.setdefault(key.split("/")[depth], []).append(place)
    return {clip: vectors[places] for clip, places in rows.items()}


def read_clip_embeddings(path: str | Path) -> dict[str, np.ndarray]:
    """Read embeddings of clips from a file.

    Args:
      path: .npz with an array for each clip, named by its id, `[d]` or `[w d]`; or .parquet with
        the columns clip and vector (a list), a row for each window.

    Raises:
      FileNotFoundError: the file is missing.
      ValueError: it is damaged, lacks a column, or holds no clip.
    """
    path = Path(path)
    embeddings = _read_table(path) if path.suffix.lower() in PARQUET else read_npz(path)
    if not embeddings:
        raise ValueError(f"{path} holds no clip; write one array for each, named by its id")
    return embeddings


def _read_table(path: Path) -> dict[str, np.ndarray]:
    table = read_table(path, ("clip", "vector"))
    rows: dict[str, list[Iterable[float]]] = {}
    for clip, vector in zip(table["clip"].to_pylist(), table["vector"].to_pylist(), strict=True):
        if clip is None or vector is None:
            raise ValueError(f"{path} has a row without a clip or a vector; leave it out")
        rows.setdefault(str(clip), []).append(vector)
    if len({len(vector) for own in rows.values() for vector in own}) > 1:
        raise ValueError(f"{path} has vectors of different dims; take those of one encoder")
    return {clip: np.array(own, np.float32) for clip, own in rows.items()}
