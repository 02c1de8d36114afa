"""The optimizer: schedules, frozen and slower modules, decay by name."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from vujax import optim
from vujax.models.transformer import stack_blocks
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
            "unknown optimizer.schedule 'line'; expected one of: cosine, constant, wsd",
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


def test_the_state_has_the_names_of_checkpoints_of_before():
    _, state = updates(((".*", 1.0),))
    names = {name for name in flatten_tree(state) if name.endswith("count")}
    prefix = "0/inner_states/learn/inner_state"
    assert names == {f"{prefix}/1/count", f"{prefix}/3/count"}


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


def test_rates_with_a_cooldown():
    options = dict(lr=2.0, total_steps=110, warmup_steps=10, cooldown_steps=20, final=0.1)
    rate = optim.build_schedule(schedule="wsd", **options)
    steps = [0, 5, 10, 90, 100, 110]
    np.testing.assert_allclose([rate(s) for s in steps], [0, 1, 2, 2, 1.1, 0.2], rtol=1e-6)
    rate = optim.build_schedule(schedule="rsqrt", **options | dict(total_steps=30_020))
    at = 2 / np.sqrt([1, 2, 3.999])
    np.testing.assert_allclose([rate(s) for s in (10, 10_010, 30_000)], at, rtol=1e-5)
    np.testing.assert_allclose(
        [rate(30_010), rate(30_020)], at[2] * np.array([0.55, 0.1]), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(schedule="wsd"), "'wsd' needs optimizer.cooldown_percent"),
        (dict(schedule="cosine", cooldown_steps=2), "'cosine' has no cooldown; use 'wsd'"),
        (dict(schedule="wsd", cooldown_steps=9), r"warmup \(1 steps\) and cooldown \(9\) must be"),
    ],
)
def test_bad_cooldowns(settings, words):
    with pytest.raises(ValueError, match=words):
        optim.build_schedule(lr=1.0, total_steps=10, warmup_steps=1, **settings)


def tower():
    shapes = {"kernel": (4, 6), "bias": (6,)}
    block = {"mlp": {name: jnp.full(shape, 0.3) for name, shape in shapes.items()}}
    return {
        "image": {
            "patch": {"kernel": jnp.ones((2, 2, 3, 4))},
            "transformer": {"block00": block, "block01": jax.tree.map(lambda x: x + 0.1, block)},
            "head": {"kernel": jnp.ones((4, 2))},
            "conv": {"kernel": jnp.ones((3, 3, 4, 5))},
        },
        "logit_scale": jnp.ones(()),
    }


def step(params, name, **settings):
    """Return the second of two updates: the first of some optimizers says little."""
    keys = jax.random.split(jax.random.key(1), 2)
    gradients = [jax.tree.map(lambda p, k=k: jax.random.normal(k, p.shape), params) for k in keys]
    if isinstance(name, str):
        rate = optax.constant_schedule(0.1)
        optimizer = optim.build_optimizer(params, rate, name=name, clip_norm=None, **settings)
    else:
        optimizer = name
    state = optimizer.init(params)
    _, state = optimizer.update(gradients[0], state, params)
    return optimizer.update(gradients[1], state, params)[0]


def matrices(tree):
    def axes(path, leaf):
        name = jax.tree_util.keystr(path)
        if "block" in name and "kernel" in name:
            return optax.contrib.MuonDimensionNumbers(0, 1)
        return optax.contrib.MuonDimensionNumbers((0, 1, 2), 3) if "conv" in name else None

    return jax.tree_util.tree_map_with_path(axes, tree)


BETAS = dict(b1=0.9, b2=0.98)
ALIASES = {
    "adamw": optax.adamw(0.1, eps=1e-6, weight_decay=0.0, **BETAS),
    "lion": optax.lion(0.1, weight_decay=0.0, **BETAS),
    "lamb": optax.lamb(0.1, eps=1e-6, **BETAS),
    "adafactor": optax.adafactor(
        0.1,
        multiply_by_parameter_scale=False,
        momentum=0.9,
        dtype_momentum=jnp.bfloat16,
    ),
    "muon": optax.contrib.muon(
        0.1,
        beta=0.9,
        adam_b1=0.9,
        adam_b2=0.98,
        eps=1e-6,
        muon_weight_dimension_numbers=matrices,
        consistent_rms=0.2,
    ),
    "sgd": optax.sgd(0.1, momentum=0.9),
}


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_each_optimizer_is_that_of_optax(name):
    found = step(tower(), name, weight_decay=0.0, **BETAS)
    # Adafactor's momentum is rounded to bfloat16, optax's after the learning rate and ours before.
    atol = 2**-9 * 0.1 if name == "adafactor" else 1e-7
    chex.assert_trees_all_close(found, step(tower(), ALIASES[name]), rtol=1e-5, atol=atol)


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_each_optimizer_decays_weights_and_freezes(name):
    rules = (("image/head/.*", None), (".*", 1.0))
    plain, decayed = (step(tower(), name, rules=rules, weight_decay=w) for w in (0.0, 0.5))
    assert not decayed["image"]["head"]["kernel"].any()
    chex.assert_trees_all_equal(decayed["logit_scale"], plain["logit_scale"])
    if name != "lamb":  # the trust ratio is of the sum
        difference = decayed["image"]["conv"]["kernel"] - plain["image"]["conv"]["kernel"]
        np.testing.assert_allclose(difference, -0.05, rtol=1e-3)


def test_layers_learn_more_slowly_from_the_head_to_the_pixels():
    factors = optim.compute_layer_factors(tower(), 0.5)
    image = factors["image"]
    assert image["patch"]["kernel"] == 0.125
    blocks = image["transformer"]
    assert (blocks["block00"]["mlp"]["bias"], blocks["block01"]["mlp"]["bias"]) == (0.25, 0.5)
    assert image["head"]["kernel"] == image["conv"]["kernel"] == factors["logit_scale"] == 1.0
    plain, slower = (step(tower(), "adamw", layer_decay=d) for d in (1.0, 0.5))
    chex.assert_trees_all_close(slower, jax.tree.map(lambda u, f: u * f, plain, factors), rtol=1e-6)
    stacked = stack_blocks(tower())
    found = optim.compute_layer_factors(stacked, 0.5)["image"]["transformer"]["blocks"]["mlp"]
    assert found["kernel"].shape == (2, 1, 1) and found["bias"].ravel().tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(name="adam"), "unknown optimizer.name 'adam'; expected one of: adamw, lion"),
        (dict(name="muon"), "'muon' needs blocks or convolutions; use 'adamw'"),
        (dict(layer_decay=0.5), "layer_decay needs a transformer"),
        (dict(layer_decay=1.5), r"layer_decay must be in \(0, 1\], got 1.5"),
    ],
)
def test_optimizers_that_do_not_fit(settings, words):
    flat = {"text": {"kernel": jnp.ones((4, 2))}, "logit_scale": jnp.ones(())}
    with pytest.raises(ValueError, match=words):
        optim.build_optimizer(flat, optax.constant_schedule(0.1), **settings)
