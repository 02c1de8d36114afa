"""The tiled losses against dense ones in float64, on one device and on eight."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from tests.losses.cases import (
    MODES,
    assert_equal,
    embeddings,
    half,
    in_float32,
    in_float64,
    largest_array,
    on_mesh,
    options,
    unit,
    worst,
)
from vujax.losses import info_nce, reference, soft_alignment


def tiled(mode: str, n: int, d: int, unaligned: np.ndarray, **more):
    chosen = options(mode, n, d)
    return lambda image, text, scale: soft_alignment(
        image, text, scale, jnp.asarray(unaligned), **chosen, **more
    )


def dense(mode: str, n: int, d: int, unaligned: np.ndarray):
    chosen = options(mode, n, d)
    return lambda image, text, scale: reference.soft_alignment(
        image, text, scale, jnp.asarray(unaligned), **chosen
    )


@pytest.mark.parametrize("mode", MODES)
def test_matches_the_dense_loss_in_float64(mode: str):
    n, d = 2048, 512
    image, text = embeddings(n, d)
    unaligned = half(n)
    ours, exact_loss = tiled(mode, n, d, unaligned), dense(mode, n, d, unaligned)
    for scale in (14.3, 20.0, 100.0):
        arguments = (image, text, np.float32(scale))
        value, gradients = in_float32(ours, *arguments)
        expected, exact = in_float64(exact_loss, *arguments)
        assert abs(value - expected) < 1e-5 * max(abs(expected), 1e-3)
        assert worst(gradients, exact) < 1e-5


@pytest.mark.parametrize("mode", MODES)
def test_a_last_tile_with_padding(mode: str):
    image, text = embeddings(97, 24)
    unaligned, arguments = half(97), (image, text, np.float32(20))
    ours = in_float32(tiled(mode, 97, 24, unaligned, tile=16), *arguments)
    assert_equal(ours, in_float64(dense(mode, 97, 24, unaligned), *arguments))


@pytest.mark.parametrize(("n", "tile"), [(64, 16), (40, 64), (5, 2), (4, 4), (3, 2), (2, 1)])
def test_any_number_of_rows_in_any_tiles(n: int, tile: int):
    image, text = embeddings(n, 24, noise=0.5)
    for unaligned in (half(n), np.ones(n, bool)):
        arguments = (image, text, np.float32(10))
        ours = in_float32(tiled("swapped", n, 24, unaligned, tile=tile), *arguments)
        assert_equal(ours, in_float64(dense("swapped", n, 24, unaligned), *arguments))


@pytest.mark.parametrize("mode", MODES)
def test_one_row_has_nothing_to_learn(mode: str):
    ours = in_float32(tiled(mode, 1, 8, np.ones(1, bool)), *embeddings(1, 8), np.float32(100))
    chex.assert_trees_all_equal(ours, (0.0, [np.zeros((1, 8)), np.zeros((1, 8)), np.zeros(())]))


@pytest.mark.parametrize("mode", MODES)
def test_raw_gradients_of_eight_devices_are_those_of_one(mode: str, mesh8):
    # 13 rows a device in tiles of at most 5: padding on every device. A loss whose labels are
    # right on the first device alone, or whose gradient is 8 times too large, fails here.
    n, d = 104, 24
    image, text = embeddings(n, d)
    unaligned, chosen = half(n), options(mode, n, d)
    data = (unaligned, chosen.pop("teacher", None))

    def share(rows, shared, data):
        unaligned, teacher = data
        more = {"teacher": teacher, "axis_name": "data", "tile": 5}
        return soft_alignment(*rows, *shared, unaligned, **chosen, **more)

    eight = on_mesh(mesh8, share, (image, text), (np.float32(20),), data)
    assert_equal(eight, in_float32(tiled(mode, n, d, unaligned), image, text, np.float32(20)))


def test_raw_gradients_of_eight_devices_for_info_nce(mesh8):
    image, text = embeddings(104, 24)

    def share(rows, shared, _):
        return info_nce(*rows, *shared, label_smoothing=0.1, axis_name="data", tile=26)

    eight = on_mesh(mesh8, share, (image, text), (np.float32(20),))
    dense_loss = functools.partial(reference.info_nce, label_smoothing=0.1)
    assert_equal(eight, in_float64(dense_loss, image, text, 20.0))


def test_a_replicated_scale_gets_the_whole_gradient(mesh8):
    image, text = embeddings(64, 24)

    def gradient(image, text, scale):
        return jax.grad(lambda s: info_nce(image, text, s, axis_name="data"))(scale)

    sharded = jax.shard_map(
        gradient, mesh=mesh8, in_specs=(P("data"), P("data"), P()), out_specs=P(), check_vma=True
    )
    by_scale = jax.jit(sharded)(image, text, np.float32(20))
    expected = in_float64(reference.info_nce, image, text, 20.0)[1][2]
    chex.assert_trees_all_close(by_scale, expected, rtol=1e-5)


def test_shares_with_unequal_weights(mesh8):
    """The gradient is right for any sum of the shares, not only for the plain one."""
    image, text = embeddings(64, 24)
    weights = np.linspace(0.5, 2.0, 8, dtype=np.float32)

    def share(rows, shared, weight):
        return weight[0] * info_nce(*rows, *shared, axis_name="data")

    def expected(image, text, scale):
        logits = reference.similarity(image, text, scale)
        rows = sum(reference.cross_entropy(x, jnp.eye(64)) for x in (logits, logits.T))
        return (jnp.repeat(weights, 8) * rows).mean() / 2

    eight = on_mesh(mesh8, share, (image, text), (np.float32(20),), weights)
    assert_equal(eight, in_float64(expected, image, text, 20.0))


def test_a_mesh_of_one_device_is_the_whole_batch(mesh1):
    image, text = embeddings(50, 24)

    def share(rows, shared, unaligned):
        return soft_alignment(*rows, *shared, unaligned, axis_name="data", tile=16)

    one = on_mesh(mesh1, share, (image, text), (np.float32(20),), half(50))
    assert_equal(one, in_float64(dense("swapped", 50, 24, half(50)), image, text, 20.0))


def test_with_no_unaligned_row_it_is_info_nce_to_the_last_bit():
    image, text = embeddings(200, 32)
    for smoothing in (0.0, 0.1):
        soft = in_float32(
            lambda *a, e=smoothing: soft_alignment(*a, jnp.zeros(200, bool), label_smoothing=e),
            image,
            text,
            np.float32(20),
        )
        hard = in_float32(
            lambda *a, e=smoothing: info_nce(*a, label_smoothing=e), image, text, np.float32(20)
        )
        chex.assert_trees_all_equal(soft[0], hard[0])
        assert worst(soft[1], hard[1]) < 1e-6


@pytest.mark.parametrize("unaligned", [np.zeros(300, bool), np.ones(300, bool)])
def test_digits_are_kept_where_the_loss_is_nearly_zero(unaligned: np.ndarray):
    # Nearly orthonormal: the other logits are some 20 below the own one, the loss about 1e-6.
    image = unit(np.linalg.qr(np.random.default_rng(0).normal(size=(300, 300)))[0])
    text = unit(image + 0.02 * np.random.default_rng(1).normal(size=(300, 300)))
    arguments = (image, text, np.float32(20))
    ours = in_float32(tiled("swapped", 300, 300, unaligned, tile=64), *arguments)
    exact = in_float64(dense("swapped", 300, 300, unaligned), *arguments)
    assert 0 < exact[0] < 1e-4
    chex.assert_trees_all_close(ours[0], exact[0], rtol=1e-5)
    assert_equal(ours, exact)


@pytest.mark.parametrize("mode", MODES)
def test_finite_at_the_largest_scale(mode: str):
    n, d = 40, 16
    image, _ = embeddings(n, d)
    one = np.repeat(image[:1], n, axis=0)
    cases = {
        "own pairs opposite": (image, -image),
        "perfect pairs": (image, image),
        "all equal": (one, one),
        "all opposite": (one, -one),
        "nearly equal": (one, unit(one + 1e-4 * image)),
    }
    ours, exact = tiled(mode, n, d, half(n), tile=16), dense(mode, n, d, half(n))
    for name, (images, texts) in cases.items():
        value, gradients = in_float32(ours, images, texts, np.float32(100))
        expected, _ = in_float64(exact, images, texts, np.float32(100))
        assert abs(value - expected) < 1e-5 * max(1.0, abs(expected)), name
        assert all(np.isfinite(g).all() for g in gradients), name


def test_plain_targets_of_oneself_give_unaligned_rows_no_gradient_of_their_own():
    image, text = embeddings(60, 16)
    everything = np.ones(60, bool)
    still = in_float32(tiled("plain", 60, 16, everything, tile=16), image, text, np.float32(20))
    moved = in_float32(tiled("swapped", 60, 16, everything), image, text, np.float32(20))
    scale = max(np.abs(g).max() for g in moved[1])
    assert max(np.abs(g).max() for g in still[1]) < 1e-5 * scale
    # With some rows aligned, the gradient is that of their terms alone, wherever it falls.
    unaligned = half(60)

    def aligned_terms(image, text, scale):
        logits = reference.similarity(image, text, scale)
        rows = sum(reference.cross_entropy(x, jnp.eye(60)) for x in (logits, logits.T))
        return (rows * ~unaligned).mean() / 2

    _, gradients = in_float32(tiled("plain", 60, 16, unaligned), image, text, np.float32(20))
    exact = in_float64(aligned_terms, image, text, 20.0)[1]
    assert worst(gradients, exact) < 1e-5
    unaligned_images = exact[0][unaligned]  # they still move, as negatives of the others
    assert np.abs(unaligned_images).max() > 1e-3 * np.abs(exact[0]).max()


def test_symmetric_similarities_are_a_fixed_point_of_swapped_targets():
    image, _ = embeddings(60, 16)
    normal = unit(np.ones(16))
    mirrored = unit(image - 2 * np.outer(image @ normal, normal))  # S = V R V', R symmetric
    everything = np.ones(60, bool)
    _, at = in_float32(tiled("swapped", 60, 16, everything), image, mirrored, np.float32(20))
    _, off = in_float32(tiled("swapped", 60, 16, everything), *embeddings(60, 16), np.float32(20))
    assert max(np.abs(g).max() for g in at) < 1e-5 * max(np.abs(g).max() for g in off)


@pytest.mark.parametrize("mode", ["swapped", "plain", "cool"])
def test_uniform_similarities_are_a_fixed_point_that_aligned_rows_leave(mode: str):
    # Images and texts in orthogonal subspaces: all similarities are 0, the embeddings differ.
    rng = np.random.default_rng(0)
    image, text = unit(rng.normal(size=(60, 16))), unit(rng.normal(size=(60, 16)))
    image[:, 8:] = 0
    text[:, :8] = 0
    soft = in_float32(tiled(mode, 60, 16, np.ones(60, bool)), unit(image), unit(text), 20.0)
    hard = in_float32(tiled(mode, 60, 16, half(60)), unit(image), unit(text), 20.0)
    largest = [max(np.abs(g).max() for g in gradients[:2]) for _, gradients in (soft, hard)]
    assert largest[0] < 1e-6 * largest[1]


def test_images_and_texts_play_the_same_part():
    image, text = embeddings(60, 16)
    for mode in ("swapped", "plain", "cool"):
        function = tiled(mode, 60, 16, half(60))
        chex.assert_trees_all_close(function(image, text, 20), function(text, image, 20), rtol=1e-6)


def test_no_gradient_flows_to_the_teacher():
    image, text = embeddings(30, 16)

    def by_teacher(teacher, temperature, weight):
        return soft_alignment(
            image,
            text,
            20.0,
            jnp.ones(30, bool),
            teacher=teacher,
            teacher_temperature=temperature,
            soft_weight=weight,
        )

    gradients = jax.grad(by_teacher, (0, 1, 2))(embeddings(30, 16, seed=1), 0.5, 0.4)
    chex.assert_trees_all_equal(gradients, jax.tree.map(jnp.zeros_like, gradients))


@pytest.mark.parametrize("mode", ["swapped", "ema"])
def test_bfloat16_embeddings_are_summed_in_float32(mode: str):
    n, d = 300, 64
    low = [jnp.asarray(x, jnp.bfloat16) for x in embeddings(n, d)]
    chosen = options(mode, n, d)
    arguments = (*low, np.float32(20))
    value, gradients = in_float32(
        lambda *a: soft_alignment(*a, jnp.asarray(half(n)), **chosen, tile=128), *arguments
    )
    expected, exact = in_float64(dense(mode, n, d, half(n)), *arguments)
    assert gradients[0].dtype == gradients[1].dtype == jnp.bfloat16
    chex.assert_trees_all_close(value, expected, rtol=1e-5)
    assert worst([g.astype(np.float32) for g in gradients], exact) < 1e-2


def test_a_row_that_is_not_a_number_shows_in_the_loss():
    image, text = embeddings(30, 16)
    image[17, 3] = np.nan
    for unaligned in (np.zeros(30, bool), np.ones(30, bool)):
        assert np.isnan(tiled("swapped", 30, 16, unaligned, tile=8)(image, text, 20.0))


def compiled(mode: str, n: int, d: int):
    rows, scale = jax.ShapeDtypeStruct((n, d), jnp.float32), jax.ShapeDtypeStruct((), jnp.float32)
    chosen = options(mode, 8, 8)
    teacher = (rows, rows) if chosen.pop("teacher", None) else None

    def loss(embeddings, scale, unaligned, teacher):
        return soft_alignment(*embeddings, scale, unaligned, teacher=teacher, **chosen)

    unaligned = jax.ShapeDtypeStruct((n,), bool)
    function = jax.jit(jax.value_and_grad(loss, (0, 1)))
    return function.lower((rows, rows), scale, unaligned, teacher).compile()


@pytest.mark.parametrize("mode", MODES)
def test_temporaries_are_small_and_grow_with_n_only(mode: str):
    d = 512
    small, large = compiled(mode, 8192, d), compiled(mode, 65536, d)
    bytes_small, bytes_large = (
        program.memory_analysis().temp_size_in_bytes for program in (small, large)
    )
    assert bytes_small < 0.1 * 2**30
    assert bytes_large < 0.5 * 2**30
    assert bytes_large < 8 * 1.1 * bytes_small  # N x N would make it 64 times as much
    assert largest_array(large.as_text()) <= 65536 * d


def test_no_array_of_local_rows_by_all_rows(mesh8):
    n, d = 8192, 64

    def share(image, text, unaligned):
        return jax.grad(
            lambda i, t: soft_alignment(i, t, 20.0, unaligned, axis_name="data"), (0, 1)
        )(image, text)

    sharded = jax.shard_map(share, mesh=mesh8, in_specs=P("data"), out_specs=P("data"))
    rows, unaligned = jax.ShapeDtypeStruct((n, d), jnp.float32), jax.ShapeDtypeStruct((n,), bool)
    program = jax.jit(sharded).lower(rows, rows, unaligned).compile()
    assert largest_array(program.as_text()) <= n * d < n // 8 * n


def test_errors_name_the_argument_and_the_remedy():
    image, text = embeddings(6, 4)
    unaligned = np.zeros(6, bool)
    with pytest.raises(ValueError, match="target 'swap' is unknown: use one of"):
        soft_alignment(image, text, 20.0, unaligned, target="swap")
    with pytest.raises(ValueError, match=r"shapes \[\(6, 4\), \(5, 4\)\]: give rows"):
        soft_alignment(image, text[:5], 20.0, unaligned)
    with pytest.raises(ValueError, match=r"unaligned has shape \(5,\): give \(6,\)"):
        soft_alignment(image, text, 20.0, unaligned[:5])
    with pytest.raises(ValueError, match="info_nce: embeddings have shapes"):
        info_nce(image[0], text[0], 20.0)
