"""The optimizer: schedules, frozen and slower modules, decay by name."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vujax import optim
from vujax.utils.trees import flatten_tree


def params():
    return {
        "image": {"blocks": {"kernel": jnp.ones((3, 4)), "bias": jnp.ones(4)}},
        "text": {"kernel": jnp.full((4, 2), 2.0), "bias": jnp.zeros(2)},
        "logit_scale": jnp.ones(()),
    }


def grads():
    key = jax.random.key(0)
    return jax.tree.map(lambda p: jax.random.normal(key, p.shape), params())


def updates(rules, **settings):
    optimizer = optim.build_optimizer(
        params(), optax.constant_schedule(0.1), rules=rules, **settings
    )
    state = optimizer.init(params())
    return optimizer.update(grads(), state, params())[0], state


def test_cosine_with_warmup():
    rate = optim.build_schedule(lr=2.0, total_steps=110, warmup_steps=10, schedule="cosine")
    np.testing.assert_allclose([rate(0), rate(5), rate(10), rate(60), rate(110)], [0, 1, 2, 1, 0])


def test_constant_keeps_its_rate():
    rate = optim.build_schedule(lr=2.0, total_steps=10, warmup_steps=0, schedule="constant")
    assert rate(0) == rate(10) == 2.0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            dict(schedule="line", warmup_steps=0),
            "unknown optimizer.schedule 'line'; expected one of: cosine, constant",
        ),
        (dict(schedule="cosine", warmup_steps=10), "shorter than the training"),
    ],
)
def test_bad_schedules(settings, words):
    with pytest.raises(ValueError, match=words):
        optim.build_schedule(lr=1.0, total_steps=10, **settings)


def test_equals_optax_adamw_without_rules():
    settings = dict(b1=0.9, b2=0.98, eps=1e-6)
    got, _ = updates(((".*", 1.0),), weight_decay=0.2, decay=".*kernel", clip_norm=0.5, **settings)
    mask = jax.tree.map(lambda p: p.ndim == 2, params())
    reference = optax.chain(
        optax.clip_by_global_norm(0.5), optax.adamw(0.1, weight_decay=0.2, mask=mask, **settings)
    )
    want, _ = reference.update(grads(), reference.init(params()), params())
    chex.assert_trees_all_close(got, want, rtol=1e-6)


def test_factors_and_frozen_leaves():
    plain, _ = updates(((".*", 1.0),))
    rules = (("image/.*", 0.1), ("text/.*", None), (".*", 1.0))
    got, state = updates(rules, clip_norm=None)
    plain, _ = updates(((".*", 1.0),), clip_norm=None)
    chex.assert_trees_all_close(
        got["image"], jax.tree.map(lambda u: 0.1 * u, plain["image"]), rtol=1e-6
    )
    chex.assert_trees_all_close(got["logit_scale"], plain["logit_scale"])
    assert not any(u.any() for u in jax.tree.leaves(got["text"]))
    assert not [name for name in flatten_tree(state) if "text" in name and "kernel" in name]


def test_frozen_leaves_do_not_count_in_clipping():
    rules = (("text/.*", None), (".*", 1.0))
    settings = dict(b1=0.0, b2=0.0, eps=1e3, weight_decay=0.0)  # the update is nearly the gradient
    got, _ = updates(rules, clip_norm=1e-2, **settings)
    np.testing.assert_allclose(optax.global_norm(got), 0.1 * 1e-2 / 1e3, rtol=1e-2)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ((("image/.*", 1.0),), "no pattern matches parameter 'logit_scale'"),
        ((("img/.*", None), (".*", 1.0)), "'img/.\\*' applies to no parameter"),
    ],
)
def test_every_parameter_is_covered_and_every_rule_used(rules, words):
    with pytest.raises(ValueError, match=words):
        optim.assign_lr_factors(params(), rules)


def test_ema_keeps_dtype():
    average = optim.update_ema({"a": jnp.zeros(3, jnp.bfloat16)}, {"a": jnp.ones(3)}, 0.75)
    chex.assert_trees_all_close(average, {"a": jnp.full(3, 0.25, jnp.bfloat16)})
