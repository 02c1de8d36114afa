"""One host of `test_hosts`, as `host_run.py PORT HOST HOSTS`; prints all scores."""

import json
import os
import sys

import jax
import numpy as np

from tests.evals.fakes import SIZE, Memory
from vujax.evals import build_evaluator
from vujax.models import build_clip
from vujax.utils.mesh import make_mesh

NAMES = ("cat", "dog", "cow")


def scores(mesh: jax.sharding.Mesh) -> dict[str, dict[str, float]]:
    """Return evaluators of every kind for a random small CLIP and 21 random images."""
    model = build_clip(
        image={"kind": "vit", "variant": "Ti/4", "image_size": SIZE, "layers": 1},
        text={"width": 64, "layers": 1, "heads": 1, "context": 16},
        embed_dim=8,
    )
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (21, SIZE, SIZE, 3)).astype(np.uint8)
    labels = [int(label) for label in rng.integers(0, 3, 21)]
    captions = [[f"a {NAMES[label]} {i % 5}", f"one {i % 9}"] for i, label in enumerate(labels)]
    shapes = jax.eval_shape(model.init, jax.random.key(0), images[:1], np.zeros((1, 16), np.int32))
    variables = jax.tree.map(lambda x: np.float32(rng.normal(0, 0.1, x.shape)), shapes)
    source = Memory(labels, captions, NAMES, images)
    configs = {
        "zero_shot": {"histogram": source},
        "retrieval": {"histogram": source},
        "probe": {"train": source, "grid": (1e-2,), "refit": False},
    }
    found = {}
    for kind, options in configs.items():
        config = {"kind": kind, "source": source, "batch_size": 8, **options}
        evaluator = build_evaluator(kind, config, model=model, mesh=mesh)
        found[kind] = evaluator(variables)
        found[f"{kind}/baselines"] = evaluator.baselines
    return found


if __name__ == "__main__":
    # Before jax starts its backend, and not on import: the tests have eight devices of their own.
    os.environ["XLA_FLAGS"] += " --xla_force_host_platform_device_count=2"
    os.environ["JAX_PLATFORMS"] = "cpu"
    port, host, hosts = map(int, sys.argv[1:])
    jax.distributed.initialize(f"localhost:{port}", hosts, host)
    print(json.dumps(scores(make_mesh())))
