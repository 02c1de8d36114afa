"""PSD and its controls on frozen features, under a protocol that was fixed beforehand.

    VUJAX_DATA=... python experiments/psd_features_data.py --features runs/psd_features
    python experiments/psd_features.py tune --features runs/psd_features --block fashion
    python experiments/psd_features.py run --features runs/psd_features --block fashion
    python experiments/psd_features.py tables

The protocol is experiments/results/psd_features/PROTOCOL.md. A run is a whole training in one
compiled program. The numbers of a method (dropout, share, weights) are arguments of the program,
so that every seed and every try of a method shares it. Runs are lines of JSON under
experiments/results/psd_features; a run that is there is not repeated.
"""

import argparse
import functools
import json
import runpy
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from vujax import optim
from vujax.evals.scale import compare_pairs, compute_calibration_error, fit_scale
from vujax.methods.base import Batch, StepContext, Tree
from vujax.models.feature_towers import FeatureTowers, build_feature_towers
from vujax.models.two_towers import clamp_scale
from vujax.training.step import compute_gradients, finish_step, init_state
from vujax.training.sweep.results import Estimate, compute_estimate
from vujax.training.sweep.tables import write_intervals, write_rows

DATA = runpy.run_path(str(Path(__file__).with_name("psd_features_data.py")))
DEFINED = runpy.run_path(str(Path(__file__).with_name("psd_features_methods.py")))
METHODS, FAULTY = DEFINED["METHODS"], DEFINED["FAULTY"]
KNOWN = METHODS | FAULTY
RESULTS = Path(__file__).with_name("results") / "psd_features"
BATCH, LR, EPOCHS, PAIRS = 256, 1e-3, 36, 3000
SEEDS, TUNING_SEEDS = range(5), (100,)
RAW_RATES, RAW_SEEDS = (0.1, 0.2, 0.3, 0.5), (100, 101)
METRICS = ("recall", "precision@10", "zero_shot", "auc", "ece", "ece fitted")
NUMBERS = {"dropout": 0.0, "unaligned_end": 0.0, "soft_weight": 1.0, "weight_decay": 0.1}


CONTROL = "CLIP, dropout"
MAIN = (CONTROL, "PSD", "oracle filter")
OTHERS = {  # data set: pairs, and shares of shuffled captions; every second try
    "emoji": (1536, (0.4,)),
    "openclipart": (2304, (0.0, 0.4)),
    "tinyimagenet": (3840, (0.4,)),
}
BLOCKS = ("fashion", "frames", "noise-fashion", "noise-frames", "kinds", "size")
BLOCKS += ("calibration", "faulty", *OTHERS)


def points(block: str) -> Iterator[dict[str, Any]]:
    """Yield data set, noise, share, size and methods of the settings of a block."""
    base = dict(noise="shuffled", share=0.4, size=PAIRS)
    if block in ("fashion", "frames"):
        yield dict(base, data=block, methods=known_methods(block))
    elif block in ("noise-fashion", "noise-frames"):
        for share in (0.0, 0.2, 0.6):
            yield dict(base, data=block.removeprefix("noise-"), share=share, methods=MAIN)
    elif block == "kinds":
        for data in ("fashion", "frames"):
            for noise in DATA["NOISE"][1:]:
                yield dict(base, data=data, noise=noise, methods=MAIN)
    elif block == "size":
        for size in (1000, 6500):
            yield dict(base, data="fashion", size=size, methods=MAIN)
        yield dict(base, data="frames", size=1000, methods=MAIN)
    elif block == "calibration":
        for data in ("fashion", "frames"):
            yield dict(base, data=data, methods=MAIN)
    elif block == "faulty":
        yield dict(base, data="frames", methods=(CONTROL, "PSD", "multi-positive oracle", *FAULTY))
    else:
        size, shares = OTHERS[block]
        for share in shares:
            yield dict(base, data=block, share=share, size=size, methods=known_methods(block))


@functools.cache
def build_training(name: str, steps: int, image_dim: int, text_dim: int) -> Callable[..., Tree]:
    """Return the compiled training of towers by a method of KNOWN; see `define_training`."""
    model = build_feature_towers(image_dim=image_dim, text_dim=text_dim)
    return jax.jit(define_training(KNOWN[name], model, steps, LR))


def define_training(setting: Any, model: nn.Module, steps: int, lr: float) -> Callable:
    """Return a pure `(key, data, order, numbers) -> variables` of a complete training.

    `data` has arrays `[n ...]` of all training pairs, `order` int32 `[steps b]` their numbers, and
    `numbers` the traced values of NUMBERS.
    """

    def train(key: jax.Array, data: Batch, order: jax.Array, numbers: dict[str, Any]) -> Tree:
        numbers = dict(numbers)
        decay = numbers.pop("weight_decay")
        method = setting.kind(model=model, **numbers, **setting.options)
        take = lambda rows: {k: x[rows] for k, x in data.items()} | {"index": rows}  # noqa: E731
        first = take(order[0])
        params, _ = jax.eval_shape(method.init, key, first)
        schedule = optim.build_schedule(lr=lr, total_steps=steps, warmup_steps=0, schedule="cosine")
        optimizer = optim.build_optimizer(params, schedule, weight_decay=decay)

        def step(state: Any, rows: jax.Array) -> tuple[Any, None]:
            rng = jax.random.fold_in(key, state.step)
            context = StepContext(rng, state.step.astype(jnp.float32) / steps)
            (_, (aux, _)), grads = compute_gradients(
                lambda params, batch: method.embed(params, state.aux, batch, context),
                lambda embeddings: method.objective(embeddings, state.aux, context),
                state.params,
                take(rows),
                micro_batches=1,
            )
            options = dict(method=method, optimizer=optimizer, ema_decay=0.0)
            return finish_step(state, grads, aux, {}, **options)[0], None

        state = init_state(method, optimizer, key, first, ema=False)
        state, _ = lax.scan(step, state, order)
        statistics = {k: v for k, v in state.aux.items() if k == "batch_stats"}
        return {"params": state.params, **statistics}

    return train


def draw_order(rows: np.ndarray, steps: int, seed: int) -> np.ndarray:
    """Return int32 `[steps BATCH]`: epochs in random order, incomplete batches left out."""
    rng = np.random.Generator(np.random.Philox([seed, 2]))
    per_epoch = len(rows) // BATCH
    epochs = [rng.permutation(rows)[: per_epoch * BATCH] for _ in range(-(-steps // per_epoch))]
    return np.concatenate(epochs)[: steps * BATCH].reshape(steps, BATCH).astype(np.int32)


def run_once(
    pools: Mapping[str, Any],
    point: Mapping[str, Any],
    name: str,
    numbers: Mapping[str, float],
    *,
    seed: int,
    split: str,
) -> dict[str, float]:
    """Train with one seed and score one split."""
    variables, noisy, wrong = train_once(pools["train"], point, name, numbers, seed=seed)
    scores = evaluate(variables, pools[split], noisy, wrong)
    if split == "report" and "logit_bias" not in variables["params"]:
        scores |= calibrate(variables, pools["tune"], pools["report"])
    return scores


def train_once(
    pool: Any, point: Mapping[str, Any], name: str, numbers: Mapping[str, float], *, seed: int
) -> tuple[Tree, Any, np.ndarray]:
    """Return trained variables, the noisy pairs that they saw, and bool `[n]`: the wrong ones."""
    setting = KNOWN[name]
    rng = np.random.Generator(np.random.Philox([seed, 0]))
    pool = pool.take(rng.permutation(len(pool.images))[: point["size"]])
    noisy, wrong = DATA["add_noise"](pool, point["noise"], point["share"], seed)
    steps = point.get("epochs", EPOCHS) * (point["size"] // BATCH)
    rows = np.flatnonzero(~wrong) if setting.clean else np.arange(len(wrong))
    data = {"image": noisy.images, "tokens": noisy.texts}
    if setting.kind is DEFINED["KnownAlignments"]:
        data |= {"image_facts": noisy.image_facts, "text_facts": noisy.text_facts}
    train = build_training(name, steps, noisy.images.shape[1], noisy.texts.shape[1])
    order = draw_order(rows, steps, seed)
    return train(jax.random.key(seed), data, order, {**NUMBERS, **numbers}), noisy, wrong


def evaluate(variables: Tree, pool: Any, noisy: Any, wrong: np.ndarray) -> dict[str, float]:
    """Return the scores of a split, and the AUC of the wrong captions among the training pairs."""
    images, texts = embed_pairs(variables, pool)
    scores = DATA["score"](pool, images, texts, embed(variables, "text", pool.class_texts))
    if wrong.any():
        own, scale = embed_pairs(variables, noisy), read_scale(variables)
        scores["auc"] = DATA["score_wrong"](noisy, wrong, own[0], own[1], scale)
    return scores


def calibrate(variables: Tree, tune: Any, report: Any) -> dict[str, float]:
    """Return the calibration errors of a split before and after a fit of the scale on another."""
    trained = read_scale(variables)
    fitted = fit_scale(**DATA["group_pairs"](tune, embed_pairs(variables, tune)), trained=trained)
    compared = DATA["group_pairs"](report, embed_pairs(variables, report))
    similarity, belongs = compare_pairs(**compared)
    before, after = (
        compute_calibration_error(similarity, belongs, scale) for scale in (trained, fitted.scale)
    )
    return {"ece": before, "ece fitted": after, "scale": trained, "scale fitted": fitted.scale}


def embed_pairs(variables: Tree, pool: Any) -> tuple[jax.Array, jax.Array]:
    """Return the unit embeddings of the images and of their captions."""
    return embed(variables, "image", pool.images), embed(variables, "text", pool.texts)


def read_scale(variables: Tree) -> float:
    """Return the trained multiplier of the cosines."""
    return float(clamp_scale(variables["params"]["logit_scale"]))


@functools.partial(jax.jit, static_argnums=1)
def embed(variables: Tree, side: str, rows: jax.Array) -> jax.Array:
    """Map features through one tower, `[n d]` -> `[n 64]`."""
    model = build_feature_towers(**{f"{side}_dim": rows.shape[1]})
    encode = FeatureTowers.encode_image if side == "image" else FeatureTowers.encode_text
    return model.apply(variables, rows, method=encode)[0]


def read_lines(name: str) -> list[dict[str, Any]]:
    """Read a file of results."""
    path = RESULTS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def record(name: str, identity: dict[str, Any], compute: Callable[[], dict[str, float]]) -> None:
    """Append the scores of a run, unless it is there."""
    if any(identity.items() <= line.items() for line in read_lines(name)):
        return
    start = time.perf_counter()
    scores = {key: round(float(value), 5) for key, value in compute().items()}
    line = identity | scores | {"seconds": round(time.perf_counter() - start, 1)}
    with (RESULTS / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)


def tune_raw(features: Path) -> None:
    """Score PSD's dropout on the tuning splits, on features of all dimensions."""
    point = dict(noise="shuffled", share=0.4, size=PAIRS)
    for data in ("fashion", "frames"):
        pools = DATA["open_pools"](features / f"{data}.npz", raw=True)
        for rate, seed in product(RAW_RATES, RAW_SEEDS):
            numbers = dict(dropout=rate, unaligned_end=0.7)
            identity = dict(data=data, method="PSD", seed=seed, numbers=numbers)
            run = functools.partial(run_once, pools, point, "PSD", numbers)
            record("raw", identity, functools.partial(run, seed=seed, split="tune"))


def tune(features: Path, block: str) -> None:
    """Score the tries of every method on the tuning split, with 40% of the captions shuffled."""
    data = "frames" if block == "faulty" else block
    pools = DATA["open_pools"](features / f"{data}.npz")
    point = dict(noise="shuffled", share=0.4, size=OTHERS.get(data, (PAIRS,))[0], data=data)
    for method in FAULTY if block == "faulty" else known_methods(data):
        for number, seed in product(select_tries(data, method), TUNING_SEEDS):
            identity = dict(data=data, method=method, number=number, seed=seed)
            numbers = KNOWN[method].tries[number]
            run = functools.partial(run_once, pools, point, method, numbers)
            record("tune", identity, functools.partial(run, seed=seed, split="tune"))


def known_methods(data: str) -> tuple[str, ...]:
    """Return the methods of a data set: which names fit which photographs is not known."""
    if data in OTHERS:
        return (CONTROL, "SigLIP", "PSD", "oracle filter")
    return tuple(m for m in METHODS if data == "frames" or m != "multi-positive oracle")


def select_tries(data: str, method: str) -> range:
    """Return the numbers of the tries of a method; every second one of other data sets."""
    return range(0, len(KNOWN[method].tries), 2 if data in OTHERS else 1)


def choose(data: str, method: str) -> dict[str, float]:
    """Return the numbers of the try with the best mean score on the tuning split.

    It is recall, and precision@10 for methods against faulty negatives.
    """
    lines = [x for x in read_lines("tune") if (x["data"], x["method"]) == (data, method)]
    tries = select_tries(data, method)
    if len(lines) != len(TUNING_SEEDS) * len(tries):
        raise ValueError(f"{method} has not been tuned on {data}: run `tune --block {data}` first")
    metric = "precision@10" if method in FAULTY else "recall"
    mean = [np.mean([x[metric] for x in lines if x["number"] == n]) for n in tries]
    return KNOWN[method].tries[tries[int(np.argmax(mean))]]


def run_block(features: Path, block: str) -> None:
    """Train the chosen settings with all seeds, and score the report split."""
    results = "calibration" if block == "calibration" else "runs"
    for point in points(block):
        methods, data = point.pop("methods"), point["data"]
        pools = DATA["open_pools"](features / f"{data}.npz")
        for name in methods:
            numbers = choose(data, name)
            for seed in SEEDS[:3] if name in FAULTY else SEEDS:
                identity = dict(**point, method=name, seed=seed, numbers=numbers)
                run = functools.partial(run_once, pools, point, name, numbers)
                record(results, identity, functools.partial(run, seed=seed, split="report"))


def tabulate() -> None:
    """Write the tables and plots of all runs, and the numbers that tuning chose."""
    note = f"Points; intervals 95%; differences from {CONTROL}."
    groups = group_runs("runs")
    for name, found in (("table", groups), ("calibration", group_runs("calibration"))):
        rows = [row for title, runs in found.items() for row in summarize(title, runs)]
        write_rows(RESULTS, name, rows, note)
    for title in ("fashion, 40% shuffled, 3000 pairs", "frames, 40% shuffled, 3000 pairs"):
        if CONTROL in groups.get(title, {}):
            lines = list(plot_lines(groups[title]))
            path = RESULTS / f"{title.partition(',')[0]}.svg"
            write_intervals(path, f"{title}: recall minus {CONTROL}, points", lines)


def group_runs(name: str) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return the lines of a file of results by setting and method."""
    groups: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for line in read_lines(name):
        title = f"{line['data']}, {line['share']:.0%} {line['noise']}, {line['size']} pairs"
        title = title if line["share"] else f"{line['data']}, true captions, {line['size']} pairs"
        groups.setdefault(title, {}).setdefault(line["method"], []).append(line)
    return groups


def summarize(title: str, runs: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, str]]:
    """Return a row per method: each score, and its paired difference from the control."""
    rows = []
    for method, lines in runs.items():
        row = {"setting": title, "method": method, "seeds": str(len(lines))}
        for metric in METRICS:
            if all(metric in line for line in lines):
                row[metric] = show(compute_estimate([100 * x[metric] for x in lines]))
                difference = paired(lines, runs.get(CONTROL, []), metric)
                row[f"{metric} minus control"] = "" if method == CONTROL else show(difference)
        if method != "PSD" and "PSD" in runs:
            row["PSD minus it, recall"] = show(paired(runs["PSD"], lines, "recall"))
        row["chosen"] = " ".join(f"{k}={v}" for k, v in lines[0]["numbers"].items())
        rows.append(row)
    return rows


def paired(
    lines: list[dict[str, Any]], controls: list[dict[str, Any]], metric: str
) -> Estimate | None:
    """Return the mean difference over common seeds, in points."""
    own, other = ({x["seed"]: x[metric] for x in part if metric in x} for part in (lines, controls))
    return compute_estimate([100 * (own[seed] - other[seed]) for seed in own if seed in other])


def show(estimate: Estimate | None) -> str:
    """Format a mean with the half-width of its interval."""
    if estimate is None:
        return ""
    mean, half = estimate[:2]
    return f"{mean:.1f}" if half is None else f"{mean:.1f} ± {half:.1f}"


def plot_lines(
    runs: Mapping[str, list[dict[str, Any]]],
) -> Iterator[tuple[str, float, float, float]]:
    """Yield name, mean, low and high of each method's difference from the control."""
    for method, lines in runs.items():
        found = paired(lines, runs[CONTROL], "recall")
        if method != CONTROL and found is not None:
            mean, half = found[0], found[1] or 0.0
            yield method, mean, mean - half, mean + half


def main() -> None:
    """Run one action."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("tune", "run", "tables"))
    parser.add_argument("--features", type=Path, default=Path("runs/psd_features"), metavar="DIR")
    parser.add_argument("--block", choices=(*BLOCKS, "raw"), action="append", default=[])
    arguments = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for block in arguments.block:
        action = tune if arguments.action == "tune" else run_block
        if block == "raw":
            tune_raw(arguments.features)
        else:
            action(arguments.features, block)
    tabulate()


if __name__ == "__main__":
    main()
