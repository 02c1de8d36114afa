"""Times and names as people read them.

Names and times in text formats, where the end of a line means something.
"""


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def short_clock(seconds: float) -> str:
    """Minutes and seconds with a tenth; hours before them where there are any."""
    tenths = round(seconds * 10)
    sign, tenths = ("-", -tenths) if tenths < 0 else ("", tenths)
    hours, minutes, rest = tenths // 36000, tenths // 600 % 60, tenths % 600 / 10
    return sign + (f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}")


def printable(name: str) -> str:
    """A file's name; quoted when it holds what cannot be seen, such as the end of a line."""
    return name if name.isprintable() else repr(name)


def one_line(text: str) -> str:
    """Text without line ends and other control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def clock_ms(seconds: float) -> str:
    """HH:MM:SS.mmm, as WebVTT wants it."""
    ms = max(0, round(seconds * 1000))
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
