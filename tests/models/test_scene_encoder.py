"""Scene encoder: independence of scenes in a row; options that change only the cost."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from tests.models.small import assert_close, variables
from vujax.models import stack_blocks
from vujax.models.scene_encoder import VARIANTS, bucket_gaps, build_scene_encoder, get_scene_sizes

LENGTHS = (3, 1, 5, 2, 4, 1)
SIZES = dict(variant="tiny", width=16, layers=2, heads=2, dim=8, max_shots=6)
IMAGE = dict(encoder="vit", variant="Mu/4", width=8, layers=1, heads=1, image_size=8)


def scene_arrays(shape: tuple[int, ...] = (5,), name: str = "feature") -> list[dict]:
    rng = np.random.default_rng(0)
    found = []
    for length in LENGTHS:
        seen = rng.normal(size=(length, *shape)).astype(np.float32)
        if name == "image":
            seen = rng.integers(0, 256, (length, *shape)).astype(np.uint8)
        time = np.cumsum(rng.integers(1, 9, length)).astype(np.float32)
        found.append({name: seen, "time": time - time[0]})
    return found


def rows_of(scenes: list[dict], rows: list[list[int]], width: int, most: int) -> dict:
    """Place scenes in rows; the gaps are filled with 7s, which must have no effect."""
    name = next(iter(scenes[0]))
    seen = scenes[0][name]
    batch = {
        name: np.full((len(rows), width, *seen.shape[1:]), 7, seen.dtype),
        "segment": np.zeros((len(rows), width), np.int32),
        "place": np.zeros((len(rows), width), np.int32),
        "time": np.full((len(rows), width), 7, np.float32),
        "scene": np.full((len(rows), most), -1, np.int32),
    }
    for row, members in enumerate(rows):
        at = 0
        for slot, scene in enumerate(members, 1):
            n = LENGTHS[scene]
            there = (row, slice(at, at + n))
            batch[name][there], batch["time"][there] = scenes[scene][name], scenes[scene]["time"]
            batch["segment"][there], batch["place"][there] = slot, np.arange(n)
            batch["scene"][row, slot - 1] = scene
            at += n
    return batch


ALONE = [[0], [1], [2], [3], [4], [5]]
PACKED = [[2, 1, 3], [5, 4, 0]]


def by_scene(batch: dict, vectors: np.ndarray) -> dict[int, np.ndarray]:
    there = batch["scene"] >= 0
    assert (np.asarray(vectors)[~there] == 0).all()
    return dict(zip(batch["scene"][there].tolist(), np.asarray(vectors)[there], strict=True))


def obvious(params: dict, scene: dict, *, heads: int, pool: str, gaps: int = 16) -> np.ndarray:
    """Encode one scene in numpy, float64."""
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    dense = lambda x, p: x @ p["kernel"] + p["bias"]  # noqa: E731

    def norm(x, p):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * p["scale"] + p["bias"]

    def attend(x, p):
        split = lambda name: np.split(dense(x, p[name]), heads, axis=-1)  # noqa: E731
        mixed = []
        for q, k, v in zip(split("query"), split("key"), split("value"), strict=True):
            weight = np.exp(q @ k.T / np.sqrt(q.shape[-1]))
            mixed.append(weight / weight.sum(-1, keepdims=True) @ v)
        return dense(np.concatenate(mixed, axis=-1), p["out"])

    from math import erf

    gelu = np.vectorize(lambda x: 0.5 * x * (1 + erf(x / 2**0.5)))
    seen = scene["feature"] / np.sqrt((scene["feature"].astype(float) ** 2).mean(-1))[:, None]
    x = dense(seen, params["shot"]["input"]) + params["position"][: len(seen)]
    since = np.diff(scene["time"], prepend=scene["time"][0])
    x = x + params["gap"][np.minimum(np.rint(2 * np.log2(1 + since)), gaps - 1).astype(int)]
    if pool == "cls":
        x = np.concatenate([params["class_token"][None], x])
    x = norm(x, params["ln_pre"])
    for _, p in sorted(params["transformer"].items()):
        x = x + attend(norm(x, p["ln_1"]), p["attn"])
        hidden = gelu(dense(norm(x, p["ln_2"]), p["mlp"]["fc1"]))
        x = x + dense(hidden, p["mlp"]["fc2"])
    x = x[0] if pool == "cls" else x.mean(axis=0)
    return norm(x, params["head"]["ln"]) @ params["head"]["projection"]["kernel"]


@pytest.fixture(scope="module", params=["cls", "mean"])
def case(request):
    model = build_scene_encoder(**SIZES, pool=request.param)
    scenes = scene_arrays()
    weights = variables(model, rows_of(scenes, ALONE, 6, 1))
    return model, scenes, weights, jax.jit(model.apply)


def test_equals_obvious_attention_over_each_scene_alone(case):
    model, scenes, weights, apply = case
    batch = rows_of(scenes, PACKED, 12, 4)
    found = by_scene(batch, apply(weights, batch)[0])
    for scene, vector in found.items():
        wanted = obvious(weights["params"], scenes[scene], heads=2, pool=model.pool)
        np.testing.assert_allclose(vector, wanted, atol=1e-5)
    assert sorted(found) == list(range(6))


@pytest.mark.parametrize(
    ("rows", "width", "most"),
    [
        (ALONE, 5, 1),
        ([*PACKED[::-1], [], [], [], []], 16, 6),
        ([[3, 1], [], [2], [], [0, 4, 5], []], 16, 6),
        ([[0, 1, 2, 3, 4, 5], [], [], [], [], []], 16, 6),
    ],
)
def test_row_order_padding_and_packing_change_nothing(case, rows, width, most):
    _, scenes, weights, apply = case
    one, other = rows_of(scenes, PACKED, 12, 4), rows_of(scenes, rows, width, most)
    wanted = by_scene(one, apply(weights, one)[0])
    found = by_scene(other, apply(weights, other)[0])
    chex.assert_trees_all_close(found, wanted, atol=1e-5)


def loss(weights, model, batch):
    vectors, _ = model.apply(weights, batch)
    return jnp.sum(jnp.sin(3 * vectors))


@pytest.fixture(scope="module")
def gradients():
    """Return variables, scenes, and the gradients of all of them in packed rows."""
    model, scenes = build_scene_encoder(**SIZES), scene_arrays()
    batch = rows_of(scenes, PACKED, 12, 4)
    weights = variables(model, batch)
    found = jax.jit(jax.grad(loss), static_argnums=1)(weights, model, batch)
    assert np.abs(found["params"]["position"][:5]).min() > 0
    return weights, scenes, found


def test_alone_on_eight_devices_the_gradients_are_those_of_packed_on_one(gradients, mesh8):
    weights, scenes, wanted = gradients
    model, batch = build_scene_encoder(**SIZES), rows_of(scenes, [*ALONE, [], []], 5, 1)

    def share(weights, batch):
        weights = jax.tree.map(lambda x: jax.lax.pcast(x, "data", to="varying"), weights)
        gradient = jax.grad(loss)(weights, model, batch)
        return jax.tree.map(lambda x: jax.lax.psum(x, "data"), gradient)

    sharded = jax.shard_map(share, mesh=mesh8, in_specs=(P(), P("data")), out_specs=P())
    assert_close(jax.jit(sharded)(weights, batch), wanted)


@pytest.mark.parametrize("scan", [False, True])
def test_remat_and_scan_change_no_gradient(gradients, scan):
    weights, scenes, wanted = gradients
    layout = stack_blocks if scan else (lambda tree: tree)
    model = build_scene_encoder(**SIZES, remat="full", scan=scan)
    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    found = gradient(layout(weights), model, rows_of(scenes, PACKED, 12, 4))
    assert_close(found, layout(wanted))


def test_every_shot_its_place_and_its_gap_matter(case):
    _, scenes, weights, apply = case
    batch = rows_of(scenes, PACKED, 12, 4)
    before = by_scene(batch, apply(weights, batch)[0])

    def moved(**change: np.ndarray) -> dict[int, float]:
        after = by_scene(batch, apply(weights, batch | change)[0])
        return {scene: float(np.abs(after[scene] - before[scene]).max()) for scene in before}

    feature, time = batch["feature"].copy(), batch["time"].copy()
    feature[0, 4] *= -1  # the last shot of scene 2
    time[0, 2:5] += 30  # a gap within it
    turned = batch["place"].copy()
    turned[0, :5] = turned[0, :5][::-1]
    for change in (dict(feature=feature), dict(time=time), dict(place=turned)):
        far = moved(**change)
        assert far.pop(2) > 1e-3
        assert max(far.values()) == 0
    assert max(moved(time=batch["time"] + 5).values()) == 0  # the start of a scene does not


def test_bfloat16_is_close_and_vectors_stay_float32(case):
    model, scenes, weights, apply = case
    batch = rows_of(scenes, PACKED, 12, 4)
    half = model.clone(dtype=jnp.bfloat16)
    shapes = jax.eval_shape(half.init, jax.random.key(0), batch)
    chex.assert_trees_all_equal_shapes_and_dtypes(shapes, weights)
    exact, _ = apply(weights, batch)
    rounded, out = jax.jit(half.apply)(weights, batch)
    assert rounded.dtype == jnp.float32 and out["shots"].dtype == jnp.bfloat16
    np.testing.assert_allclose(rounded, exact, atol=0.05 * np.abs(exact).max())


@pytest.mark.parametrize("frame_layers", [0, 1])
def test_from_pixels_each_shot_from_its_keyframes(frame_layers):
    scenes = scene_arrays((2, 8, 8, 3), "image")
    options = dict(encoder=dict(image=IMAGE), frame_layers=frame_layers, frames=2, layers=1)
    model = build_scene_encoder(**SIZES | options)
    batch, alone = (rows_of(scenes, rows, 10, 3) for rows in ([*PACKED, *[[]] * 4], ALONE))
    weights, apply = variables(model, alone), jax.jit(model.apply)
    found = by_scene(batch, apply(weights, batch)[0])
    chex.assert_trees_all_close(found, by_scene(alone, apply(weights, alone)[0]), atol=1e-5)
    turned = by_scene(batch, apply(weights, batch | {"image": batch["image"][:, :, ::-1]})[0])
    moved = max(float(np.abs(turned[scene] - found[scene]).max()) for scene in found)
    assert moved > 1e-3 if frame_layers else moved < 1e-5  # the order of keyframes


def test_features_of_keyframes():
    scenes = scene_arrays((2, 5))
    model = build_scene_encoder(**SIZES | dict(frame_layers=1, frames=2, layers=1))
    batch, alone = (rows_of(scenes, rows, 10, 3) for rows in ([*PACKED, *[[]] * 4], ALONE))
    weights, apply = variables(model, batch), jax.jit(model.apply)
    found, wanted = (by_scene(rows, apply(weights, rows)[0]) for rows in (batch, alone))
    chex.assert_trees_all_close(found, wanted, atol=1e-5)


def test_gap_buckets():
    time = np.array([[0, 1, 3, 13, 4000, 9, 9, 10]], np.float32)
    place = np.array([[0, 1, 2, 3, 4, 0, 1, 2]], np.int32)
    assert bucket_gaps(time, place, 16).tolist() == [[0, 2, 3, 7, 15, 0, 0, 2]]


def test_a_shot_past_the_maximum_is_not_taken_for_another(case):
    _, scenes, weights, apply = case
    batch = rows_of(scenes, ALONE, 6, 1)
    batch["place"][0, 1] = 6
    vectors, _ = apply(weights, batch)
    assert np.isnan(vectors[0]).all() and np.isfinite(vectors[1:]).all()


def test_variants_grow():
    rows = rows_of(scene_arrays(), ALONE, 5, 1)
    sizes = []
    for name in VARIANTS:
        shapes = jax.eval_shape(build_scene_encoder(variant=name).init, jax.random.key(0), rows)
        sizes.append(sum(leaf.size for leaf in jax.tree.leaves(shapes)))
        assert (
            shapes["params"]["head"]["projection"]["kernel"].shape[1]
            == get_scene_sizes(name)["width"]
        )
    assert sizes == sorted(sizes) and 5e5 < sizes[0] < 2e6 and 2.5e8 < sizes[-1] < 3.5e8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(variant="huge"), "model.variant 'huge'; expected one of: tiny, small, base, large"),
        (dict(depth=3), "unknown option model.depth"),
        (dict(pool="max"), "model.pool 'max'"),
        (dict(heads=3), "model.width 16 must be a positive multiple"),
        (dict(dim=0), "model.dim 0"),
        (
            dict(encoder=dict(feature=dict(width=5)), frame_layers=1),
            "joins the embeddings of single",
        ),
        (dict(encoder=dict(image=IMAGE | dict(size=3))), "unknown option model.image.size"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(ValueError, match=words):
        build_scene_encoder(**SIZES | options)


@pytest.mark.parametrize(
    ("options", "shape", "words"),
    [
        (dict(), (2, 5), "takes .r w f."),
        (dict(frame_layers=1), (5,), "takes .r w k f."),
        (dict(frame_layers=1, frames=2), (3, 5), "have 3 keyframes, but this model has 2"),
    ],
)
def test_features_that_do_not_fit(options, shape, words):
    rows = rows_of(scene_arrays(shape), ALONE, 5, 1)
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(build_scene_encoder(**SIZES | options).init, jax.random.key(0), rows)
    rows.pop("feature")
    with pytest.raises(ValueError, match="no 'feature'"):
        jax.eval_shape(build_scene_encoder(**SIZES | options).init, jax.random.key(0), rows)
