"""Warnings of PSD settings that provably add nothing.

With plain targets of the model itself, a belief x in the true caption of a wrong pair, against
1 - x in its wrong label, survives training only if

    x = w x^(1/T) / (x^(1/T) + (1 - x)^(1/T))

has a solution above 0, for the share w of soft rows and the teacher's temperature T. The analysis
is ours (docs/explanation/psd.md). It holds for plain targets only: own columns weaken the wrong
label by themselves, and swapped rows do not keep a row's own belief.
"""

from typing import Protocol

import numpy as np

BELIEFS = np.linspace(0.0, 1.0, 20_002)[1:]
TEMPERATURES = np.linspace(0.01, 0.99, 99)


class Settings(Protocol):
    """The fields of `vujax.methods.distill.Distill` that are read here."""

    target: str
    teacher: str
    teacher_temperature: float
    soft_weight: float
    unaligned_start: float
    unaligned_end: float
    dropout: float
    has_soft_targets: bool


def compute_min_share(temperature: float) -> float:
    """Compute the least share of soft rows at which a belief survives a wrong label.

    Args:
      temperature: of the teacher, above 0; from 1 on no share below 1 is enough.

    Returns:
      w in (0.5, 1].

    Raises:
      ValueError: the temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"method.teacher_temperature must be positive, got {temperature}")
    if temperature >= 1:
        return 1.0
    # w = x (x^a + (1 - x)^a) / x^a with a = 1 / T, in terms of the odds so that no power overflows.
    log_odds = np.log1p(-BELIEFS[:-1]) - np.log(BELIEFS[:-1])
    with np.errstate(over="ignore"):
        shares = BELIEFS[:-1] * (1 + np.exp(log_odds / temperature))
    return float(min(shares.min(), 1.0))


def find_max_temperature(share: float) -> float | None:
    """Find the highest temperature, in hundredths, whose least share is at most `share`."""
    enough = [t for t in TEMPERATURES if compute_min_share(t) <= share]
    return round(float(max(enough)), 2) if enough else None


def review_settings(method: Settings) -> list[str]:
    """Return a sentence for each setting that adds nothing, with the value that would do."""
    if not method.has_soft_targets or method.target != "plain":
        return []
    temperature, is_self = method.teacher_temperature, method.teacher == "self"
    if is_self and temperature == 1 and not method.dropout:
        return [
            "plain targets of the model itself at method.teacher_temperature 1 without dropout "
            "only shorten CLIP's gradient: set method.dropout to 0.1, method.target to "
            "half_columns and method.teacher_temperature to 0.5"
        ]
    share = method.soft_weight * max(method.unaligned_start, method.unaligned_end)
    least = compute_min_share(temperature)
    if share >= least:
        return []
    fit, enough = find_max_temperature(share), np.ceil(100 * least) / 100
    cooler = "" if fit is None else f", or method.teacher_temperature to {fit} or lower"
    return [
        f"a soft share of {share:.3g} is below {least:.2f}, the least at which a belief in the "
        f"true caption survives a wrong one at method.teacher_temperature {temperature}: set "
        f"method.unaligned_end to {enough:.2f} or more with soft_weight 1{cooler}"
    ]
