"""Numbers as people read them."""

from collections.abc import Iterable
from math import floor, isfinite, log10


def number(value: float) -> str:
    """About four digits: 0.0000123 -> '1.23e-5', 12345.6 -> '12,346', 2.0 -> '2'."""
    if not isfinite(value):
        return "not finite"
    if value and abs(value) < 1e-3:
        return f"{value:.3g}".replace("e-0", "e-")
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def percent(value: float) -> str:
    """A share of 1: 0.1234 -> '12.3%'."""
    return f"{100 * value:.1f}%" if isfinite(value) else "not finite"


def is_share(name: str, values: Iterable[float]) -> bool:
    """Whether a score is a share of 1, to be shown in percent: all values in 0..1, and no rank."""
    return "rank" not in name and all(0 <= value <= 1 for value in values)


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """About `wanted` round numbers within [low, high], for an axis."""
    rough = (high - low) / wanted
    power = 10.0 ** floor(log10(rough))
    step = min((m * power for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - rough))
    first = -floor(-low / step - 1e-9)  # rounded up
    count = floor(high / step + 1e-9) - first + 1
    return [round(step * (first + i), 12) for i in range(count)]
