"""Movies2Scenes by guide and by number of candidates: networks, closed forms and the theory.

    export VUJAX_DATA=...
    python experiments/movie_candidates.py --work runs/candidates --part run --minutes 70
    python experiments/movie_candidates.py --work runs/candidates --part judge
    python experiments/movie_candidates.py --work runs/candidates --part linear
    python experiments/movie_candidates.py --work runs/candidates --part compare
    python experiments/movie_candidates.py --work runs/candidates --part steps

The protocol is in experiments/results/movie_candidates/PROTOCOL.md. 'run' trains what is missing of
`RUNS`, in this order, until the minutes of CPU time are spent; a finished run is retained. 'judge'
evaluates the closed form of each guide and the bag of labels, writes the table with intervals over
seeds and movies, and plots the mean average precision of the same genre against the number of
candidates, with the theory's curve. 'linear' prints the closed forms and the theory alone, in a
minute; 'compare' t intervals over movies of what ran with several seeds; 'steps' the CPU time of a
training step by number of candidates.

Everything is evaluated on LVU's validation movies; nothing was selected there.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from ml_collections import ConfigDict

sys.path.insert(0, str(Path(__file__).parent.parent))
from experiments import movie_guides

Run = TypeVar("Run")
OUTPUTS = ("scene", "projection")
BLOCKS = (  # the runs of a block come before those of the next, seed by seed
    (("union", 1), ("genre", 1), ("same", 1), ("random", 1), ("union", 4)),
    (("genre", 4), ("same", 4), ("synopsis", 1), ("cowatch", 1), ("union", 0)),
    (("random", 4), ("synopsis", 4), ("cowatch", 4), ("genre", 0), ("same", 0)),
    (("union", 16), ("genre", 16), ("same", 16)),
)
PAIRS = tuple(pair for pairs in BLOCKS for pair in pairs)
RUNS = tuple((guide, n, s) for pairs in BLOCKS for s in range(5) for guide, n in pairs)
LINEAR = ("union", "genre", "synopsis", "cowatch", "same", "random")
NUMBERS = (1, 2, 4, 16, 53)  # of the theory's curve; 53 scenes are permitted on average
TOP = 3  # most frequent labels of a clip
CAP = 0.95  # agreement that a search for the nearest can reach
BLOCK = 512  # clips that are compared at a time


def name_run(guide: str, candidates: int, seed: int) -> str:
    """Return the name of a run's files."""
    return f"{guide}-{candidates or 'all'}-{seed}"


def build_config(guide: str, candidates: int, seed: int) -> ConfigDict:
    """Return the training of one guide with the defaults of the config."""
    config = movie_guides.config_of(guide, seed, "plain")
    config.method.update(candidates=candidates, alone="skip")
    config.model.encoder.pool = "mean"
    return config


def embed_network(config: ConfigDict, folder: Path, scenes: Any) -> dict[str, np.ndarray]:
    """Train if needed; return the embeddings `[n d]` of scenes by output."""
    import jax.numpy as jnp

    from vujax.data.scene_batches import SceneRows
    from vujax.evals.features import extract_scenes
    from vujax.methods import movies2scenes as task
    from vujax.models import release
    from vujax.training import loop
    from vujax.utils.mesh import make_mesh

    if not release.is_model(folder):
        loop.train(config, folder)
    mesh = make_mesh()
    model = task.build_model(config, mesh)
    rows = SceneRows(scenes, config.inputs.to_dict(), width=movie_guides.LONGEST, most=8)
    encode = lambda v, batch: jnp.concatenate(model.apply(v, batch), axis=-1)  # noqa: E731
    variables = release.load(folder)[1]
    both = extract_scenes(encode, variables, rows, batch_size=64, mesh=mesh)
    width = model.encoder.dim
    return dict(zip(OUTPUTS, (both[:, :width], both[:, width:]), strict=True))


def evaluate(scenes: Any, vectors: np.ndarray, bags: np.ndarray) -> dict[str, np.ndarray]:
    """Return hits by clip and average precisions by movie."""
    found = movie_guides.lvu_hits(scenes, vectors) | movie_guides.movie_ranks(scenes, vectors)
    return found | {"own labels/share": share_labels(scenes.movie, vectors, bags)}


def share_labels(movie: np.ndarray, vectors: np.ndarray, bags: np.ndarray) -> np.ndarray:
    """Return the share `[n]` of a clip's labels that the nearest clip of another movie has.

    Labels are the TOP most frequent ones of each clip.

    Args:
      movie: int `[n]`, number of each clip's movie.
      vectors: embeddings `[n d]`.
      bags: frequency of each label in each clip `[n l]`.
    """
    top = np.argsort(-bags, axis=1, kind="stable")[:, :TOP]
    has = np.zeros(bags.shape, bool)
    np.put_along_axis(has, top, np.take_along_axis(bags, top, axis=1) > 0, axis=1)
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    shares = []
    for start in range(0, len(units), BLOCK):
        rows = slice(start, start + BLOCK)
        cosine = np.where(movie[rows, None] == movie, -np.inf, units[rows] @ units.T)
        both = (has[rows] & has[cosine.argmax(axis=1)]).sum(axis=1)
        shares.append(both / np.maximum(has[rows].sum(axis=1), 1))
    return np.concatenate(shares)


def find_missing(runs: Mapping[Path, Run], minutes: float) -> Iterator[tuple[Path, Run]]:
    """Yield files that do not exist with their runs, until the CPU minutes are spent."""
    for path, run in runs.items():
        if path.exists():
            continue
        if time.process_time() > 60 * minutes:
            print(f"stopped before {path.stem}: {minutes} minutes of CPU time are spent")
            return
        yield path, run


def run_missing(work: Path, minutes: float) -> None:
    """Train and evaluate what is missing, until the CPU minutes are spent."""
    from vujax.methods.linear_guide import read_features

    scenes = movie_guides.judged_scenes()
    bags = read_features(scenes)
    runs = {work / f"{name_run(guide, n, s)}.npz": (guide, n, s) for guide, n, s in RUNS}
    for path, (guide, candidates, seed) in find_missing(runs, minutes):
        config = build_config(guide, candidates, seed)
        found = embed_network(config, work / path.stem, scenes)
        values = {
            f"{output}/{key}": value
            for output, vectors in found.items()
            for key, value in evaluate(scenes, vectors, bags).items()
        }
        np.savez(path, **values)
        score = 100 * values["scene/same genre/ap"].mean()
        print(f"{path.stem}: same genre {score:.1f}, {time.process_time():.0f} s of CPU time")


def predict(x: np.ndarray, movie: np.ndarray, similar: np.ndarray, n: float) -> Any:
    """Return the linear encoder that the theory predicts for the best of `n` candidates.

    The agreement of random positives, G in whitened principal components, plus what a search by
    the present similarity adds where the variances l are large: (I - G) s_n l / |l|, with the
    expected greatest of n normal numbers s_n; at most CAP.

    Args:
      x: features `[n f]`.
      movie: int `[n]`, number of each scene's movie.
      similar: see `vujax.data.movies.guide.Guide`.
      n: number of candidates.

    Returns:
      `(mean [f], matrix [f d])`.
    """
    from vujax.methods.linear_guide import measure_agreement

    found = measure_agreement(x, movie, similar)
    guided = (found.directions * found.values) @ found.directions.T
    variance = np.linalg.norm(found.whitening.matrix, axis=0) ** -2.0
    rest = np.eye(len(guided)) - guided
    added = expect_greatest(n) * rest @ np.diag(variance / np.linalg.norm(variance))
    values, vectors = np.linalg.eigh(guided + (added + added.T) / 2)
    kept = values > found.threshold
    rho = np.minimum(values[kept], CAP)
    weight = np.sqrt(rho / (1 - rho**2))
    return found.whitening.mean, found.whitening.matrix @ vectors[:, kept] * weight


def embed_theory(work: Path, bags: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the names and embeddings `[n d]` of closed forms and of the theory's curve."""
    from vujax.methods.linear_guide import read_features
    from vujax.methods.movies2scenes import open_guided_scenes

    for guide in LINEAR:
        vectors = movie_guides.embed_linear(guide, bags, work, False)
        if vectors is not None:
            yield f"closed form, {guide}", vectors
    scenes, selected = open_guided_scenes(build_config("union", 1, 0))
    x = read_features(scenes)
    for n in NUMBERS:
        mean, matrix = predict(x, scenes.movie, selected.similar, n)
        yield f"theory, union, n {n}", (bags - mean) @ matrix


def print_linear(work: Path) -> None:
    """Print scores of the closed forms and of the theory, and their differences from the bag."""
    from vujax.evals.metrics.bootstrap import paired_bootstrap
    from vujax.methods.linear_guide import read_features

    scenes = movie_guides.judged_scenes()
    bags = read_features(scenes)
    base = 100 * movie_guides.movie_ranks(scenes, bags)["same genre/ap"]
    for name, vectors in (("bag of labels", bags), *embed_theory(work, bags)):
        ranked = movie_guides.movie_ranks(scenes, vectors)
        genre = 100 * ranked["same genre/ap"]
        less = paired_bootstrap(genre[None], base[None])
        own = 100 * share_labels(scenes.movie, vectors, bags).mean()
        print(
            f"{name}: same genre {genre.mean():.1f}, less bag {less.estimate:+.1f} "
            f"[{less.low:.1f}, {less.high:.1f}], co-watched "
            f"{100 * ranked['co-watched/ap'].mean():.2f}, own labels {own:.1f}"
        )


def print_steps(work: Path, steps: int = 40) -> None:
    """Print the median CPU time of a step of the union with 1, 4 and all candidates, in turn."""
    import jax

    from vujax.training import loop, setup
    from vujax.utils.mesh import make_global_batch

    runs = {n: loop.open_run(build_config("union", n, 0), work / "steps") for n in (1, 4, 0)}
    states = {n: setup.create_state(run.parts, 0) for n, run in runs.items()}
    batches = loop.open_batches(runs[1], 0, 0, 1)
    seconds: dict[int, list[float]] = {n: [] for n in runs}
    for _ in range(steps):
        rows = next(batches)
        for n, run in runs.items():
            batch = make_global_batch(run.mesh, rows)
            start = time.process_time()
            states[n], _ = jax.block_until_ready(run.parts.step(states[n], batch))
            seconds[n].append(time.process_time() - start)
    batches.close()
    for n, spent in seconds.items():
        quartiles = np.percentile(1000 * np.array(spent[2:]), [25, 50, 75])
        print(f"candidates {n or 'all'}: {quartiles.round(1)} ms (quartiles of {steps - 2} steps)")


def expect_greatest(n: float) -> float:
    """Return the expected greatest of n standard normal numbers."""
    z = np.linspace(-8, 8, 4001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    below = np.cumsum(density) * (z[1] - z[0])
    return float((z * n * density * below ** (n - 1)).sum() * (z[1] - z[0]))


def main() -> None:
    """Run the part of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="directory of the runs")
    parser.add_argument(
        "--part", choices=("run", "judge", "linear", "compare", "steps"), default="run"
    )
    parser.add_argument("--minutes", type=float, default=70.0, help="CPU minutes (default: 70)")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.part == "run":
        run_missing(args.work, args.minutes)
    elif args.part == "linear":
        print_linear(args.work)
    elif args.part == "steps":
        print_steps(args.work)
    else:
        from experiments import movie_candidates_tables as tables

        {"judge": tables.write_tables, "compare": tables.print_comparisons}[args.part](args.work)


if __name__ == "__main__":
    main()
