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
import dataclasses
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
from vujax.methods.base import Batch, Embeddings, StepContext, Tree
from vujax.methods.distill import Distill
from vujax.models.clip import clamp_scale
from vujax.models.feature_towers import FeatureTowers, build_feature_towers
from vujax.training.step import compute_gradients, finish_step, init_state
from vujax.training.sweep.results import Estimate, compute_estimate
from vujax.training.sweep.tables import write_intervals, write_rows

DATA = runpy.run_path(str(Path(__file__).with_name("psd_features_data.py")))
RESULTS = Path(__file__).with_name("results") / "psd_features"
BATCH, LR, EPOCHS, PAIRS = 256, 1e-3, 36, 3000
SEEDS, TUNING_SEEDS = range(5), (100,)
NUMBERS = {"dropout": 0.0, "unaligned_end": 0.0, "soft_weight": 1.0, "weight_decay": 0.1}


@dataclasses.dataclass(frozen=True)
class TracedDistill(Distill):
    """`Distill` whose numbers may be traced, so that one program serves all their values.

    Attributes:
      soft: True if rows may have soft targets.
    """

    soft: bool = False

    def __post_init__(self) -> None:
        """Check nothing: a traced number has no value yet."""

    @property
    def has_soft_targets(self) -> bool:
        """See `soft`."""
        return self.soft

    @property
    def has_dropout(self) -> bool:
        """True: a rate of 0 drops nothing."""
        return True


class KnownAlignments(TracedDistill):
    """All captions that truly fit an image are its targets, equally, and the reverse."""

    def embed(self, params: Tree, aux: Tree, batch: Batch, context: StepContext) -> Embeddings:
        """See `Distill.embed`; the teacher is the truth."""
        rows, shared = super().embed(params, aux, batch, context)
        facts = batch["image_facts"], batch["text_facts"]
        missing = rows["image"].shape[1] - facts[0].shape[1]  # the loss wants equal dimensions
        facts = tuple(jnp.pad(side, ((0, 0), (0, missing))) for side in facts)
        return Embeddings(rows | {"teacher": facts}, shared)


@dataclasses.dataclass(frozen=True)
class Setting:
    """A method with the values that were tried.

    Attributes:
      tries: numbers of each try, the same count for every method.
      options: of the method that are not traced.
      kind: its class.
      clean: train on the pairs with right captions only, for as many steps.
    """

    tries: tuple[dict[str, float], ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    kind: type[TracedDistill] = TracedDistill
    clean: bool = False


def grid(name: str, values: tuple[float, ...], **fixed: float) -> tuple[dict[str, float], ...]:
    """Return tries that differ in one number."""
    return tuple({name: value, **fixed} for value in values)


RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
PSD = dict(
    soft=True,
    target="half_columns",
    teacher_temperature=0.5,
    unaligned_begin=0.1,
    unaligned_full=0.4,
)
ALBEF = dict(soft=True, target="plain", teacher="ema", unaligned_begin=0.0, unaligned_full=0.1)
METHODS = {
    "CLIP": Setting(grid("weight_decay", (0.01, 0.03, 0.1, 0.3, 1.0, 3.0))),
    "CLIP, dropout": Setting(grid("dropout", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6))),
    "SigLIP": Setting(grid("dropout", RATES), dict(loss="sigmoid")),
    "CyCLIP": Setting(grid("dropout", RATES), dict(cyclip=0.25)),
    "label smoothing": Setting(grid("dropout", RATES), dict(label_smoothing=0.1)),
    "ALBEF mixing": Setting(
        grid("dropout", (0.1, 0.3, 0.5), unaligned_end=1.0, soft_weight=0.4)
        + grid("dropout", (0.1, 0.3, 0.5), unaligned_end=1.0, soft_weight=0.8),
        ALBEF,
    ),
    "PSD": Setting(
        grid("dropout", (0.1, 0.2, 0.3), unaligned_end=0.7)
        + grid("dropout", (0.1, 0.2, 0.3), unaligned_end=0.9),
        PSD,
    ),
    "oracle filter": Setting(grid("dropout", RATES), clean=True),
    "multi-positive oracle": Setting(
        grid("dropout", RATES, unaligned_end=1.0),
        dict(soft=True, target="plain", unaligned_begin=0.0, unaligned_full=0.0),
        KnownAlignments,
    ),
}
CONTROL = "CLIP, dropout"
MAIN = (CONTROL, "PSD", "oracle filter")


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


BLOCKS = ("fashion", "frames", "noise-fashion", "noise-frames", "kinds", "size")


@functools.cache
def build_training(name: str, steps: int) -> Callable[..., Tree]:
    """Return the compiled training of towers by a method of METHODS; see `define_training`."""
    dim = DATA["DIM"]
    model = build_feature_towers(image_dim=dim, text_dim=dim)
    return jax.jit(define_training(METHODS[name], model, steps, LR))


def define_training(setting: Setting, model: nn.Module, steps: int, lr: float) -> Callable:
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
    setting, pool = METHODS[name], pools["train"]
    rng = np.random.Generator(np.random.Philox([seed, 0]))
    pool = pool.take(rng.permutation(len(pool.images))[: point["size"]])
    noisy, wrong = DATA["add_noise"](pool, point["noise"], point["share"], seed)
    steps = EPOCHS * (point["size"] // BATCH)
    rows = np.flatnonzero(~wrong) if setting.clean else np.arange(len(wrong))
    data = {"image": noisy.images, "tokens": noisy.texts}
    if setting.kind is KnownAlignments:
        data |= {"image_facts": noisy.image_facts, "text_facts": noisy.text_facts}
    train = build_training(name, steps)
    order = draw_order(rows, steps, seed)
    variables = train(jax.random.key(seed), data, order, {**NUMBERS, **numbers})
    return evaluate(variables, pools[split], noisy, wrong)


def evaluate(variables: Tree, pool: Any, noisy: Any, wrong: np.ndarray) -> dict[str, float]:
    """Return the scores of a split, and the AUC of the wrong captions among the training pairs."""
    images, texts = embed(variables, "image", pool.images), embed(variables, "text", pool.texts)
    scores = DATA["score"](pool, images, texts, embed(variables, "text", pool.class_texts))
    if wrong.any():
        own = embed(variables, "image", noisy.images), embed(variables, "text", noisy.texts)
        scale = float(clamp_scale(variables["params"]["logit_scale"]))
        scores["auc"] = DATA["score_wrong"](noisy, wrong, own[0], own[1], scale)
    return scores


@functools.partial(jax.jit, static_argnums=1)
def embed(variables: Tree, side: str, rows: jax.Array) -> jax.Array:
    """Map features through one tower, `[n d]` -> `[n 64]`."""
    dim = DATA["DIM"]
    model = build_feature_towers(image_dim=dim, text_dim=dim)
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


def tune(features: Path, data: str) -> None:
    """Score every try of every method on the tuning split, with 40% of the captions shuffled."""
    pools, point = DATA["open_pools"](features / f"{data}.npz"), next(points(data))
    for method in known_methods(data):
        for (number, numbers), seed in product(enumerate(METHODS[method].tries), TUNING_SEEDS):
            identity = dict(data=data, method=method, number=number, seed=seed)
            run = functools.partial(run_once, pools, point, method, numbers)
            record("tune", identity, functools.partial(run, seed=seed, split="tune"))


def known_methods(data: str) -> tuple[str, ...]:
    """Return the methods of a data set: which names fit which photographs is not known."""
    known = METHODS if data == "frames" else (m for m in METHODS if m != "multi-positive oracle")
    return tuple(known)


def choose(data: str, method: str) -> dict[str, float]:
    """Return the numbers of the try with the best mean recall on the tuning split."""
    lines = [x for x in read_lines("tune") if (x["data"], x["method"]) == (data, method)]
    if len(lines) != len(TUNING_SEEDS) * len(METHODS[method].tries):
        raise ValueError(f"{method} has not been tuned on {data}: run `tune --block {data}` first")
    tries = range(len(METHODS[method].tries))
    mean = [np.mean([x["recall"] for x in lines if x["number"] == n]) for n in tries]
    return METHODS[method].tries[int(np.argmax(mean))]


def run_block(features: Path, block: str) -> None:
    """Train the chosen settings with all seeds, and score the report split."""
    for point in points(block):
        methods, data = point.pop("methods"), point["data"]
        pools = DATA["open_pools"](features / f"{data}.npz")
        for name in methods:
            numbers = choose(data, name)
            for seed in SEEDS:
                identity = dict(**point, method=name, seed=seed, numbers=numbers)
                run = functools.partial(run_once, pools, point, name, numbers)
                record("runs", identity, functools.partial(run, seed=seed, split="report"))


def tabulate() -> None:
    """Write the tables and plots of all runs, and the numbers that tuning chose."""
    groups: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for line in read_lines("runs"):
        title = f"{line['data']}, {line['share']:.0%} {line['noise']}, {line['size']} pairs"
        title = title if line["share"] else f"{line['data']}, true captions, {line['size']} pairs"
        groups.setdefault(title, {}).setdefault(line["method"], []).append(line)
    rows = [row for title, runs in groups.items() for row in summarize(title, runs)]
    write_rows(RESULTS, "table", rows, f"Points; intervals 95%; differences from {CONTROL}.")
    for title in ("fashion, 40% shuffled, 3000 pairs", "frames, 40% shuffled, 3000 pairs"):
        if CONTROL in groups.get(title, {}):
            lines = list(plot_lines(groups[title]))
            path = RESULTS / f"{title.partition(',')[0]}.svg"
            write_intervals(path, f"{title}: recall minus {CONTROL}, points", lines)


def summarize(title: str, runs: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, str]]:
    """Return a row per method: each score, and its paired difference from the control."""
    rows = []
    for method, lines in runs.items():
        row = {"setting": title, "method": method, "seeds": str(len(lines))}
        for metric in ("recall", "precision@10", "zero_shot", "auc"):
            if metric in lines[0]:
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
    own, other = ({x["seed"]: x[metric] for x in part} for part in (lines, controls))
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
    parser.add_argument("--block", choices=BLOCKS, action="append", default=[])
    arguments = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for block in arguments.block:
        (tune if arguments.action == "tune" else run_block)(arguments.features, block)
    tabulate()


if __name__ == "__main__":
    main()
