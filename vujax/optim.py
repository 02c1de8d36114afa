"""Optimizer from a config: name, schedule, weight decay by name, slower and frozen modules, EMA."""

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib

from vujax.utils.trees import flatten_tree, leaf_name

Tree = Any
Rules = Sequence[tuple[str, float | None]]


BLOCK = re.compile(r"(?P<tower>.*/|)block(?:s|(?P<number>\d+))/.*")
INPUTS = re.compile(r".*(patch|positions|class_token|ln_pre|token_embedding)(/.*)?")
"""Parameters of a tower that come before its first block."""

RSQRT_STEPS = 10_000  # of training in which an rsqrt schedule falls to 0.71 of its peak


def build_schedule(
    *,
    lr: float,
    total_steps: int,
    warmup_steps: int,
    schedule: str,
    final: float = 0.0,
    cooldown_steps: int = 0,
) -> optax.Schedule:
    """Build a learning rate by step: linear warm-up from 0 to `lr`, then a decay.

    'cosine' falls to `final * lr` at the end; 'constant' stays; 'wsd' (warm-up, stable, decay, Hu
    et al. 2024, arXiv:2404.06395) stays and falls linearly to `final * lr` in the last
    `cooldown_steps`; 'rsqrt' falls with 1 / sqrt(1 + step / 10,000) and has the same cooldown (Zhai
    et al. 2022, arXiv:2106.04560).

    Raises:
      ValueError: the schedule is unknown, warm-up and cooldown are not shorter than the training,
        or there is none where the schedule needs it.
    """
    steps = total_steps - warmup_steps
    decays = {
        "cosine": lambda: optax.cosine_decay_schedule(lr, steps, alpha=final),
        "constant": lambda: optax.constant_schedule(lr),
        "wsd": lambda: optax.constant_schedule(lr),
        "rsqrt": lambda: lambda step: lr * jax.lax.rsqrt(1 + step / RSQRT_STEPS),
    }
    if schedule not in decays:
        raise ValueError(
            f"unknown optimizer.schedule '{schedule}'; expected one of: {', '.join(decays)}"
        )
    _check_steps(total_steps, warmup_steps, cooldown_steps, schedule)
    decay = decays[schedule]()
    if cooldown_steps:
        decay = _cool_down(decay, steps - cooldown_steps, cooldown_steps, final)
    if not warmup_steps:
        return decay
    warmup = optax.linear_schedule(0.0, lr, warmup_steps)
    return optax.join_schedules([warmup, decay], [warmup_steps])


def _check_steps(total: int, warmup: int, cooldown: int, schedule: str) -> None:
    if cooldown and schedule in ("cosine", "constant"):
        raise ValueError(f"optimizer.schedule '{schedule}' has no cooldown; use 'wsd' or 'rsqrt'")
    if schedule == "wsd" and not cooldown:
        raise ValueError("optimizer.schedule 'wsd' needs optimizer.cooldown_percent, such as 20")
    if warmup + cooldown >= total and schedule != "constant":
        raise ValueError(
            f"optimizer.warmup ({warmup} steps){f' and cooldown ({cooldown})' * (cooldown > 0)} "
            f"must be shorter than the training ({total} steps)"
        )


def _cool_down(rate: optax.Schedule, start: int, steps: int, final: float) -> optax.Schedule:
    """Return a schedule that falls linearly from its value at `start` to `final` of that."""
    left = optax.linear_schedule(1.0, final, steps)

    def schedule(step: jax.typing.ArrayLike) -> jax.typing.ArrayLike:
        return rate(jnp.minimum(step, start)) * left(jnp.maximum(step - start, 0))

    return schedule


def assign_lr_factors(params: Tree, rules: Rules) -> Tree:
    """Return the factor on the learning rate of each leaf of `params`; None freezes a leaf.

    Args:
      params: tree of arrays.
      rules: `(regex, factor)` pairs; the first whose regex matches the complete name of a leaf
        ('image/blocks/mlp/kernel') applies. A factor of None freezes.

    Raises:
      ValueError: a leaf matches no rule, or a rule applies to no leaf.
    """
    used = set()

    def factor(path: tuple[Any, ...], _: Any) -> float | None:
        for rank, (pattern, value) in enumerate(rules):
            if re.fullmatch(pattern, leaf_name(path)):
                used.add(rank)
                return value
        raise ValueError(
            f"optimizer.rules: no pattern matches parameter '{leaf_name(path)}'; "
            "end the list with ('.*', 1.0)"
        )

    tree = jax.tree_util.tree_map_with_path(factor, params)
    if unused := [pattern for rank, (pattern, _) in enumerate(rules) if rank not in used]:
        raise ValueError(
            f"optimizer.rules: pattern '{unused[0]}' applies to no parameter; "
            f"the first names are {sorted(flatten_tree(params))[:5]}"
        )
    return tree


def build_trainable_mask(params: Tree, rules: Rules) -> Tree:
    """Return True for trainable leaves, False for frozen ones."""
    is_none = lambda x: x is None  # noqa: E731
    return jax.tree.map(lambda m: m is not None, assign_lr_factors(params, rules), is_leaf=is_none)


def compute_layer_factors(params: Tree, decay: float) -> Tree:
    """Return the factors of layer-wise decay, a number or `[layers 1 ...]` for each leaf.

    Of a tower with D blocks, block i has decay^(D - i), what comes before the blocks decay^(D + 1),
    what comes after them 1 (BEiT, Bao et al. 2022, arXiv:2106.08254). Leaves outside of such towers
    have 1.

    Raises:
      ValueError: `decay` is not in (0, 1], or below 1 and no tower has blocks.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"optimizer.layer_decay must be in (0, 1], got {decay}")
    if decay == 1:
        return jax.tree.map(lambda _: 1.0, params)
    leaves = flatten_tree(params)
    depths: dict[str, int] = {}
    for name, leaf in leaves.items():
        if found := BLOCK.fullmatch(name):
            depth = leaf.shape[0] if found["number"] is None else int(found["number"]) + 1
            tower = found["tower"].removesuffix("transformer/")
            depths[tower] = max(depth, depths.get(tower, 0))
    if not depths:
        raise ValueError("optimizer.layer_decay needs a transformer; the model has no blocks")

    def factor(path: tuple[Any, ...], leaf: Any) -> float | np.ndarray:
        name = leaf_name(path)
        if found := BLOCK.fullmatch(name):
            depth = depths[found["tower"].removesuffix("transformer/")]
            if found["number"] is not None:
                return decay ** (depth - int(found["number"]))
            powers = decay ** np.arange(depth, 0, -1, dtype=np.float32)
            return powers.reshape((depth,) + (1,) * (len(leaf.shape) - 1))
        towers = [tower for tower in depths if name.startswith(tower)]
        is_input = bool(towers) and INPUTS.fullmatch(name) is not None
        return decay ** (depths[max(towers, key=len)] + 1) if is_input else 1.0

    return jax.tree_util.tree_map_with_path(factor, params)


def build_optimizer(
    params: Tree,
    schedule: optax.Schedule,
    *,
    name: str = "adamw",
    rules: Rules = ((".*", 1.0),),
    layer_decay: float = 1.0,
    b1: float = 0.9,
    b2: float = 0.98,
    eps: float = 1e-6,
    weight_decay: float = 0.2,
    decay: str = r".*(kernel|embedding)",
    clip_norm: float | None = 1.0,
) -> optax.GradientTransformation:
    """Build an optimizer by name, without state for frozen leaves.

    Args:
      params: tree to update (only shapes and names are read).
      schedule: learning rate by step.
      name: one of OPTIMIZERS.
      rules: factors by regex, see `assign_lr_factors`.
      layer_decay: factor on the learning rate from each block of a transformer to the one before.
      b1: decay of the first moment; momentum of 'sgd' and 'muon'.
      b2: decay of the second moment.
      eps: added to the root of the second moment.
      weight_decay: decoupled, multiplied by the learning rate.
      decay: regex of the complete names of leaves with weight decay; gains and biases should have
        none.
      clip_norm: bound on the global norm of the trainable gradients; None or 0: unbounded.

    Raises:
      ValueError: the name is unknown, or the optimizer or a setting does not fit the parameters.
    """
    if name not in OPTIMIZERS:
        raise ValueError(
            f"unknown optimizer.name '{name}'; expected one of: {', '.join(OPTIMIZERS)}"
        )
    is_none = lambda x: x is None  # noqa: E731
    by_rule = jax.tree.map(lambda m: m or 0.0, assign_lr_factors(params, rules), is_leaf=is_none)
    factors = jax.tree.map(lambda a, b: a * b, by_rule, compute_layer_factors(params, layer_decay))
    labels = jax.tree.map(
        lambda trainable: "learn" if trainable else "frozen", build_trainable_mask(params, rules)
    )

    def decayed(tree: Tree) -> Tree:
        return jax.tree_util.tree_map_with_path(
            lambda path, _: re.fullmatch(decay, leaf_name(path)) is not None, tree
        )

    shrink = optax.add_decayed_weights(weight_decay, mask=decayed)
    learn = optax.chain(  # four parts: checkpoints number them
        optax.clip_by_global_norm(clip_norm) if clip_norm else optax.identity(),
        OPTIMIZERS[name](params, b1, b2, eps),
        optax.chain(shrink, optax.scale_by_trust_ratio()) if name == "lamb" else shrink,
        optax.scale_by_learning_rate(schedule),
    )
    by_factor = optax.stateless(lambda updates, _: jax.tree.map(jnp.multiply, updates, factors))
    split = optax.partition({"learn": learn, "frozen": optax.set_to_zero()}, labels)
    return optax.chain(split, by_factor)


def _adam(params: Tree, b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=b1, b2=b2, eps=eps)


def _lion(params: Tree, b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    return optax.scale_by_lion(b1=b1, b2=b2)


def _adafactor(params: Tree, b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """Return Adafactor with a momentum in bfloat16 and without scaling by the parameters."""
    return optax.chain(
        optax.scale_by_factored_rms(),
        optax.clip_by_block_rms(1.0),
        optax.ema(b1, debias=False, accumulator_dtype=jnp.bfloat16),
    )


def _muon(params: Tree, b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """Return Muon for the matrices of blocks and convolutions, and Adam for all other leaves."""
    if all(n is None for n in jax.tree.leaves(_matrices(params), is_leaf=lambda x: x is None)):
        raise ValueError("optimizer.name 'muon' needs blocks or convolutions; use 'adamw'")
    muon = optax.contrib.muon(
        1.0,
        beta=b1,
        adam_b1=b1,
        adam_b2=b2,
        eps=eps,
        muon_weight_dimension_numbers=_matrices,
        consistent_rms=0.2,
    )
    return optax.chain(muon, optax.scale(-1.0))  # the learning rate comes later


def _sgd(params: Tree, b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    return optax.trace(b1)


def _matrices(params: Tree) -> Tree:
    """Return which axes of a leaf are a matrix for Muon; None: it is no such matrix."""

    def axes(path: tuple[Any, ...], leaf: Any) -> optax.contrib.MuonDimensionNumbers | None:
        name, last = leaf_name(path), len(leaf.shape) - 1
        if not name.endswith("kernel") or last < 1:
            return None
        if BLOCK.fullmatch(name):
            return optax.contrib.MuonDimensionNumbers((last - 1,), (last,))
        is_convolution = last == 3 and not INPUTS.fullmatch(name)
        return optax.contrib.MuonDimensionNumbers((0, 1, 2), (3,)) if is_convolution else None

    return jax.tree_util.tree_map_with_path(axes, params)


OPTIMIZERS = {
    "adamw": _adam,
    "lion": _lion,
    "lamb": _adam,
    "adafactor": _adafactor,
    "muon": _muon,
    "sgd": _sgd,
}
"""`(params, b1, b2, eps)` -> updates before weight decay and the learning rate.

adamw (Loshchilov & Hutter 2019), lion (Chen et al. 2023, arXiv:2302.06675), lamb (You et al. 2020,
arXiv:1904.00962), adafactor (Shazeer & Stern 2018, as big_vision uses it, arXiv:2106.04560), muon
(Jordan et al. 2024) with the update size of AdamW (arXiv:2502.16982), sgd with momentum.
"""


def update_ema(average: Tree, new: Tree, decay: float) -> Tree:
    """Return `decay * average + (1 - decay) * new`, leaf by leaf, in the average's dtype."""
    return jax.tree.map(lambda a, b: (a + (1.0 - decay) * (b - a)).astype(a.dtype), average, new)
