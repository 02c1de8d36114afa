"""Rows of scenes: share of padding, reading speed, and cost of a step.

    python tools/bench_scene_rows.py                                   # generated scenes
    python tools/bench_scene_rows.py --movieclip SHOTS --clips CLIPS   # MovieCLIP's own lengths
    python tools/bench_scene_rows.py --variant tiny --lengths 1 4 16 64

Generated scenes have geometric lengths of mean 5.7, truncated at --max_shots, similar to
MovieCLIP's. Prints JSON lines. First 'rows', one line per plan: share of padding, share of vacant
scene slots, scenes/s read. Then 'step', forward and backward of the model in float32: the same
scenes packed, in buckets, and one per row ('alone'), with scenes/s. Then 'length', scenes of one
length: seconds of a step of --rows rows, and microseconds per shot, packed and alone. The fastest
of --steps steps counts.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vujax.data.films import Shots
from vujax.data.registry import open_scenes
from vujax.data.scene_batches import SceneRows
from vujax.data.scenes import FilmScenes, Scenes, select_scenes
from vujax.models.scene_encoder import SceneViT, build_scene_encoder

WIDTH = 150  # of a shot's feature
MEAN = 5.7  # shots per scene


class Generated(Shots):
    """A film of random features."""

    def inputs(self, shots: np.ndarray) -> dict[str, np.ndarray]:
        """Return 'feature' float32 `[k WIDTH]`."""
        return {"feature": np.ones((len(shots), WIDTH), np.float32)}


def generate(lengths: np.ndarray) -> Scenes:
    """Generate scenes of one film, of these lengths."""
    ends = np.cumsum(lengths)
    starts = np.arange(ends[-1], dtype=np.float64)
    film = Generated("film", np.stack([starts, starts + 1], axis=1))
    runs = np.stack([np.zeros(len(ends)), ends - lengths, ends], axis=1)
    return FilmScenes((film,), runs.astype(np.int64))


def open_or_generate(args: argparse.Namespace) -> Scenes:
    """Open or generate the scenes of the command line."""
    if args.movieclip:
        options = dict(path=args.movieclip, clips=args.clips, max_shots=args.max_shots)
        return open_scenes("movieclip", **options)
    lengths = np.random.default_rng(0).geometric(1 / MEAN, args.scenes)
    return select_scenes(generate(lengths), max_shots=args.max_shots)


def plans(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return options of `SceneRows` by name of the plan."""
    longest = args.max_shots
    powers = [2**k for k in range(2, 12) if 2**k < longest]
    return {
        "packed": dict(width=longest, most=args.most),
        "buckets": dict(buckets=[*powers, longest]),
        "alone": dict(buckets=[longest]),
    }


def read(rows: SceneRows, batch_size: int, steps: int) -> tuple[list[dict], float]:
    """Read batches, and return them with scenes/s."""
    batches = rows.train_batches(batch_size=batch_size, seed=0)
    try:
        next(batches)
        start = time.perf_counter()
        read_batches = [next(batches) for _ in range(steps)]
        elapsed_s = time.perf_counter() - start
    finally:
        batches.close()
    num_scenes = sum(int((batch["scene"] >= 0).sum()) for batch in read_batches)
    return read_batches, num_scenes / elapsed_s


def build_step(model: SceneViT) -> Callable[[Any, Mapping[str, Any]], Any]:
    """Build forward and backward of a loss that depends on every embedding."""

    def loss(variables: Any, rows: Mapping[str, Any]) -> jax.Array:
        return jnp.mean(jnp.sin(model.apply(variables, rows)[0]))

    return jax.jit(jax.value_and_grad(loss))


def measure_fastest(
    step: Callable[..., Any], variables: Any, rows: Mapping[str, Any], steps: int
) -> float:
    """Return seconds of the fastest of some steps; one more, which compiles, does not count."""
    times_s = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        jax.block_until_ready(step(variables, rows))
        times_s.append(time.perf_counter() - start)
    return min(times_s[1:])


def time_plans(scenes: Scenes, model: SceneViT, args: argparse.Namespace) -> Iterator[dict]:
    """Measure 'rows' and 'step' of each plan."""
    step, variables = build_step(model), None
    for name, plan in plans(args).items():
        rows = SceneRows(scenes, {"feature": (WIDTH,)}, **plan)
        batches, rate = read(rows, args.rows, args.batches)
        shares = dict(padding=rows.padding(args.rows), vacancy=rows.vacancy(args.rows))
        yield dict(what="rows", plan=name, **plan, rows=rows.examples, **shares, scenes_per_s=rate)
        if variables is None:
            variables = jax.jit(model.init)(jax.random.key(0), batches[0])
        spent: dict[int, float] = {}
        for batch in batches:
            width = batch["segment"].shape[1]
            if width not in spent:
                spent[width] = measure_fastest(step, variables, batch, args.steps)
        seconds = sum(spent[batch["segment"].shape[1]] for batch in batches)
        count = sum(int((batch["scene"] >= 0).sum()) for batch in batches)
        times = dict(step_s=seconds / len(batches), scenes_per_s=count / seconds)
        yield dict(what="step", plan=name, widths=sorted(spent), **times)


def time_lengths(model: SceneViT, args: argparse.Namespace) -> Iterator[dict]:
    """Measure 'length': a step of scenes of one length, packed or one per row."""
    step, variables = build_step(model), None
    width = args.max_shots
    for length in args.lengths:
        many = generate(np.full(args.rows * width // length, length))
        for name, most in (("packed", width // length), ("alone", 1)):
            rows = SceneRows(many, {"feature": (WIDTH,)}, width=width, most=most)
            (batch,), _ = read(rows, args.rows, 1)
            if variables is None:
                variables = jax.jit(model.init)(jax.random.key(0), batch)
            seconds = measure_fastest(step, variables, batch, args.steps)
            shots = int((batch["segment"] > 0).sum())
            sizes = dict(length=length, plan=name, scenes=shots // length)
            yield dict(what="length", **sizes, step_s=seconds, us_per_shot=1e6 * seconds / shots)


def main() -> None:
    """Measure plans and lengths, and print JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--movieclip", help="pattern of MovieCLIP's lists of shots")
    parser.add_argument("--clips", help="Condensed Movies' clips.csv")
    parser.add_argument("--scenes", type=int, default=20_000, help="number of generated scenes")
    parser.add_argument(
        "--max_shots", type=int, default=64, help="maximum shots per scene, and width of a row"
    )
    parser.add_argument("--most", type=int, default=12, help="maximum scenes per packed row")
    parser.add_argument("--rows", type=int, default=32, help="rows per batch")
    parser.add_argument("--batches", type=int, default=40, help="number of batches that are read")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--variant", default="tiny", help="model variant")
    parser.add_argument("--pool", default="cls", help="pooling, cls or mean (default: cls)")
    parser.add_argument("--lengths", type=int, nargs="*", default=[1, 4, 16, 64])
    args = parser.parse_args()
    model = build_scene_encoder(variant=args.variant, pool=args.pool, max_shots=args.max_shots)
    setting = dict(
        variant=args.variant, pool=args.pool, rows=args.rows, device=str(jax.devices()[0])
    )
    print(json.dumps(dict(what="setting", **setting)))
    for line in time_plans(open_or_generate(args), model, args):
        print(json.dumps(line), flush=True)
    for line in time_lengths(model, args):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
