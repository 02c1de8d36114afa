"""Embeddings without training, scored as a model's are: words and shot labels."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from vujax.data.datasets.condensed_movies import read_descriptions
from vujax.data.datasets.movieclip import open_movieclip
from vujax.data.movies.synopsis import compute_tf_idf
from vujax.data.tables import require_table
from vujax.evals.lvu.windows import group_by_clip

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
