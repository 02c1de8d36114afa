"""Released networks in JAX and through OpenVINO: rows per CPU second, and equality.

    taskset -c 0 python tools/bench_runtimes.py [--networks transnetv2 lite minilm vit resnet]

Needs the extra [openvino]. The networks run in one process, on uniform noise in blocks; on one core
(`taskset`), CPU seconds hold on a machine that other work shares too. The towers have random
weights. Prints a JSON line per network, runtime and precision: rows per CPU second (median of
three), seconds to trace and compile, largest difference from JAX and smallest cosine with it.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np

from vujax import models
from vujax.models import efficientnet, minilm, pretrained, transnetv2
from vujax.models.inference import OpenVinoFunction

PRECISIONS = ("f32", "bf16")
TOWERS = {
    "vit": (dict(kind="vit", variant="B/32", image_size=224), dict(act="quick_gelu")),
    "resnet": (
        dict(kind="resnet", variant="RN50", image_size=64, width=16, blocks=(1, 1, 1, 1)),
        {},
    ),
}
NETWORKS = ("transnetv2", "lite", "minilm", *TOWERS)


class Network(NamedTuple):
    """A function of variables and inputs, and the number of rows that the inputs count as."""

    function: Callable[[Any, Any], Any]
    variables: Any
    inputs: Any
    rows: int


def draw_images(count: int, side: int) -> np.ndarray:
    """Draw images uint8 `[count side side 3]` of blocks of 8 pixels."""
    blocks = np.random.default_rng(0).integers(0, 256, (count, side // 8, side // 8, 3), np.uint8)
    return blocks.repeat(8, axis=1).repeat(8, axis=2)


def open_network(name: str) -> Network:
    """Open a network with its inputs."""
    rng = np.random.default_rng(0)
    if name == "transnetv2":
        weights = transnetv2.from_released(pretrained.load_weights(name))
        frames = rng.integers(0, 256, (1, 100, transnetv2.HEIGHT, transnetv2.WIDTH, 3), np.uint8)
        return Network(transnetv2.Trunk().apply, weights, frames, 100)
    if name == "lite":
        weights = efficientnet.from_released(pretrained.load_weights("efficientnet-lite0"))
        model = efficientnet.EfficientNetLite0()
        return Network(lambda v, x: model.apply(v, x)[0], weights, draw_images(32, 224), 32)
    if name == "minilm":
        weights = minilm.from_released(pretrained.load_weights(name))
        tokens = rng.integers(100, 20000, (64, 32), np.int32)
        inputs = (tokens, np.ones_like(tokens))
        return Network(lambda v, x: minilm.MiniLM().apply(v, x[0], x[1])[0], weights, inputs, 64)
    image, options = TOWERS[name]
    tower = models.build_clip(image=image, **options)
    images = draw_images(8, tower.image_spec.height)
    weights = tower.init(jax.random.key(0), images, np.zeros((8, 77), np.int32))
    del weights["params"]["text"]
    return Network(
        lambda v, x: tower.apply(v, x, method="encode_image")[0], weights, images, len(images)
    )


def measure(call: Callable[[Any], Any], network: Network) -> tuple[dict[str, float], np.ndarray]:
    """Run once to compile, then three times; return the figures and the first output."""
    start = time.perf_counter()
    call(network.inputs)
    first_s, used = time.perf_counter() - start, []
    for _ in range(3):
        start = time.process_time()
        found = jax.tree.leaves(jax.block_until_ready(call(network.inputs)))[0]
        used.append(time.process_time() - start)
    rate = network.rows / statistics.median(used)
    return {"rows_per_cpu_s": rate, "first_s": first_s}, np.asarray(found, np.float64)


def compare(found: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Return the largest difference and the smallest cosine of rows."""
    norms = np.linalg.norm(found, axis=-1) * np.linalg.norm(expected, axis=-1)
    cosines = (found * expected).sum(axis=-1) / norms
    return {"difference": float(np.abs(found - expected).max()), "cosine": float(cosines.min())}


def main() -> None:
    """Measure the networks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    for name in parser.parse_args().networks:
        network = open_network(name)
        placed, function = jax.device_put(network.variables), jax.jit(network.function)
        figures, expected = measure(lambda x, f=function, v=placed: f(v, x), network)
        print(json.dumps({"network": name, "runtime": "jax"} | figures), flush=True)
        for precision in PRECISIONS:
            call = OpenVinoFunction(network.function, network.variables, precision)
            figures, found = measure(call, network)
            line = {"network": name, "runtime": "openvino", "precision": precision}
            print(json.dumps(line | figures | compare(found, expected)), flush=True)


if __name__ == "__main__":
    main()
