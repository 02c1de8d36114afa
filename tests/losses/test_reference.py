"""Dense references against hand-computed values and PyTorch."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.cases import embeddings, half, unit
from vujax.losses import reference

# Two pairs in a plane: cosines .8 .6 / 0 1.
IMAGE = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
TEXT = np.array([[0.8, 0.6], [0.6, 0.8]], np.float32)


def softmax(*logits: float) -> np.ndarray:
    e = np.exp(np.array(logits))
    return e / e.sum()


def test_info_nce_by_hand():
    # Logits [[1.6, 1.2], [1.2, 1.6]]: every row and column loses log(1 + e^-0.4).
    chex.assert_trees_all_close(
        reference.info_nce(IMAGE, TEXT, 2.0), np.log1p(np.exp(-0.4)), rtol=1e-6
    )


def test_soft_alignment_by_hand():
    # Texts [.8 .6] and [0 1]: logits [[1.6, 0], [1.2, 2]]; only the first row is unaligned.
    text = np.array([[0.8, 0.6], [0.0, 1.0]], np.float32)
    logits = np.array([[1.6, 0.0], [1.2, 2.0]])
    row, column = np.log(softmax(*logits[0])), np.log(softmax(*logits[:, 0]))
    rest = np.log(softmax(*logits[1]))[1] + np.log(softmax(*logits[:, 1]))[1]
    swapped = np.exp(column) @ row + np.exp(row) @ column + rest
    plain = np.exp(row) @ row + np.exp(column) @ column + rest
    # Own columns: image 0's share of text 0 and of text 1, then normalized over both.
    shares = np.array([softmax(1.6, 1.2)[0], softmax(0.0, 2.0)[0]])
    # Likewise text 0's share of image 0 and of image 1.
    by_text = np.array([softmax(1.6, 0.0)[0], softmax(1.2, 2.0)[0]])
    own = shares / shares.sum() @ row + by_text / by_text.sum() @ column + rest
    unaligned = np.array([True, False])
    for target, expected in {
        "swapped_rows": swapped,
        "plain": plain,
        "own_columns": own,
        "half_columns": (own + plain) / 2,
    }.items():
        loss = reference.soft_alignment(IMAGE, text, 2.0, unaligned, target=target)
        chex.assert_trees_all_close(loss, -expected / 4, rtol=1e-6)


def test_sigmoid_by_hand():
    expected = np.log1p(np.exp(-(1.6 - 1))) + np.log1p(np.exp(1.2 - 1))
    chex.assert_trees_all_close(reference.sigmoid(IMAGE, TEXT, 2.0, -1.0), expected, rtol=1e-6)


def test_cyclip_by_hand():
    # Cosines of images 0, of texts .96: in-modal sum 2 * .96^2; the cross-modal ones are symmetric.
    loss = reference.cyclip(IMAGE, TEXT, in_modal=0.5, cross_modal=1.0)
    chex.assert_trees_all_close(loss, 0.5 * 0.96**2, rtol=1e-6)
    text = np.array([[0.8, 0.6], [0.0, 1.0]], np.float32)  # cosines .8 0 / .6 1
    loss = reference.cyclip(IMAGE, text, in_modal=0.0, cross_modal=1.0)
    chex.assert_trees_all_close(loss, 0.6**2, rtol=1e-6)


def test_teacher_temperature_and_mixing_by_hand():
    # Targets of both sides softmax(1.6 / .5, 1.2 / .5), mixed .25 : .75 with the one-hot.
    soft = softmax(3.2, 2.4)
    target = 0.25 * soft + 0.75 * np.array([1.0, 0.0])
    expected = -target @ np.log(softmax(1.6, 1.2))
    loss = reference.soft_alignment(
        IMAGE, TEXT, 2.0, np.array([True, True]), teacher_temperature=0.5, soft_weight=0.25
    )
    chex.assert_trees_all_close(loss, expected, rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_info_nce_is_torchs_cross_entropy(smoothing: float):
    import torch
    from torch.nn.functional import cross_entropy

    image, text = embeddings(40, 16)
    logits = 20.0 * torch.tensor(image) @ torch.tensor(text).T
    labels = torch.arange(40)
    expected = sum(cross_entropy(x, labels, label_smoothing=smoothing) for x in (logits, logits.T))
    loss = reference.info_nce(image, text, 20.0, label_smoothing=smoothing)
    chex.assert_trees_all_close(float(loss), float(expected) / 2, rtol=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("target", ["swapped_rows", "plain"])
def test_soft_alignment_is_torchs_cross_entropy_with_probabilities(target: str):
    import torch
    from torch.nn.functional import cross_entropy

    image, text = embeddings(40, 16)
    unaligned = half(40)
    logits = 20.0 * torch.tensor(image) @ torch.tensor(text).T
    of_images, of_texts = logits.softmax(1), logits.T.softmax(1)
    if target == "swapped_rows":
        of_images, of_texts = of_texts, of_images
    aligned = ~torch.tensor(unaligned)
    of_images[aligned] = of_texts[aligned] = torch.eye(40)[aligned]
    expected = cross_entropy(logits, of_images) + cross_entropy(logits.T, of_texts)
    loss = reference.soft_alignment(image, text, 20.0, unaligned, target=target)
    chex.assert_trees_all_close(float(loss), float(expected) / 2, rtol=1e-5)


def test_soft_targets_are_rows_of_the_two_softmaxes():
    logits = jnp.asarray(unit(np.random.default_rng(0).normal(size=(5, 5))))
    plain, swapped = (reference.soft_targets(logits, t) for t in ("plain", "swapped_rows"))
    chex.assert_trees_all_close(plain[0].sum(1), np.ones(5), rtol=1e-6)
    chex.assert_trees_all_equal(plain, swapped[::-1])
    chex.assert_trees_all_close(plain[1][3], softmax(*np.asarray(logits[:, 3])), rtol=1e-6)
