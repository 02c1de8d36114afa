"""Part of the evaluations."""

import argparse
import json
from collections.abc import Iterable, Sequence

import numpy as np

from vujax.data.synthetic.dataset_shots import SyntheticFilm, open_synthetic_films
from vujax.evals.metrics.classification import average_precision
from vujax.evals.synthetic_difficulty.histograms import color_histograms

REACH = 4


WINDOW = 1024  # samples


BANDS = 40


def color_distances(film: SyntheticFilm) -> np.ndarray:
    """Between all shots of a film, float32 `[n n]`."""
    images = film.inputs(np.arange(len(film)))["image"]
    seen = np.stack([color_histograms(shot.reshape(1, -1, 1, 3))[0] for shot in images])
    return 1.0 - seen @ seen.T


def sound_distances(film: SyntheticFilm) -> np.ndarray:
    """Likewise; the mean difference in decibels."""
    heard = np.stack([_loudness(film.sound(shot)) for shot in range(len(film))])
    return np.abs(heard[:, None] - heard[None]).mean(axis=-1)


def _loudness(sound: np.ndarray) -> np.ndarray:
    """Decibels in each band, float32 `[BANDS]`."""
    padded = np.pad(sound, (0, -len(sound) % WINDOW)).reshape(-1, WINDOW) * np.hanning(WINDOW)
    power = np.quantile(np.abs(np.fft.rfft(padded)) ** 2, 0.25, axis=0)
    edges = np.unique(np.geomspace(2, WINDOW // 2, BANDS + 1).astype(int))[:-1]
    return 10 * np.log10(np.add.reduceat(power, edges) + 1e-3).astype(np.float32)


def score_gaps(away: np.ndarray, reach: int = REACH) -> np.ndarray:
    """Scores of the borders, `[n-1]`, of distances `[n n]`."""
    borders = range(1, len(away))
    return np.array([away[max(0, k - reach) : k, k : k + reach].min() for k in borders])


def score_film(film: SyntheticFilm) -> dict[str, float]:
    """AP of one film, by what is seen or heard."""
    away = {"colours": color_distances(film), "sounds": sound_distances(film)}
    away["both"] = sum(one / one.std() for one in away.values())
    found = {what: average_precision(score_gaps(one), film.starts) for what, one in away.items()}
    return found | {"chance": float(film.starts.mean())}


def average_scores(films: Iterable[SyntheticFilm]) -> dict[str, float]:
    """Macro AP over films."""
    rows = [score_film(film) for film in films]
    return {what: round(float(np.mean([row[what] for row in rows])), 3) for what in rows[0]}


def measure_scenes(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="What colours and sounds tell; prints JSON.")
    parser.add_argument("--films", type=int, default=40, help="of the validation split")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    films = open_synthetic_films(seed=args.seed, split="validation", films=args.films, keep=False)
    print(json.dumps({"macro AP of scene borders": average_scores(films), "films": args.films}))
