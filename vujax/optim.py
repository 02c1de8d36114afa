"""Optimizer from a config: schedule, weight decay by name, frozen and slower modules, EMA."""

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from vujax.utils.trees import flatten_tree, leaf_name

Tree = Any
Rules = Sequence[tuple[str, float | None]]


def build_schedule(
    *, lr: float, total_steps: int, warmup_steps: int, schedule: str, final: float = 0.0
) -> optax.Schedule:
    """Build a schedule: linear warm-up from 0 to `lr`, then 'cosine' to `final * lr` or 'constant'.

    Raises:
      ValueError: the schedule is unknown, or its warm-up is not shorter than the training.
    """
    if warmup_steps >= total_steps and schedule == "cosine":
        raise ValueError(
            f"optimizer.warmup ({warmup_steps} steps) must be shorter than the training "
            f"({total_steps} steps)"
        )
    if schedule == "cosine":
        decay = optax.cosine_decay_schedule(lr, total_steps - warmup_steps, alpha=final)
    elif schedule == "constant":
        decay = optax.constant_schedule(lr)
    else:
        raise ValueError(
            f"unknown optimizer.schedule '{schedule}'; expected one of: cosine, constant"
        )
    if not warmup_steps:
        return decay
    warmup = optax.linear_schedule(0.0, lr, warmup_steps)
    return optax.join_schedules([warmup, decay], [warmup_steps])


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


def build_optimizer(
    params: Tree,
    schedule: optax.Schedule,
    *,
    rules: Rules = ((".*", 1.0),),
    b1: float = 0.9,
    b2: float = 0.98,
    eps: float = 1e-6,
    weight_decay: float = 0.2,
    decay: str = r".*(kernel|embedding)",
    clip_norm: float | None = 1.0,
) -> optax.GradientTransformation:
    """Build AdamW (Loshchilov & Hutter 2019) without state for frozen leaves.

    Args:
      params: tree to update (only shapes and names are read).
      schedule: learning rate by step.
      rules: factors by regex, see `assign_lr_factors`.
      b1: decay of the first moment.
      b2: decay of the second moment.
      eps: added to the root of the second moment.
      weight_decay: decoupled, multiplied by the learning rate.
      decay: regex of the complete names of leaves with weight decay; gains and biases should have
        none.
      clip_norm: bound on the global norm of the trainable gradients; None or 0: unbounded.
    """
    is_none = lambda x: x is None  # noqa: E731
    factors = jax.tree.map(lambda m: m or 0.0, assign_lr_factors(params, rules), is_leaf=is_none)
    labels = jax.tree.map(
        lambda trainable: "learn" if trainable else "frozen", build_trainable_mask(params, rules)
    )

    def decayed(tree: Tree) -> Tree:
        return jax.tree_util.tree_map_with_path(
            lambda path, _: re.fullmatch(decay, leaf_name(path)) is not None, tree
        )

    learn = optax.chain(
        optax.clip_by_global_norm(clip_norm) if clip_norm else optax.identity(),
        optax.scale_by_adam(b1=b1, b2=b2, eps=eps),
        optax.add_decayed_weights(weight_decay, mask=decayed),
        optax.scale_by_learning_rate(schedule),
    )
    by_factor = optax.stateless(lambda updates, _: jax.tree.map(jnp.multiply, updates, factors))
    split = optax.partition({"learn": learn, "frozen": optax.set_to_zero()}, labels)
    return optax.chain(split, by_factor)


def update_ema(average: Tree, new: Tree, decay: float) -> Tree:
    """Return `decay * average + (1 - decay) * new`, leaf by leaf, in the average's dtype."""
    return jax.tree.map(lambda a, b: (a + (1.0 - decay) * (b - a)).astype(a.dtype), average, new)
