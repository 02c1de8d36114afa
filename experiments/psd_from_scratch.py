"""PSD from scratch on Tiny ImageNet's part, for a quarter of an hour of one GPU.

    VUJAX_DATA=... python experiments/psd_from_scratch.py --out runs/scratch
    VUJAX_DATA=... python experiments/psd_from_scratch.py --out runs/scratch --cost

10,000 pictures at 64 px with the names of 200 classes as captions: 40% shuffled or all true, 40
epochs, CLIP with dropout, PSD with shares of .7 and .9, and the oracle filter (CLIP with dropout
on right captions only, as many steps), 2 seeds: 14 trainings. One fifth of the pictures, by
sha1(key), is scored: zero-shot top-1 and top-5 with right names. Dropout is .1 for all; nothing is
tuned. Data stay on the device, and a training is one program (see psd_features.py). `--cost` trains
one step of every method on 800 pictures, times one of PSD, and prints what all runs would take.

It was never run in full. On a CPU one step of each method ran (`--cost`) and left finite numbers. A
step of PSD takes 8.9 s of CPU time there, so that all runs are 43 hours of one core. By count of
products a step is 0.37 TFLOP (256 pictures, four forwards' worth of a ViT of 2.7 million weights on
64 patches), a training 1,240 steps, and all 6e15 FLOP: one to five minutes of an H200 at 2 to 10%
of its peak, and compilation.
"""

import argparse
import functools
import json
import os
import runpy
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from vujax import models
from vujax.data.images import preprocess_eval_image
from vujax.data.sources import open_source
from vujax.data.sources.split import HoldOut
from vujax.models.clip import CLIP
from vujax.models.image_spec import ImageSpec
from vujax.models.tokenizers.clip import tokenize

FEATURES = runpy.run_path(str(Path(__file__).with_name("psd_features.py")))
BATCH, EPOCHS, LR, CONTEXT, DROPOUT = 256, 40, 5e-4, 16, 0.1
SEEDS, NOISE = range(2), (0.0, 0.4)
RUNS = {  # name: (method of psd_features.py, final share)
    "CLIP, dropout": ("CLIP, dropout", 0.0),
    "PSD .7": ("PSD", 0.7),
    "PSD .9": ("PSD", 0.9),
    "oracle filter": ("oracle filter", 0.0),
}
COST_STEPS = 1


class Pictures(NamedTuple):
    """Pictures with their names.

    Attributes:
      images: uint8 `[n 64 64 3]`.
      labels: int `[n]`, of the names.
      tokens: int32 `[classes CONTEXT]`, of the names.
    """

    images: np.ndarray
    labels: np.ndarray
    tokens: np.ndarray


def read_pictures(limit: int | None = None) -> dict[str, Pictures]:
    """Read the training and the held-out pictures; `limit` reads only so many."""
    if not os.environ.get("VUJAX_DATA"):
        raise ValueError("set VUJAX_DATA to the folder that holds the real data")
    path = f"{os.environ['VUJAX_DATA']}/classes/tinyimagenet/*.tar"
    source = open_source("webdataset", path=path, label_field="caption")
    rule = HoldOut(modulo=5, remainder=0)
    records = [source[i] for i in range(min(limit or len(source), len(source)))]
    held_out = np.array([rule.is_held_out(record["key"]) for record in records])
    images = np.stack(
        [preprocess_eval_image(record["image"], ImageSpec.square(64)) for record in records]
    )
    labels = np.array([record["label"] for record in records])
    tokens = tokenize(list(source.classes), CONTEXT)
    sides = {"train": ~held_out, "report": held_out}
    return {name: Pictures(images[rows], labels[rows], tokens) for name, rows in sides.items()}


def build_model() -> CLIP:
    """Build a small ViT with patches of 8 and a small text transformer."""
    return models.build_clip(
        image=dict(
            kind="vit", variant="S/8", image_size=64, width=192, layers=6, heads=3, pool="mean"
        ),
        text=dict(width=128, layers=2, heads=2, context=CONTEXT, pool="mean"),
        embed_dim=128,
        dtype="float32" if jax.default_backend() == "cpu" else "bfloat16",
        scan=True,
    )


@functools.cache
def build_training(method: str, steps: int) -> Callable:
    """Return the compiled training by a method of psd_features.py."""
    setting = FEATURES["METHODS"][method]
    return jax.jit(FEATURES["define_training"](setting, build_model(), steps, LR))


def points() -> Iterator[tuple[str, float, int]]:
    """Yield name, share of shuffled names and seed; without wrong names the oracle is CLIP."""
    for noise, name, seed in product(NOISE, RUNS, SEEDS):
        if noise or name != "oracle filter":
            yield name, noise, seed


def shuffle(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return labels of which a share is rotated among the chosen pictures."""
    rng = np.random.Generator(np.random.Philox([seed, 1]))
    chosen = rng.permutation(len(labels))[: round(share * len(labels))]
    noisy = labels.copy()
    noisy[chosen] = np.roll(labels[chosen], 1)
    return noisy


def train_once(pictures: Pictures, name: str, noise: float, seed: int, steps: int) -> dict:
    """Train once and return the variables."""
    method, share = RUNS[name]
    labels = shuffle(pictures.labels, noise, seed)
    right = np.flatnonzero(labels == pictures.labels)
    rows = right if name == "oracle filter" else np.arange(len(labels))
    order = FEATURES["draw_order"](rows, steps, seed)
    data = {"image": pictures.images, "tokens": pictures.tokens[labels]}
    changed = {"dropout": DROPOUT, "unaligned_end": share, "weight_decay": 0.2}
    numbers = FEATURES["NUMBERS"] | changed
    return build_training(method, steps)(jax.random.key(seed), data, order, numbers)


def score(variables: dict, pictures: Pictures) -> dict[str, float]:
    """Return zero-shot top-1 and top-5, in [0, 1]."""
    encode = jax.jit(build_model().apply, static_argnames="method")
    classes = encode(variables, pictures.tokens, method=CLIP.encode_text)[0]
    starts = range(0, len(pictures.images), BATCH)
    images = [
        encode(variables, pictures.images[start : start + BATCH], method=CLIP.encode_image)[0]
        for start in starts
    ]
    order = np.argsort(-np.concatenate(images) @ np.asarray(classes).T, axis=1)
    hits = order == pictures.labels[:, None]
    return {f"top{k}": float(hits[:, :k].any(axis=1).mean()) for k in (1, 5)}


def try_methods(pictures: dict[str, Pictures]) -> Iterator[dict]:
    """Yield the scores of every method after COST_STEPS steps, and whether they are finite."""
    for name in RUNS:
        start = time.perf_counter()
        variables = train_once(pictures["train"], name, 0.4, 0, COST_STEPS)
        finite = all(bool(np.isfinite(leaf).all()) for leaf in jax.tree.leaves(variables))
        line = dict(method=name, finite=finite, **score(variables, pictures["report"]))
        yield line | {"seconds": round(time.perf_counter() - start, 1)}


def measure_cost(pictures: Pictures, steps: int) -> dict[str, float]:
    """Return seconds of a step of PSD, initialization included, and hours of all runs."""
    run = functools.partial(train_once, pictures, "PSD .9", 0.4, steps=COST_STEPS)
    jax.block_until_ready(run(seed=0))  # compiles
    start, busy = time.perf_counter(), time.process_time()
    jax.block_until_ready(run(seed=1))
    step, cpu = (time.perf_counter() - start) / COST_STEPS, time.process_time() - busy
    runs = len(list(points()))
    hours = runs * steps * step / 3600
    return {"seconds a step": step, "CPU seconds": cpu / COST_STEPS, "runs": runs, "hours": hours}


def main() -> None:
    """Train everything, or measure what it would cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="output directory")
    parser.add_argument("--cost", action="store_true", help="train and time one step")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    pictures = read_pictures(4 * BATCH if arguments.cost else None)
    if arguments.cost:
        for line in try_methods(pictures):
            print(json.dumps(line), flush=True)
        print(json.dumps(measure_cost(pictures["train"], EPOCHS * 8000 // BATCH)))
        return
    steps = EPOCHS * (len(pictures["train"].images) // BATCH)
    with (arguments.out / "runs.jsonl").open("w") as file:
        for name, noise, seed in points():
            start = time.perf_counter()
            variables = train_once(pictures["train"], name, noise, seed, steps)
            line = dict(
                method=name, shuffled=noise, seed=seed, **score(variables, pictures["report"])
            )
            line["seconds"] = round(time.perf_counter() - start, 1)
            print(json.dumps(line), file=file, flush=True)
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
