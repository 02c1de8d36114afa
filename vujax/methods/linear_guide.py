"""Linear Movies2Scenes: what a guide says of scenes, in closed form.

    python -m vujax.main --config=configs/movies2scenes.py:catalog --linear

Let x be the mean of a scene's shot embeddings, whitened, and p a random scene of a similar movie:
first a movie of the guide's list, then one of its scenes. The symmetric part of E[x p^T] has the
agreements rho_d of positives as eigenvalues. Kept are directions with an agreement above the noise:
above sqrt(dims / pairs), for pairs of a scene and a similar movie, and above the size of the least
eigenvalue, since positives do not disagree but by chance. They are weighed by
sqrt(rho / (1 - rho^2)): so two embeddings' product is the optimum of a bilinear InfoNCE for
Gaussian features. The expectation over p is exact, from the means of movies: nothing is drawn, and
equal inputs give equal encoders.

It is the baseline that a network has to beat: it is fitted in seconds, and released as an encoder
of shots and scenes.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from vujax.data.movies.guide import ANY
from vujax.data.scenes import Scenes
from vujax.methods.movies2scenes import describe_guide, open_guided_scenes
from vujax.models import release

ENCODER = "linear_scenes"  # name in `vujax.encoders.ENCODERS`
MIN_VARIANCE = 1e-6  # of a principal component, relative to the first
SCENES_PER_DIM = 16  # fewer components are whitened where scenes are few
MAX_AGREEMENT = 0.99  # of equal scenes, whose weight would be infinite


class Whitening(NamedTuple):
    """Map of features to uncorrelated ones of unit variance: `(x - mean) @ matrix`.

    Attributes:
      mean: float64 `[f]`.
      matrix: float64 `[f r]`.
    """

    mean: np.ndarray
    matrix: np.ndarray


class LinearGuide(NamedTuple):
    """Linear encoder of the directions that a guide knows: `(x - mean) @ matrix`.

    Attributes:
      mean: float32 `[f]`.
      matrix: float32 `[f d]`, best direction first.
      agreement: float64 `[r]`, correlation of positives along each whitened direction, descending;
        the first d are kept.
      threshold: agreement that noise may reach.
      pairs: number of pairs of a scene and a similar movie.
    """

    mean: np.ndarray
    matrix: np.ndarray
    agreement: np.ndarray
    threshold: float
    pairs: int


class Agreement(NamedTuple):
    """Agreement of positives along the whitened directions of features.

    Attributes:
      whitening: of the features.
      values: float64 `[r]`, correlation of positives along each direction, descending.
      directions: float64 `[r r]`, columns in the whitened space.
      threshold: agreement that noise may reach.
      pairs: number of pairs of a scene and a similar movie.
    """

    whitening: Whitening
    values: np.ndarray
    directions: np.ndarray
    threshold: float
    pairs: int

    @property
    def guided(self) -> int:
        """Number of guided directions: those that agree more than noise."""
        return int((self.values > self.threshold).sum())


def fit_linear_guide(x: np.ndarray, movie: np.ndarray, similar: np.ndarray) -> LinearGuide:
    """Fit the linear encoder of a guide.

    Args:
      x: features of scenes `[n f]`.
      movie: int `[n]`, number of each scene's movie.
      similar: int32 `[movies k]`, see `vujax.data.movies.guide.Guide`.

    Raises:
      ValueError: no scene has a similar movie, or no direction agrees more than noise.
    """
    found = measure_agreement(x, movie, similar)
    if not found.guided:
        raise ValueError(
            f"the guide knows no direction: positives agree by at most {found.values[0]:.3f}, and "
            f"by chance, in {len(found.values)} dimensions and {found.pairs} pairs, by "
            f"{found.threshold:.3f}: choose another data.guide, or more scenes"
        )
    rho = np.minimum(found.values[: found.guided], MAX_AGREEMENT)
    guided = found.whitening.matrix @ found.directions[:, : found.guided]
    return LinearGuide(
        found.whitening.mean.astype(np.float32),
        _orient(guided * np.sqrt(rho / (1 - rho**2))).astype(np.float32),
        found.values,
        found.threshold,
        found.pairs,
    )


def measure_agreement(x: np.ndarray, movie: np.ndarray, similar: np.ndarray) -> Agreement:
    """Measure how much scenes and random scenes of similar movies agree; see `fit_linear_guide`.

    Raises:
      ValueError: no scene has a similar movie, or all features are equal.
    """
    x = np.asarray(x, np.float64)
    count = count_similar(movie, similar)
    pairs, scenes = int(count.sum()), int((count > 0).sum())
    if not pairs:
        raise ValueError(
            "no scene has a similar movie: choose another data.guide, or tables that cover these "
            "movies"
        )
    whitening = fit_whitening(x, max(scenes // SCENES_PER_DIM, 1))
    if not whitening.matrix.size:
        raise ValueError(f"the features of all {len(x)} scenes are equal: compute them again")
    values, directions = decompose_agreement(
        (x - whitening.mean) @ whitening.matrix, movie, similar
    )
    threshold = float(max(np.sqrt(len(values) / pairs), -values[-1]))
    return Agreement(whitening, values, directions, threshold, pairs)


def fit_whitening(x: np.ndarray, dims: int) -> Whitening:
    """Fit the whitening of features `[n f]` to their first principal components, at most `dims`."""
    mean = x.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True).reshape(x.shape[1], x.shape[1]))
    values, vectors = values[::-1][:dims], vectors[:, ::-1][:, :dims]
    kept = values > max(MIN_VARIANCE * values[0], np.finfo(np.float64).tiny)
    return Whitening(mean, vectors[:, kept] / np.sqrt(values[kept]))


def decompose_agreement(
    z: np.ndarray, movie: np.ndarray, similar: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues `[r]`, descending, and eigenvectors `[r r]` of positives' agreement.

    Args:
      z: whitened features `[n r]`.
      movie: see `fit_linear_guide`.
      similar: see `fit_linear_guide`.
    """
    partner = average_positives(z, movie, similar)
    guided = np.isfinite(partner).all(axis=1)
    cross = z[guided].T @ partner[guided] / guided.sum()
    values, vectors = np.linalg.eigh((cross + cross.T) / 2)
    return values[::-1], vectors[:, ::-1]


def count_similar(movie: np.ndarray, similar: np.ndarray) -> np.ndarray:
    """Return the number of movies among whose scenes each scene's positive is drawn, int `[n]`."""
    return _count_others(similar)[movie] + _has_own(movie, similar)


def average_positives(z: np.ndarray, movie: np.ndarray, similar: np.ndarray) -> np.ndarray:
    """Return the mean of the positives of each scene, `[n r]`, by movie, then by scene.

    Rows without a positive are NaN.
    """
    movies = len(similar)
    size = np.bincount(movie, minlength=movies)
    total = np.zeros((movies, z.shape[1]))
    np.add.at(total, movie, z)
    mean = total / np.maximum(size, 1)[:, None]
    lists = np.where(_list_others(similar)[:, :, None], mean[np.maximum(similar, 0)], 0).sum(axis=1)
    has_any = (similar == ANY).any(axis=1)
    lists += np.where(has_any[:, None], mean.sum(axis=0) - mean, 0)
    own = (total[movie] - z) / np.maximum(size[movie] - 1, 1)[:, None]
    found = lists[movie] + np.where(_has_own(movie, similar)[:, None], own, 0)
    count = count_similar(movie, similar)[:, None]
    return np.where(count > 0, found / np.maximum(count, 1), np.nan)


def _list_others(similar: np.ndarray) -> np.ndarray:
    """Return bool `[movies k]`: the entry is the number of another movie."""
    return (similar >= 0) & (similar != np.arange(len(similar))[:, None])


def _count_others(similar: np.ndarray) -> np.ndarray:
    has_any = (similar == ANY).any(axis=1)
    return _list_others(similar).sum(axis=1) + has_any * (len(similar) - 1)


def _has_own(movie: np.ndarray, similar: np.ndarray) -> np.ndarray:
    """Return bool `[n]`: other scenes of a scene's own movie are among its positives."""
    is_own = (similar == np.arange(len(similar))[:, None]).any(axis=1)
    has_own: np.ndarray = (is_own & (np.bincount(movie, minlength=len(similar)) > 1))[movie]
    return has_own


def _orient(matrix: np.ndarray) -> np.ndarray:
    """Choose the signs of columns so that the entry of greatest size is positive."""
    greatest = np.abs(matrix).argmax(axis=0)
    return matrix * np.sign(matrix[greatest, np.arange(matrix.shape[1])])


def train(config: ConfigDict, workdir: Path) -> None:
    """Fit the linear encoder of a config's guide, and write `workdir/release`.

    Args:
      config: see configs/movies2scenes.py; `data`, `inputs` and `vectors` are used.
      workdir: directory of the run.

    Raises:
      ValueError: the config is of another method, its inputs are not one embedding per shot, or see
        `fit_linear_guide`.
    """
    inputs = config.inputs.to_dict() if config.method.name == "movies2scenes" else {}
    if set(inputs) != {"feature"} or len(inputs["feature"]) != 1:
        raise ValueError(
            "--linear needs a config of movies2scenes whose inputs are one embedding per shot, "
            f"inputs.feature [f], got {config.method.name} with {inputs or 'other inputs'}"
        )
    scenes, selected = open_guided_scenes(config)
    print(describe_guide(scenes, selected, config.data.guide))
    fitted = fit_linear_guide(read_features(scenes), scenes.movie, selected.similar)
    count = fitted.matrix.shape[1]
    print(
        f"{count} of {len(fitted.agreement)} directions are guided: positives agree by "
        f"{fitted.agreement[0]:.2f} to {fitted.agreement[count - 1]:.2f}, by chance "
        f"by {fitted.threshold:.2f}"
    )
    print(f"Model: {release.save(workdir, build_release_config(config, fitted), _tree(fitted))}")


def read_features(scenes: Scenes) -> np.ndarray:
    """Return the mean of each scene's shot embeddings, float64 `[n f]`."""
    rows = (scenes.inputs(number)["feature"] for number in range(len(scenes.keys)))
    return np.stack([row.astype(np.float64).mean(axis=0) for row in rows])


def build_release_config(config: ConfigDict, fitted: LinearGuide) -> dict[str, Any]:
    """Return the config of a release, with the agreement of each direction."""
    return {
        "encoder": ENCODER,
        "inputs": config.inputs.to_dict(),
        "vectors": config.vectors,
        "model": {"encoder": {"max_shots": int(config.data.width)}},
        "method": {"name": config.method.name, "guide": config.data.guide},
        "agreement": fitted.agreement.round(4).tolist(),
        "threshold": fitted.threshold,
        "pairs": fitted.pairs,
    }


def _tree(fitted: LinearGuide) -> dict[str, Any]:
    return {"params": {"encoder": {"mean": fitted.mean, "matrix": fitted.matrix}}}
