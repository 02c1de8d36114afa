"""Scene boundaries from colors and sounds alone, in the protocol of the models.

The score of a boundary between two shots is the least distance between any of the REACH shots
before it and any of as many after it. AP is that of each film's shot boundaries, cards included,
and then the mean of the films (macro).

  colors: 1 minus the Bhattacharyya coefficient of the histograms of all of a shot's keyframes;
  sounds: the difference of the loudness (dB) of bands of the spectrum, the lower quartile over the
    shot's time, which mostly leaves music and clicks out;
  both: the sum of the two, each divided by its standard deviation within the film.
"""

import argparse
import json
from collections.abc import Iterable, Sequence

import numpy as np

from vujax.data.synthetic.dataset_shots import SyntheticFilm, open_synthetic_films
from vujax.evals.metrics.classification import average_precision
from vujax.evals.synthetic_difficulty.frames import color_histograms

REACH = 4


WINDOW = 1024  # samples


BANDS = 40


def color_distances(film: SyntheticFilm) -> np.ndarray:
    """Compute the color distances between all shots of a film, float32 `[n n]`."""
    images = film.inputs(np.arange(len(film)))["image"]
    histograms = np.stack([color_histograms(shot.reshape(1, -1, 1, 3))[0] for shot in images])
    return 1.0 - histograms @ histograms.T


def sound_distances(film: SyntheticFilm) -> np.ndarray:
    """Compute the mean differences in decibels between all shots of a film, `[n n]`."""
    loudness = np.stack([_loudness(film.sound(shot)) for shot in range(len(film))])
    return np.abs(loudness[:, None] - loudness[None]).mean(axis=-1)


def _loudness(sound: np.ndarray) -> np.ndarray:
    """Compute decibels in each band, float32 `[BANDS]`."""
    padded = np.pad(sound, (0, -len(sound) % WINDOW)).reshape(-1, WINDOW) * np.hanning(WINDOW)
    power = np.quantile(np.abs(np.fft.rfft(padded)) ** 2, 0.25, axis=0)
    edges = np.unique(np.geomspace(2, WINDOW // 2, BANDS + 1).astype(int))[:-1]
    return 10 * np.log10(np.add.reduceat(power, edges) + 1e-3).astype(np.float32)


def score_gaps(distances: np.ndarray, reach: int = REACH) -> np.ndarray:
    """Compute scores of the shot boundaries, `[n-1]`, of distances `[n n]`."""
    boundaries = range(1, len(distances))
    return np.array([distances[max(0, k - reach) : k, k : k + reach].min() for k in boundaries])


def score_film(film: SyntheticFilm) -> dict[str, float]:
    """Return AP of one film by colors, by sounds and by both."""
    distances = {"colours": color_distances(film), "sounds": sound_distances(film)}
    distances["both"] = sum(own / own.std() for own in distances.values())
    result = {
        name: average_precision(score_gaps(own), film.starts) for name, own in distances.items()
    }
    return result | {"chance": float(film.starts.mean())}


def average_scores(films: Iterable[SyntheticFilm]) -> dict[str, float]:
    """Return macro AP over films."""
    rows = [score_film(film) for film in films]
    return {name: round(float(np.mean([row[name] for row in rows])), 3) for name in rows[0]}


def measure_scenes(arguments: Sequence[str]) -> None:
    """Print the scores as JSON."""
    parser = argparse.ArgumentParser(
        description="Scene boundaries from colors and sounds, as JSON."
    )
    parser.add_argument(
        "--films", type=int, default=40, help="films of the validation split (default: 40)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the films (default: 0)")
    args = parser.parse_args(arguments)
    films = open_synthetic_films(seed=args.seed, split="validation", films=args.films, keep=False)
    print(json.dumps({"macro AP of scene borders": average_scores(films), "films": args.films}))
