"""Embeddings of LVU's clips: read from files, or of words and shot labels without training."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vujax.data.datasets.condensed_movies import read_descriptions
from vujax.data.datasets.features import read_npz, read_table
from vujax.data.datasets.movieclip import open_movieclip
from vujax.data.movies.synopsis import compute_tf_idf
from vujax.data.tables import PARQUET, require_table

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


MAX_DF, MIN_DF = 0.5, 2
JITTER = 1e-9
TEXT_GRID = tuple(float(l2) for l2 in np.logspace(-5, 0, 6))
"""Penalties for `text_vectors`; stronger ones leave the constant."""


def read_synopses(condensed_movies: str | Path, clips: Mapping[str, str]) -> dict[str, str]:
    """Read the descriptions of the OTHER clips of each clip's movie.

    A sentence that is also the clip's own is left out, whichever clip it describes; so is a clip
    without any text.

    Args:
      condensed_movies: folder of the tables.
      clips: the movie of each clip.

    Raises:
      FileNotFoundError, ValueError: see `read_descriptions`.
    """
    descriptions = read_descriptions(condensed_movies)
    by_movie: dict[str, list[str]] = {}
    for movie, text in descriptions.values():
        by_movie.setdefault(movie, []).append(text)
    texts = {}
    for clip, movie in clips.items():
        own = descriptions[clip][1] if clip in descriptions else None
        texts[clip] = " ".join(text for text in by_movie.get(movie, ()) if text != own)
    return {clip: text for clip, text in texts.items() if text}


def read_own_descriptions(condensed_movies: str | Path, clips: Collection[str]) -> dict[str, str]:
    """Read each clip's own description, a LEAK.

    Labels of three tasks were mined from these: only to show the size of the leak; see
    `vujax.data.datasets.condensed_movies`.
    """
    descriptions = read_descriptions(condensed_movies)
    return {clip: descriptions[clip][1] for clip in clips if clip in descriptions}


def embed_texts(texts: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return unit vectors of counted words, `[1 n]`; texts without any are left out.

    Words and their weights are counted over all texts (`tf_idf`), which reads no label. The vectors
    have the inner products of the tf-idf rows, but only as many components as there are texts: a
    linear probe learns the same from them, sooner. They are scored as they are: `evaluate(...,
    standardize=False, grid=TEXT_GRID)`.
    """
    matrix, _ = compute_tf_idf(list(texts.values()), max_df=MAX_DF, min_df=MIN_DF)
    with_words = np.flatnonzero(np.diff(matrix.indptr) > 0)
    exact = matrix[with_words].astype(
        np.float64
    )  # in float32, rounding makes products that no vectors have
    products = (exact @ exact.T).toarray()
    rows = np.linalg.cholesky(products + JITTER * np.eye(len(with_words))).astype(np.float32)
    clips = list(texts)
    return {clips[place]: row[None] for place, row in zip(with_words.tolist(), rows, strict=True)}


def read_shot_labels(
    movieclip: str | Collection[str], condensed_movies: str | Path
) -> dict[str, np.ndarray]:
    """Return MovieCLIP's place labels `[1 150]` as shares of a clip's labeled shots.

    Args:
      movieclip: its lists of shots: a path, a pattern or several of them.
      condensed_movies: folder of the table of clips.

    Raises:
      FileNotFoundError, ValueError: see `open_movieclip`.
    """
    table = require_table(Path(condensed_movies), "clips")
    scenes = open_movieclip(movieclip, str(table), skip_unknown=True)
    means = [scenes.inputs(scene)["feature"].mean(0) for scene in range(len(scenes.keys))]
    return group_by_clip(scenes.keys, np.stack(means))
