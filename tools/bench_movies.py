"""Time and peak memory of movie similarity: 30,000 movies and 1,000,000 ratings.

    python tools/bench_movies.py [--movies 30000] [--ratings 1000000] [--channels genre cowatch ...]

Ratings, genres and words are generated: the popularity of movies, the activity of users and the
frequency of words follow power laws. Prints a JSON line per channel and one for the union, each
from its own process: wall seconds of `find_neighbors`, CPU seconds of all cores (`cpu_seconds`),
and the process's maximum resident size, with the tables. The channel minilm uses generated
embeddings, without text encoding.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from vujax.data.movies import synopsis
from vujax.data.movies.similarity import Movies, Ratings, find_neighbors
from vujax.utils.arrays import l2_normalize

CHANNELS = {
    "genre": {"genre": {}},
    "genre-idf": {"genre": {"measure": "idf"}},
    "tfidf": {"synopsis": {}},
    "minilm": {"synopsis": {"encoder": "minilm"}},
    "cowatch": {"cowatch": {}},
    "cowatch-pmi": {"cowatch": {"measure": "pmi"}},
    "union": {"genre": {}, "synopsis": {}, "cowatch": {}},
}
GENRES, WORDS, TEXT = 20, 30_000, 60  # genres, vocabulary, mean length of a synopsis


def generate(movies: int, ratings: int, seed: int = 0) -> Movies:
    """Generate movies whose columns follow power laws."""
    rng = np.random.default_rng(seed)
    users = max(ratings // 50, 1)
    pairs = np.unique(
        draw_power_law(rng, movies, int(1.3 * ratings), 0.9).astype(np.int64) * users
        + draw_power_law(rng, users, int(1.3 * ratings), 0.6)
    )
    pairs = rng.permutation(pairs)[:ratings]
    labels = [f"genre {k}" for k in range(GENRES)]
    chosen = draw_power_law(rng, GENRES, 3 * movies, 0.8).reshape(movies, 3)
    lengths = rng.poisson(TEXT, movies)
    words = np.split(draw_power_law(rng, WORDS, int(lengths.sum()), 1.0), np.cumsum(lengths)[:-1])
    return Movies(
        tuple(f"tt{k:07d}" for k in range(movies)),
        tuple(f"movie {k}" for k in range(movies)),
        tuple(frozenset(labels[k] for k in row) for row in chosen),
        tuple(" ".join(f"w{k}" for k in row.tolist()) for row in words),
        Ratings(
            (pairs % users).astype(np.int32),
            (pairs // users).astype(np.int32),
            np.full(len(pairs), 4, np.float32),
        ),
    )


def draw_power_law(rng: np.random.Generator, n: int, draws: int, exponent: float) -> np.ndarray:
    """Draw from 0..n-1, i with a probability proportional to (i + 1) ** -exponent."""
    share = np.cumsum((1.0 + np.arange(n)) ** -exponent)
    return np.searchsorted(share, rng.random(draws) * share[-1])


def measure(name: str, movies: int, ratings: int, k: int) -> dict[str, float | int | str]:
    """Measure one channel, or the union, in this process."""
    table = generate(movies, ratings)
    vectors = np.random.default_rng(1).normal(size=(movies, 384)).astype(np.float32)
    vectors = l2_normalize(vectors)
    synopsis.embed_sentences = lambda texts: vectors
    start, cpu_start = time.perf_counter(), time.process_time()
    found = find_neighbors(table, CHANNELS[name], k=k)
    return dict(
        channel=name,
        movies=movies,
        ratings=len(table.ratings),
        k=k,
        seconds=round(time.perf_counter() - start, 2),
        cpu_seconds=round(time.process_time() - cpu_start, 2),
        peak_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        similar_to_none=found.fallback["similar to none"],
    )


def main() -> None:
    """Measure each channel in its own process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--movies", type=int, default=30_000)
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--channels", nargs="+", choices=CHANNELS, default=list(CHANNELS))
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--here", action="store_true", help="run in this process")
    args = parser.parse_args()
    for name in args.channels:
        if args.here:
            print(json.dumps(measure(name, args.movies, args.ratings, args.k)), flush=True)
            continue
        numbers = [f"--movies={args.movies}", f"--ratings={args.ratings}", f"-k={args.k}"]
        command = [sys.executable, __file__, "--here", "--channels", name, *numbers]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
