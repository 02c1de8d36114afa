"""Vectors that no one trained, to be scored as a model's are: words and shot labels."""

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
    """What is told of each clip's movie by its OTHER clips; clips of which nothing is are left out.

    A sentence that is also the clip's own is left out, whichever clip it describes.

    Args:
      condensed_movies: folder of the tables.
      clips: the movie of each clip.

    Raises:
      FileNotFoundError, ValueError: see `read_descriptions`.
    """
    told = read_descriptions(condensed_movies)
    of_movie: dict[str, list[str]] = {}
    for movie, text in told.values():
        of_movie.setdefault(movie, []).append(text)
    found = {}
    for clip, movie in clips.items():
        own = told[clip][1] if clip in told else None
        found[clip] = " ".join(text for text in of_movie.get(movie, ()) if text != own)
    return {clip: text for clip, text in found.items() if text}


def read_own_descriptions(condensed_movies: str | Path, clips: Collection[str]) -> dict[str, str]:
    """Each clip's own description. A LEAK: labels of three tasks were mined from these.

    Only to show how large the leak is; see `vujax.data.datasets.condensed_movies`.
    """
    told = read_descriptions(condensed_movies)
    return {clip: told[clip][1] for clip in clips if clip in told}


def embed_texts(texts: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Unit vectors of counted words, `[1 n]`; texts without any are left out.

    Words and their weights are counted over all texts (`tf_idf`), which reads no label. The vectors
    have the products of those with one number a word, in as many numbers as there are texts: what
    is linear learns the same of them, sooner. They are scored as they are: `evaluate(...,
    standardize=False, grid=TEXT_GRID)`.
    """
    matrix, _ = compute_tf_idf(list(texts.values()), max_df=MAX_DF, min_df=MIN_DF)
    worded = np.flatnonzero(np.diff(matrix.indptr) > 0)
    exact = matrix[worded].astype(np.float64)  # or products are none of vectors, by rounding
    products = (exact @ exact.T).toarray()
    rows = np.linalg.cholesky(products + JITTER * np.eye(len(worded))).astype(np.float32)
    clips = list(texts)
    return {clips[place]: row[None] for place, row in zip(worded.tolist(), rows, strict=True)}


def read_shot_labels(
    movieclip: str | Collection[str], condensed_movies: str | Path
) -> dict[str, np.ndarray]:
    """MovieCLIP's labels of places, `[1 150]`: the share of a clip's labelled shots that have each.

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
