"""Names and times in text formats, where the end of a line means something."""


def one_line(text: str) -> str:
    """Text without line ends and other control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def clock_ms(seconds: float) -> str:
    """HH:MM:SS.mmm, as WebVTT wants it."""
    ms = max(0, round(seconds * 1000))
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
