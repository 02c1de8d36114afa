"""Run time of a train step of CLIP ViT-B/32 on CPU, beside transformers' CLIPModel in torch.

    python tools/bench_step.py [--batch 32] [--steps 5]

Both run the same step: the same weights (one initialization, so that their first losses agree),
images 224 x 224 and 77 tokens in float32, CLIP's loss, backward, AdamW. Torch has its default
threads and the fastest of its AdamW implementations. The two alternate step by step, and the
fastest step of each counts. Prints a JSON line each and one for the ratio.
"""

import argparse
import json
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from transformers import CLIPConfig, CLIPModel

from vujax.losses import info_nce
from vujax.models import build_clip, convert

ADAMW = dict(lr=5e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.2)
Step = Callable[[], float]


def make_batch(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Generate images float32 [n 224 224 3] and tokens int32 [n 77], captions of 6 to 20 tokens."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 49000, (n, 77))
    ends = rng.integers(5, 20, n)
    tokens[:, 0], tokens[np.arange(n), ends] = 49406, 49407
    tokens[np.arange(77) > ends[:, None]] = 0
    return rng.normal(size=(n, 224, 224, 3)).astype(np.float32), tokens.astype(np.int32)


def build_torch_step(model: CLIPModel, image: np.ndarray, tokens: np.ndarray) -> tuple[Step, str]:
    """Build the step of the original; return it with the name of its AdamW."""
    pixels = torch.tensor(image).permute(0, 3, 1, 2).contiguous()
    ids = torch.tensor(tokens, dtype=torch.int64)
    optimizer, name = select_fastest_adamw(model)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = model(input_ids=ids, pixel_values=pixels, return_loss=True).loss
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, name


def select_fastest_adamw(model: CLIPModel) -> tuple[torch.optim.Optimizer, str]:
    """Return the fastest of torch's three implementations on this model's parameters."""
    variants = dict(fused=dict(fused=True), foreach=dict(foreach=True), loop=dict(foreach=False))
    seconds = {}
    for name, variant in variants.items():
        copies = [torch.zeros_like(p, requires_grad=True) for p in model.parameters()]
        for copy in copies:
            copy.grad = torch.ones_like(copy)
        optimizer = torch.optim.AdamW(copies, **ADAMW, **variant)
        seconds[name] = min(measure_call(optimizer.step)[0] for _ in range(3))
    best = min(seconds, key=seconds.get)
    return torch.optim.AdamW(model.parameters(), **ADAMW, **variants[best]), best


def build_jax_step(model: CLIPModel, image: np.ndarray, tokens: np.ndarray) -> Step:
    """Build the step of vujax from the original's weights."""
    clip = build_clip(image=dict(kind="vit", variant="B/32"), act="quick_gelu")
    tensors = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    template = jax.eval_shape(clip.init, jax.random.key(0), image, tokens)
    params = jax.tree.map(jnp.asarray, convert.from_hugging_face(tensors, template))["params"]
    b1, b2 = ADAMW["betas"]
    optimizer = optax.adamw(
        ADAMW["lr"], b1, b2, eps=ADAMW["eps"], weight_decay=ADAMW["weight_decay"]
    )

    def loss(params: dict, image: jax.Array, tokens: jax.Array) -> jax.Array:
        embedding, _ = clip.apply({"params": params}, image, tokens)
        return info_nce(embedding["image"], embedding["text"], embedding["scale"])

    def update(state: tuple, image: jax.Array, tokens: jax.Array) -> tuple[tuple, jax.Array]:
        params, moments = state
        value, gradient = jax.value_and_grad(loss)(params, image, tokens)
        updates, moments = optimizer.update(gradient, moments, params)
        return (optax.apply_updates(params, updates), moments), value

    image, tokens = jax.device_put((image, tokens))
    state = (params, jax.jit(optimizer.init)(params))
    run = jax.jit(update, donate_argnums=0).lower(state, image, tokens).compile()

    def step() -> float:
        nonlocal state
        state, value = run(state, image, tokens)
        return float(value)

    return step


def measure_call(call: Callable[[], object]) -> tuple[float, object]:
    """Return the seconds of a call, and its result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def main() -> None:
    """Run both steps, and print JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=5)
    args = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    torch.manual_seed(0)
    original = CLIPModel(CLIPConfig()).train()
    image, tokens = make_batch(args.batch)
    steps = {"vujax": build_jax_step(original, image, tokens)}
    steps["transformers"], adamw = build_torch_step(original, image, tokens)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    losses: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(args.steps + 1):  # the first is a warm-up
        for name, step in steps.items():
            spent, loss = measure_call(step)
            seconds[name].append(spent)
            losses[name].append(loss)
    rates = {name: args.batch / min(spent[1:]) for name, spent in seconds.items()}
    for name, spent in seconds.items():
        line = dict(name=name, images_per_s=rates[name], best_s=min(spent[1:]))
        line |= dict(median_s=float(np.median(spent[1:])), losses=losses[name])
        print(json.dumps(line | (dict(adamw=adamw) if name == "transformers" else {})))
    settings = dict(
        model="B/32", batch=args.batch, dtype="float32", threads=torch.get_num_threads()
    )
    print(json.dumps(settings | dict(ratio=rates["vujax"] / rates["transformers"])))


if __name__ == "__main__":
    main()
