"""Arguments of losses that cannot be: one sentence with the loss and the argument."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.cases import embeddings
from vujax.losses import cyclip, info_nce, sigmoid, soft_alignment

UNALIGNED = np.zeros(6, bool)


def case(loss: Callable, **given: Any) -> Callable[[], jax.Array]:
    image, text = embeddings(6, 4)
    options: dict[str, Any] = dict(unaligned=UNALIGNED) if loss is soft_alignment else {}
    options |= dict(bias=-10.0) if loss is sigmoid else {}
    options |= {} if loss is cyclip else dict(scale=20.0)
    names = ("query", "key") if loss is info_nce else ("image", "text")
    return partial(loss, **(dict(zip(names, (image, text), strict=True)) | options | given))


@pytest.mark.parametrize("loss", [soft_alignment, info_nce, sigmoid])
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (dict(scale=0.0), r"scale must be in \(0, inf\), got 0"),
        (dict(scale=-1), r"scale must be in \(0, inf\), got -1"),
        (dict(scale=jnp.float32(math.nan)), r"scale must be in \(0, inf\), got nan"),
        (dict(scale=jnp.ones(6)), r"scale has shape \[6\], expected one number"),
        (dict(tile=0), "tile must be a whole number of at least 1, got 0"),
        (dict(tile=2.0), "tile must be a whole number of at least 1, got 2.0"),
    ],
)
def test_of_every_loss(loss, wrong, reason):
    with pytest.raises(ValueError, match=f"{loss.__name__}: {reason}"):
        case(loss, **wrong)()


@pytest.mark.parametrize(
    ("loss", "wrong", "reason"),
    [
        (soft_alignment, dict(target="swap"), "unknown target 'swap'; expected one of"),
        (
            soft_alignment,
            dict(unaligned=UNALIGNED[:5]),
            r"unaligned is bool \[5\], expected",
        ),
        (soft_alignment, dict(unaligned=np.zeros(6)), r"unaligned is float64 \[6\], expected bool"),
        (soft_alignment, dict(soft_weight=1.5), r"soft_weight must be in \[0, 1\], got 1.5"),
        (soft_alignment, dict(soft_weight=-0.1), r"soft_weight must be in \[0, 1\]"),
        (
            soft_alignment,
            dict(teacher_temperature=0.0),
            r"temperature must be in \(0, inf\)",
        ),
        (soft_alignment, dict(label_smoothing=1.0), r"label_smoothing must be in \[0, 1\), got 1"),
        (soft_alignment, dict(teacher=embeddings(5, 4)), "embeddings have shapes"),
        (info_nce, dict(label_smoothing=-0.1), r"label_smoothing must be in \[0, 1\), got -0.1"),
        (info_nce, dict(key=np.ones((5, 4), np.float32)), r"shapes \[\(6, 4\), \(5, 4\)\]"),
        (
            info_nce,
            dict(key=np.ones((6, 4), int)),
            "dtypes .*int64.*, expected floating-point",
        ),
        (sigmoid, dict(bias=math.inf), r"bias must be in \(-inf, inf\), got inf"),
        (cyclip, dict(in_modal=-1.0), r"in_modal must be in \[0, inf\), got -1"),
    ],
)
def test_of_one_loss(loss, wrong, reason):
    with pytest.raises(ValueError, match=f"{loss.__name__}: .*{reason}"):
        case(loss, **wrong)()


def test_what_is_traced_is_not_looked_at():
    image, text = embeddings(6, 4)
    loss = jax.jit(lambda scale: info_nce(image, text, scale))
    assert np.isfinite(loss(20.0))
    with pytest.raises(ValueError, match=r"scale has shape \[2\]"):
        loss(jnp.ones(2))
