"""Time and memory of the losses' value and gradient: tiled, dense in JAX, and dense in PyTorch.

    python tools/bench_loss.py                                    # N = 8,192, d = 512, here
    python tools/bench_loss.py --n 65536 --d 768 --dtype bfloat16 # on a GPU
    python tools/bench_loss.py --n 65536 --repeat 0               # memory alone: nothing runs
    python tools/bench_loss.py --errors --n 2048                  # against float64, all modes

Prints JSON lines. The implementations alternate, so that other load slows all of them equally, and
seconds are medians. `to_swapped_rows` and `cpu_ratio` are the ratios to the seconds and to the CPU
seconds of that mode by the same implementation, where it is among the modes. `floor_s` is the time
that the implementation's matrix products alone would take at the rate of a large product measured
in the same run: `floor_ratio` = seconds / floor_s. The tiled losses compute one product more than
dense ones, which store the N x N matrix, and own columns two more.
"""

import argparse
import importlib.util
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vujax import losses
from vujax.losses import reference
from vujax.utils.arrays import l2_normalize

GIB = 2**30
IMPLEMENTATIONS = ("tiled", "dense", "torch")
MAX_DENSE = 16_384  # a dozen N x N arrays of more than 1 GiB each above it

# Keyword arguments of soft_alignment; clip is info_nce.
MODES: dict[str, dict[str, Any]] = {
    "clip": {},
    "swapped_rows": {},
    "plain": {"target": "plain"},
    "own_columns": {"target": "own_columns"},
    "half_columns": {"target": "half_columns"},
    "half_columns_cool": {"target": "half_columns", "teacher_temperature": 0.5},
    "half_columns_ema": {"target": "half_columns", "teacher": True},
    "ema": {"teacher": True},
    "albef": {"soft_weight": 0.4},
    "cool": {"teacher_temperature": 0.5},
    "smoothed": {"label_smoothing": 0.1},
    "sigmoid": {},
}
TIMED = ("clip", "swapped_rows", "sigmoid")  # default for time; errors and memory cover all
IN_TORCH = ("clip", "swapped_rows")


class Case(NamedTuple):
    """One loss to time.

    Attributes:
      name: implementation, mode and other keys of its line.
      run: computes the loss and its gradients, and waits for them; returns the loss.
      products: number of N x N x d matrix products.
    """

    name: dict[str, Any]
    run: Callable[[], float]
    products: int


def batch(n: int, d: int) -> dict[str, Any]:
    """Generate unit images, texts near them, a teacher near both, half of the rows unaligned."""
    rng = np.random.default_rng(0)

    def near(x: np.ndarray) -> np.ndarray:
        return l2_normalize(x + 0.2 * rng.standard_normal((n, d), np.float32))

    image = l2_normalize(rng.standard_normal((n, d), np.float32))
    text = near(image)
    return {
        "image": image,
        "text": text,
        "teacher": (near(image), near(text)),
        "unaligned": rng.random(n) < 0.5,
    }


def jax_loss(implementation: str, mode: str) -> Callable[..., jax.Array]:
    """Return the loss of (image, text, scale, unaligned, teacher)."""
    form = {"tiled": losses, "dense": reference}[implementation]
    if mode == "clip":
        return lambda image, text, scale, *_: form.info_nce(image, text, scale)
    if mode == "sigmoid":
        return lambda image, text, scale, *_: form.sigmoid(image, text, scale, -10.0)
    options = dict(MODES[mode])
    taught = options.pop("teacher", False)

    def loss(
        image: jax.Array, text: jax.Array, scale: jax.Array, unaligned: jax.Array, teacher: Any
    ) -> jax.Array:
        teacher = teacher if taught else None
        return form.soft_alignment(image, text, scale, unaligned, teacher=teacher, **options)

    return loss


def jax_inputs(data: dict[str, Any], scale: float, dtype: str) -> tuple:
    """Return the arguments of `jax_loss`, rows in `dtype`, the scale in float32 or wider."""
    image, text, teacher = jax.tree.map(
        lambda x: jnp.asarray(x, dtype), (data["image"], data["text"], data["teacher"])
    )
    scale = jnp.asarray(np.float32(scale), jnp.promote_types(dtype, jnp.float32))
    return image, text, scale, jnp.asarray(data["unaligned"]), teacher


def jax_case(implementation: str, mode: str, data: dict[str, Any], dtype: str) -> Case:
    """Compile a JAX implementation."""
    inputs = jax_inputs(data, 20.0, dtype)
    function = jax.jit(jax.value_and_grad(jax_loss(implementation, mode), (0, 1, 2)))
    compiled = function.lower(*inputs).compile()
    temporary = compiled.memory_analysis().temp_size_in_bytes / GIB

    def run() -> float:
        return float(jax.block_until_ready(compiled(*inputs))[0])

    name = {"implementation": implementation, "mode": mode, "temporary_gib": round(temporary, 4)}
    options = MODES[mode]
    forward = 2 if "teacher" in options else 1
    passes = 3 if "columns" in options.get("target", "") else 2
    tiled = 3 if mode == "sigmoid" else passes * forward + 2
    return Case(name, run, tiled if implementation == "tiled" else forward + 2)


def torch_case(mode: str, data: dict[str, Any], dtype: str) -> Case:
    """Build CLIP's loss as usually written, or swapped soft targets, in PyTorch."""
    import torch
    from torch.nn.functional import cross_entropy

    image, text = (
        torch.tensor(data[key]).to(getattr(torch, dtype)).requires_grad_()
        for key in ("image", "text")
    )
    scale = torch.tensor(20.0, requires_grad=True)
    labels, unaligned = torch.arange(len(image)), torch.tensor(data["unaligned"])[:, None]

    def targets(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if mode == "clip":
            return labels, labels
        one_hot = torch.eye(len(labels), dtype=logits.dtype)
        image_rows, text_rows = logits.detach().softmax(1), logits.detach().T.softmax(1)
        return torch.where(unaligned, text_rows, one_hot), torch.where(
            unaligned, image_rows, one_hot
        )

    def run() -> float:
        image.grad = text.grad = scale.grad = None
        logits = scale * image @ text.T
        image_targets, text_targets = targets(logits)
        loss = (cross_entropy(logits, image_targets) + cross_entropy(logits.T, text_targets)) / 2
        loss.backward()
        return loss.item()

    return Case({"implementation": "torch", "mode": mode}, run, 3)


def matmul_case(dtype: str, size: int) -> Case:
    """Build a square product, for the rate of products alone on this machine."""
    x = jnp.ones((size, size), dtype)
    product = jax.jit(lambda x: jnp.matmul(x, x, preferred_element_type=jnp.float32))

    def run() -> float:
        return float(product(x)[0, 0])

    return Case({"implementation": "matmul"}, run, 0)


def cases(args: argparse.Namespace, implementations: list[str]) -> Iterator[Case]:
    """Build the cases of the command line."""
    data = batch(args.n, args.d)
    for mode in args.modes:
        for implementation in implementations:
            if implementation != "torch":
                yield jax_case(implementation, mode, data, args.dtype)
            elif mode in IN_TORCH:
                yield torch_case(mode, data, args.dtype)


def resident() -> float:
    """Return this process's resident GiB; Linux only, else 0."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 / GIB if statm.exists() else 0.0


def highest_resident(run: Callable[[], float]) -> tuple[float, float]:
    """Run, and return `(loss, maximum GiB that the process gained)`."""
    before, samples, finished = resident(), [0.0], threading.Event()

    def watch() -> None:
        while not finished.wait(0.002):
            samples.append(resident() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    loss = run()
    finished.set()
    watcher.join()
    return loss, max(samples)


def measure_time(run: Callable[[], float]) -> tuple[float, float]:
    """Run, and return wall seconds and CPU seconds of all cores."""
    wall, cores = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cores


def measure(args: argparse.Namespace, implementations: list[str]) -> Iterator[dict[str, Any]]:
    """Measure all cases: a record of the machine, then one per case."""
    if not args.repeat:
        yield from (case.name for case in cases(args, implementations))
        return
    size = min(args.n, 4096 if jax.default_backend() == "cpu" else 8192)
    entries = [matmul_case(args.dtype, size), *cases(args, implementations)]
    first = [highest_resident(case.run) for case in entries]
    turns = [[measure_time(case.run) for case in entries] for _ in range(args.repeat)]
    seconds, cores = np.median(turns, axis=0).T
    rate = 2 * size**3 / seconds[0]
    yield {"machine": jax.devices()[0].device_kind, "matmul_gflops": round(rate / 1e9, 1)} | {
        name: getattr(args, name) for name in ("n", "d", "dtype", "repeat")
    }
    swapped = {
        case.name["implementation"]: both
        for case, both in zip(entries, zip(seconds, cores, strict=True), strict=True)
        if case.name.get("mode") == "swapped_rows"
    }
    for i, case in list(enumerate(entries))[1:]:
        loss, gained = first[i]
        base = swapped.get(case.name["implementation"])
        floor = case.products * 2 * args.n**2 * args.d / rate
        yield case.name | round_values(
            seconds=seconds[i],
            cpu_seconds=cores[i],
            floor_s=floor,
            floor_ratio=seconds[i] / floor,
            loss=loss,
            resident_gib=gained,
            **compare_to(base, seconds[i], cores[i]),
        )
    memory = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in memory:
        peak = round(memory["peak_bytes_in_use"] / GIB, 3)
        yield {"device_peak_gib": peak, "of": " ".join(implementations)}


def errors(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Compare the tiled losses with dense ones in float64, for each mode and scale."""
    data = batch(args.n, args.d)
    for mode in args.modes:
        tiled, dense = (
            jax.jit(jax.value_and_grad(jax_loss(implementation, mode), (0, 1)))
            for implementation in ("tiled", "dense")
        )
        for scale in (14.3, 20.0, 100.0):
            value, gradients = tiled(*jax_inputs(data, scale, args.dtype))
            with jax.enable_x64(True):
                exact, expected = dense(*jax_inputs(data, scale, "float64"))
            worst = max(
                np.abs(np.float64(g) - np.asarray(e)).max() / np.abs(e).max()
                for g, e in zip(gradients, expected, strict=True)
            )
            yield {"mode": mode, "scale": scale} | round_values(
                loss=exact,
                value_error=abs(float(value) - float(exact)) / max(abs(float(exact)), 1e-3),
                gradient_error=worst,
            )


def compare_to(base: tuple[float, float] | None, seconds: float, cores: float) -> dict[str, float]:
    """Return the ratios to wall and CPU seconds of swapped rows, if these were timed."""
    return (
        {} if base is None else dict(to_swapped_rows=seconds / base[0], cpu_ratio=cores / base[1])
    )


def round_values(**values: Any) -> dict[str, float]:
    """Round values to four digits."""
    return {name: float(f"{float(value):.4g}") for name, value in values.items()}


def select_implementations(args: argparse.Namespace) -> tuple[list[str], list[dict[str, str]]]:
    """Return the implementations to time, and a record for each that is left out."""
    names, records = args.only or list(IMPLEMENTATIONS), []
    if args.only is None and args.n > MAX_DENSE:
        names = ["tiled"]
        records.append({"left_out": "dense, torch", "why": "N x N arrays: try with --only"})
    if "torch" in names and importlib.util.find_spec("torch") is None:
        names = [name for name in names if name != "torch"]
        records.append({"left_out": "torch", "why": "not installed: pip install 'vujax[parity]'"})
    return names, records


def main(argv: list[str] | None = None) -> None:
    """Measure the implementations, and print JSON lines."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=8192, help="pairs per batch")
    parser.add_argument("--d", type=int, default=512, help="embedding dimension")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument(
        "--modes",
        nargs="+",
        choices=MODES,
        help=f"default: all for memory and errors, {' '.join(TIMED)} for time",
    )
    parser.add_argument(
        "--repeat", type=int, default=5, help="timed runs per case; 0: compile only"
    )
    parser.add_argument("--only", nargs="+", choices=IMPLEMENTATIONS)
    parser.add_argument("--errors", action="store_true", help="errors against float64 instead")
    args = parser.parse_args(argv)
    args.modes = args.modes or (MODES if args.errors or not args.repeat else TIMED)
    implementations, records = select_implementations(args)
    measured = (
        errors(args) if args.errors else itertools.chain(records, measure(args, implementations))
    )
    for record in measured:
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
