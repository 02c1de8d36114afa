"""Configuration values checked: one sentence that names the mistake and what is known."""

from collections.abc import Iterable


def check_known(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises ValueError when a name of `given` is not an option of `where`."""
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(
            f"Unknown option {where}.{unknown[0]}: the options of {where} are {', '.join(known)}."
        )


def check_choice(where: str, value: str, known: Iterable[str]) -> None:
    """Raises ValueError when `value` is none of `known`."""
    if value not in known:
        raise ValueError(f"Unknown {where} {value!r}: give one of {', '.join(known)}.")


def check_divides(name: str, value: int, divisor_name: str, divisor: int) -> None:
    """Raises ValueError unless `value` is a positive multiple of `divisor`."""
    if value <= 0 or divisor <= 0 or value % divisor:
        raise ValueError(f"{name} {value} must be a positive multiple of {divisor_name} {divisor}.")


def check_heads(where: str, width: int, heads: int) -> None:
    """Raises ValueError unless the width divides among the heads."""
    check_divides(f"{where}.width", width, f"{where}.heads", heads)
