"""Warnings of settings that add nothing, and the least share of soft rows."""

import numpy as np
import pytest

from tests.configs import load
from vujax import methods
from vujax.methods.distill_checks import (
    compute_min_share,
    find_max_temperature,
    review_settings,
)

# Least share of soft rows by the teacher's temperature, see docs/explanation/psd.md.
TABLE = {1.0: 1.0, 0.9: 0.97, 0.7: 0.91, 0.5: 0.83, 0.35: 0.76, 0.25: 0.70, 0.1: 0.60}


def review(**settings) -> list[str]:
    return review_settings(methods.build_method(None, name="distill", **settings))


@pytest.mark.parametrize(("temperature", "share"), TABLE.items())
def test_least_share(temperature: float, share: float):
    assert compute_min_share(temperature) == pytest.approx(share, abs=0.005)


@pytest.mark.parametrize("temperature", [0.35, 0.7])
def test_a_belief_survives_above_the_least_share_only(temperature: float):
    def settle(share: float) -> float:
        """Return the belief in the true caption after many steps from a high one."""
        x = 0.95
        for _ in range(3000):
            powers = np.power([x, 1 - x], 1 / temperature)
            x = share * powers[0] / powers.sum()
        return x

    least = compute_min_share(temperature)
    assert settle(least - 0.01) < 0.01
    assert settle(least + 0.01) > 0.5


def test_highest_temperature_is_the_inverse():
    assert find_max_temperature(0.83) == pytest.approx(0.5, abs=0.01)
    assert find_max_temperature(0.4) is None


def test_what_cannot_help_is_named_with_the_remedy():
    (nothing,) = review(target="plain")
    assert "only shorten CLIP's gradient: set method.dropout to 0.1" in nothing
    (below,) = review(target="plain", teacher_temperature=0.5, unaligned_end=0.7)
    assert "share of 0.7 is below 0.83" in below
    assert "set method.unaligned_end to 0.83 or more" in below
    assert "method.teacher_temperature to 0.24 or lower" in below
    (mixed,) = review(target="plain", teacher="ema", unaligned_end=1.0, soft_weight=0.4)
    assert "share of 0.4 is below 1.00" in mixed and "or lower" not in mixed


def test_what_can_help_is_not():
    assert not review(target="plain", teacher_temperature=0.5, unaligned_end=0.9)
    assert not review(unaligned_end=0.0, target="plain")
    assert not review(target="half_columns", teacher_temperature=0.5, unaligned_end=0.7)
    settings = load("distill").method.to_dict()
    assert not review_settings(methods.build_method(None, **settings))


def test_a_temperature_must_be_positive():
    with pytest.raises(ValueError, match="teacher_temperature must be positive, got 0"):
        compute_min_share(0)
