"""Labelled films as other encoders and other editors would show them, for a head that serves all.

A head that learned on one encoder's vectors of one kind of film is too sure of itself on others.
A variant joins some films into a longer one, mixes the looks that different encoders have of their
shots, adds noise as of a weak encoder, and leaves shots out, as a detector does that misses cuts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vujax.data.film_features import FeatureFilm
from vujax.data.films import Film
from vujax.data.local_similarity import unit_rows
from vujax.data.mixture import fold

NOISE_DIM = 16


@dataclass(frozen=True)
class Variation:
    """How much variants differ; each film's share is drawn evenly from 0 to these.

    Attributes:
      joined: most films in one variant.
      noise: length of the noise that is added to vectors of length 1.
      lost: share of the shots that are left out.
    """

    joined: int = 4
    noise: float = 1.0
    lost: float = 0.3


def variants(
    films: Sequence[Film], count: int, variation: Variation | None = None, *, seed: int = 0
) -> list[FeatureFilm]:
    """So many variants of labelled films; the same arguments give the same.

    Args:
      films: of any encoders: those with the same times are looks at the same film, and are mixed.
      count: of variants.
      variation: how they are made.
      seed: of the draw.
    """
    groups: dict[bytes, list[Film]] = {}
    for film in films:
        groups.setdefault(film.seconds.tobytes(), []).append(film)
    looks = list(groups.values())
    rng = np.random.default_rng(fold(seed, "variants of films"))
    return [
        _joined(f"variant-{number}", looks, variation or Variation(), rng)
        for number in range(count)
    ]


def _joined(
    name: str, looks: Sequence[Sequence[Film]], how: Variation, rng: np.random.Generator
) -> FeatureFilm:
    """Films of one draw, one after the other; a scene begins with each but the first."""
    chosen = rng.choice(len(looks), min(len(looks), rng.integers(1, how.joined + 1)), replace=False)
    share, noise, lost = rng.random(), how.noise * rng.random(), how.lost * rng.random()
    lengths, starts, vectors = [], [], []
    for film in (looks[i] for i in chosen):
        keep = rng.random(len(film[0])) >= lost
        keep[rng.integers(len(keep))] = True
        lengths.append(np.diff(film[0].seconds, axis=1)[keep, 0])
        starts.append(_starts(film[0].starts, keep))
        vectors.append(_mixed(film, share, rng)[keep])
    ends = np.cumsum(np.concatenate(lengths))
    seconds = np.stack([np.append(0, ends[:-1]), ends], axis=1)
    mixed = np.concatenate(vectors)
    # In few dimensions, where chance makes shots alike; in many it would shrink all cosines alike.
    blur = rng.normal(scale=noise / NOISE_DIM**0.5, size=(len(mixed), NOISE_DIM))
    mixed = np.concatenate([mixed, blur], axis=1)
    return FeatureFilm(name, seconds, starts=np.concatenate(starts)[1:], vectors=mixed)


def _starts(starts: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Whether another scene than that of the kept shot before begins with each, bool [kept]."""
    scene = np.concatenate([[0], np.cumsum(starts)])[keep]
    return np.append(True, np.diff(scene) > 0)


def _mixed(looks: Sequence[Film], share: float, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors of all looks side by side: cosines are a weighted mean of theirs."""
    weights = np.zeros(len(looks))
    weights[0], weights[-1] = 1 - share, share
    weights /= weights.sum()
    rows = [unit_rows(look.inputs(np.arange(len(look)))["feature"]) for look in looks]
    return np.concatenate([w**0.5 * r for w, r in zip(weights, rows, strict=True)], axis=1)
