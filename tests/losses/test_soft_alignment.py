"""Tiled losses against dense ones in float64, on one device and on eight."""

import functools
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from tests.losses.cases import (
    MODES,
    assert_equal,
    embeddings,
    fixed,
    half,
    in_float32,
    in_float64,
    keywords,
    largest_array,
    on_mesh,
    unit,
    worst,
)
from vujax.losses import info_nce, reference, soft_alignment

Loss = Callable[..., jax.Array]
Result = tuple[float, list[np.ndarray]]
N, D, TILE = 64, 16, 15  # of most tests, so that each mode is compiled once for them


@functools.cache
def tiled(mode: str, tile: int | None = None) -> Loss:
    """Return loss(image, text, scale, unaligned, teacher)."""
    return lambda image, text, scale, unaligned, teacher: soft_alignment(
        image, text, scale, unaligned, teacher=teacher, tile=tile, **keywords(mode)
    )


@functools.cache
def dense(mode: str) -> Loss:
    return lambda image, text, scale, unaligned, teacher: reference.soft_alignment(
        image, text, scale, unaligned, teacher=teacher, **keywords(mode)
    )


def ours(mode: str, image, text, scale: float, unaligned, tile: int | None = TILE) -> Result:
    rest = fixed(mode, unaligned, image.shape[1])
    return in_float32(tiled(mode, tile), image, text, np.float32(scale), fixed=rest)


def exact(mode: str, image, text, scale: float, unaligned) -> Result:
    rest = fixed(mode, unaligned, image.shape[1])
    return in_float64(dense(mode), image, text, scale, fixed=rest)


def largest(result: Result) -> float:
    """Return the largest entry of the gradients by images and texts."""
    return max(np.abs(g).max() for g in result[1][:2])


@pytest.mark.parametrize("mode", MODES)
def test_matches_the_dense_loss_in_float64(mode: str):
    # `tools/bench_loss.py --errors --n 2048` prints the errors of all modes at all scales.
    n, scales = (2048, (14.3, 20.0, 100.0)) if mode == "swapped_rows" else (1024, (100.0,))
    image, text = embeddings(n, 512)
    for scale in scales:
        value, gradients = ours(mode, image, text, np.float32(scale), half(n), tile=None)
        expected, by_float64 = exact(mode, image, text, np.float32(scale), half(n))
        assert abs(value - expected) < 1e-5 * max(abs(expected), 1e-3)
        assert worst(gradients, by_float64) < 1e-5


@pytest.mark.parametrize("mode", MODES)
def test_a_last_tile_with_padding(mode: str):
    arguments = (*embeddings(N, D), 20.0, half(N))  # five tiles of 13 rows
    assert_equal(ours(mode, *arguments), exact(mode, *arguments))


@pytest.mark.parametrize(("n", "tile"), [(97, 16), (40, 64), (5, 2), (3, 2), (2, 1)])
def test_any_number_of_rows_in_any_tiles(n: int, tile: int):
    image, text = embeddings(n, D, noise=0.5)
    for mode, unaligned in (
        ("swapped_rows", half(n)),
        ("swapped_rows", np.ones(n, bool)),
        ("half_columns_cool", half(n)),
    ):
        arguments = (image, text, 10.0, unaligned)
        assert_equal(ours(mode, *arguments, tile=tile), exact(mode, *arguments))


@pytest.mark.parametrize("mode", ["swapped_rows", "ema", "smoothed", "ema_half_columns"])
def test_one_row_has_nothing_to_learn(mode: str):
    result = ours(mode, *embeddings(1, 8), 100.0, np.ones(1, bool))
    nothing = np.zeros((1, 8), np.float32)
    chex.assert_trees_all_equal(result, (0.0, [nothing, nothing, np.float32(0)]))


@pytest.mark.parametrize("mode", MODES)
def test_raw_gradients_of_eight_devices_are_those_of_one(mode: str, mesh8):
    # 8 rows a device in three tiles of 3: padding on every device. A loss whose labels are right on
    # the first device alone, or whose gradient is 8 times too large, fails here.
    image, text = embeddings(N, D)
    rest = fixed(mode, half(N), D)

    def share(rows, shared, rest):
        unaligned, teacher = rest
        more = {"teacher": teacher, "axis_name": "data", "tile": 3}
        return soft_alignment(*rows, *shared, unaligned, **keywords(mode), **more)

    eight = on_mesh(mesh8, share, (image, text), (np.float32(8),), rest)
    one = ours(mode, image, text, 8.0, half(N))
    chex.assert_trees_all_close(eight[0], one[0], rtol=1e-6)
    assert worst(eight[1], one[1]) < 1e-5


def test_raw_gradients_of_eight_devices_for_info_nce(mesh8):
    image, text = embeddings(104, D)

    def share(rows, shared, _):
        return info_nce(*rows, *shared, label_smoothing=0.1, axis_name="data", tile=26)

    eight = on_mesh(mesh8, share, (image, text), (np.float32(20),))
    whole = functools.partial(reference.info_nce, label_smoothing=0.1)
    assert_equal(eight, in_float64(whole, image, text, 20.0))


def test_a_replicated_scale_gets_the_whole_gradient(mesh8):
    image, text = embeddings(64, D)

    def gradient(image, text, scale):
        return jax.grad(lambda s: info_nce(image, text, s, axis_name="data"))(scale)

    specs = (P("data"), P("data"), P())
    sharded = jax.shard_map(gradient, mesh=mesh8, in_specs=specs, out_specs=P(), check_vma=True)
    by_scale = jax.jit(sharded)(image, text, np.float32(20))
    expected = in_float64(reference.info_nce, image, text, 20.0)[1][2]
    chex.assert_trees_all_close(by_scale, expected, rtol=1e-5)


def test_shares_with_unequal_weights(mesh8):
    """Check that the gradient is correct for any weighted sum of the shares."""
    image, text = embeddings(64, D)
    weights = np.linspace(0.5, 2.0, 8, dtype=np.float32)

    def share(rows, shared, weight):
        return weight[0] * info_nce(*rows, *shared, axis_name="data")

    def whole(image, text, scale):
        logits = reference.scaled_similarity(image, text, scale)
        rows = sum(reference.cross_entropy(x, jnp.eye(64)) for x in (logits, logits.T))
        return (jnp.repeat(weights, 8) * rows).mean() / 2

    eight = on_mesh(mesh8, share, (image, text), (np.float32(20),), weights)
    assert_equal(eight, in_float64(whole, image, text, 20.0))


def test_the_old_name_of_swapped_rows_warns():
    arguments = (*embeddings(6, 4), 20.0, np.ones(6, bool))
    with pytest.warns(
        DeprecationWarning, match="target 'swapped' is deprecated; use 'swapped_rows'"
    ):
        old = soft_alignment(*arguments, target="swapped")
    assert old == soft_alignment(*arguments, target="swapped_rows")


def test_a_mesh_of_one_device_is_the_whole_batch(mesh1):
    image, text = embeddings(N, D)

    def share(rows, shared, unaligned):
        return soft_alignment(*rows, *shared, unaligned, axis_name="data", tile=TILE)

    one = on_mesh(mesh1, share, (image, text), (np.float32(20),), half(N))
    assert_equal(one, exact("swapped_rows", image, text, 20.0, half(N)))


@pytest.mark.parametrize("mode", ["swapped_rows", "smoothed"])
def test_with_no_unaligned_row_it_is_info_nce(mode: str):
    image, text = embeddings(N, D)
    value, gradients = ours(mode, image, text, 20.0, np.zeros(N, bool))
    hard = functools.partial(info_nce, tile=TILE, **keywords(mode))
    expected, by_info_nce = in_float32(hard, image, text, np.float32(20))
    assert value == expected
    assert worst(gradients, by_info_nce) < 1e-5


@pytest.mark.parametrize("mode", ["swapped_rows", "half_columns_cool"])
@pytest.mark.parametrize("unaligned", [np.zeros(300, bool), np.ones(300, bool)], ids=["no", "all"])
def test_digits_are_kept_where_the_loss_is_nearly_zero(unaligned: np.ndarray, mode: str):
    # Nearly orthonormal: the other logits are some 20 below the own one.
    image = unit(np.linalg.qr(np.random.default_rng(0).normal(size=(300, 300)))[0])
    text = unit(image + 0.02 * np.random.default_rng(1).normal(size=(300, 300)))
    result = ours(mode, image, text, 20.0, unaligned, tile=None)
    expected = exact(mode, image, text, 20.0, unaligned)
    assert 1e-6 < expected[0] < 1e-4
    chex.assert_trees_all_close(result[0], expected[0], rtol=1e-5)
    assert_equal(result, expected)


@pytest.mark.parametrize("mode", MODES)
def test_finite_and_exact_at_the_largest_scale(mode: str):
    image, _ = embeddings(N, D)
    one = np.repeat(image[:1], N, axis=0)
    cases = {
        "own pairs opposite": (image, -image),
        "perfect pairs": (image, image),
        "all equal": (one, one),
        "all opposite": (one, -one),
        "nearly equal": (one, unit(one + 1e-4 * image)),
    }
    for name, pair in cases.items():
        value, gradients = ours(mode, *pair, 100.0, half(N))
        expected, _ = exact(mode, *pair, 100.0, half(N))
        assert abs(value - expected) < 1e-5 * max(1.0, abs(expected)), name
        assert all(np.isfinite(g).all() for g in gradients), name


def test_plain_targets_of_oneself_give_unaligned_rows_no_gradient_of_their_own():
    image, text = embeddings(N, D)
    everything = np.ones(N, bool)
    still = ours("plain", image, text, 20.0, everything)
    assert largest(still) < 1e-5 * largest(ours("swapped_rows", image, text, 20.0, everything))
    # With some rows aligned the gradient is that of their terms alone, wherever it falls.
    unaligned = half(N)

    def aligned_terms(image, text, scale):
        logits = reference.scaled_similarity(image, text, scale)
        rows = sum(reference.cross_entropy(x, jnp.eye(N)) for x in (logits, logits.T))
        return (rows * ~unaligned).mean() / 2

    _, gradients = ours("plain", image, text, 20.0, unaligned)
    expected = in_float64(aligned_terms, image, text, 20.0)
    assert worst(gradients[:2], expected[1][:2]) < 1e-5
    # Unaligned rows still move, as negatives of the others.
    assert np.abs(gradients[0][unaligned]).max() > 1e-3 * largest(expected)


def test_symmetric_similarities_are_a_fixed_point_of_swapped_targets():
    image, text = embeddings(N, D)
    normal = unit(np.ones(D))
    mirrored = unit(image - 2 * np.outer(image @ normal, normal))  # S = V R V', R symmetric
    everything = np.ones(N, bool)
    off = ours("swapped_rows", image, text, 20.0, everything)
    assert largest(ours("swapped_rows", image, mirrored, 20.0, everything)) < 1e-5 * largest(off)


@pytest.mark.parametrize(
    "mode", ["swapped_rows", "plain", "cool", "own_columns", "half_columns_cool"]
)
def test_uniform_similarities_are_a_fixed_point_that_aligned_rows_leave(mode: str):
    # Images and texts in orthogonal subspaces: all similarities are 0, the embeddings differ.
    rng = np.random.default_rng(0)
    image, text = np.zeros((N, D)), np.zeros((N, D))
    image[:, : D // 2], text[:, D // 2 :] = rng.normal(size=(2, N, D // 2))
    image, text = unit(image), unit(text)
    soft = ours(mode, image, text, 20.0, np.ones(N, bool))
    assert largest(soft) < 1e-6 * largest(ours(mode, image, text, 20.0, half(N)))


@pytest.mark.parametrize(
    "mode", ["swapped_rows", "plain", "cool", "own_columns", "half_columns_cool"]
)
def test_images_and_texts_play_the_same_part(mode: str):
    image, text = embeddings(N, D)
    value, (by_image, by_text, by_scale) = ours(mode, image, text, 20.0, half(N))
    exchanged = ours(mode, text, image, 20.0, half(N))
    assert_equal(exchanged, (value, [by_text, by_image, by_scale]))


def test_no_gradient_flows_to_the_teacher():
    image, text = embeddings(30, D)

    def by_teacher(teacher, temperature, weight):
        more = {"teacher_temperature": temperature, "soft_weight": weight, "label_smoothing": 0.1}
        return soft_alignment(image, text, 20.0, np.ones(30, bool), teacher=teacher, **more)

    gradients = jax.grad(by_teacher, (0, 1, 2))(embeddings(30, D, seed=1), 0.5, 0.4)
    chex.assert_trees_all_equal(gradients, jax.tree.map(jnp.zeros_like, gradients))


@pytest.mark.parametrize("mode", ["swapped_rows", "half_columns_cool"])
def test_bfloat16_embeddings_are_summed_in_float32(mode: str):
    low = [jnp.asarray(x, jnp.bfloat16) for x in embeddings(300, 64)]
    value, gradients = ours(mode, *low, 20.0, half(300), tile=128)
    expected, by_float64 = exact(mode, *low, 20.0, half(300))
    assert gradients[0].dtype == gradients[1].dtype == jnp.bfloat16
    chex.assert_trees_all_close(value, expected, rtol=1e-5)
    assert worst([g.astype(np.float32) for g in gradients], by_float64) < 1e-2


def test_a_row_that_is_not_a_number_shows_in_the_loss():
    image, text = embeddings(N, D)
    image[17, 3] = np.nan
    for mode in ("swapped_rows", "own_columns"):
        for unaligned in (np.zeros(N, bool), np.ones(N, bool)):
            assert np.isnan(ours(mode, image, text, 20.0, unaligned)[0])


@functools.cache
def compiled(mode: str, n: int, d: int) -> jax.stages.Compiled:
    rows, scale = jax.ShapeDtypeStruct((n, d), jnp.float32), jax.ShapeDtypeStruct((), jnp.float32)
    teacher = (rows, rows) if "teacher" in MODES[mode] else None
    unaligned = jax.ShapeDtypeStruct((n,), bool)
    function = jax.jit(jax.value_and_grad(tiled(mode), (0, 1, 2)))
    return function.lower(rows, rows, scale, unaligned, teacher).compile()


# Between them they have each target, a teacher, soft labels and smoothing.
LARGE = ("swapped_rows", "plain", "smoothed", "half_columns_cool", "ema_half_columns")


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("mode", LARGE)
def test_temporaries_are_small_at_65536_rows(mode: str):
    program = compiled(mode, 65536, 512)
    assert program.memory_analysis().temp_size_in_bytes < 0.5 * 2**30
    assert largest_array(program.as_text()) <= 65536 * 512


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("mode", ["swapped_rows", "ema"])
def test_temporaries_grow_with_n_only(mode: str):
    small, large = (compiled(mode, n, 512).memory_analysis() for n in (8192, 65536))
    assert small.temp_size_in_bytes < 0.1 * 2**30
    assert large.temp_size_in_bytes < 8.8 * small.temp_size_in_bytes  # N x N would make it 64


@pytest.mark.usefixtures("optimized")
def test_no_array_of_local_rows_by_all_rows(mesh8):
    n, d = 8192, 64

    def gradients(image, text, unaligned):
        return jax.grad(
            lambda i, t: soft_alignment(i, t, 20.0, unaligned, axis_name="data"), (0, 1)
        )(image, text)

    sharded = jax.shard_map(gradients, mesh=mesh8, in_specs=P("data"), out_specs=P("data"))
    rows, unaligned = jax.ShapeDtypeStruct((n, d), jnp.float32), jax.ShapeDtypeStruct((n,), bool)
    program = jax.jit(sharded).lower(rows, rows, unaligned).compile()
    assert largest_array(program.as_text()) <= n * d < n // 8 * n


def test_arrays_that_are_sharded_over_an_explicit_axis_go_through_shard_map():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Explicit,))
    image, text = embeddings(16, 4)
    unaligned = np.arange(16) < 5
    expected = soft_alignment(image, text, 20.0, unaligned)
    with jax.set_mesh(mesh):
        rows = jax.device_put((image, text, unaligned), NamedSharding(mesh, P("data")))
        with pytest.raises(Exception, match="illegally sharded"):
            soft_alignment(rows[0], rows[1], 20.0, rows[2])
        share = functools.partial(soft_alignment, axis_name="data")
        total = jax.shard_map(
            lambda i, t, u: jax.lax.psum(share(i, t, 20.0, u), "data"),
            in_specs=(P("data"), P("data"), P("data")),
            out_specs=P(),
        )
        assert float(jax.jit(total)(*rows)) == pytest.approx(float(expected), rel=1e-6)
