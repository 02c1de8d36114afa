"""Colours: red, green and blue in 0..1."""

RGB = tuple[float, float, float]


def shade(colour: RGB, factor: float) -> RGB:
    """The colour made darker (factor < 1) or lighter."""
    r, g, b = colour
    return (min(1.0, r * factor), min(1.0, g * factor), min(1.0, b * factor))


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """`share` of b in a."""
    return tuple(x + share * (y - x) for x, y in zip(a, b, strict=True))
