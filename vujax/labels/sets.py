"""The label sets of a catalogue: files by their names."""

from pathlib import Path

from vujax.catalog.vectors import NAME

FOLDER = "labels"
SUFFIX = ".jsonl"


def check_name(name: object) -> str:
    """The name, if it can be a set's.

    Raises:
      ValueError: it has other characters than letters, digits, - and _, or is too long.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"{str(name)[:60]!r} is no name of a label set: those have letters, digits, - and _, "
            "at most 48"
        )
    return name


def path(root: Path, name: str) -> Path:
    """The file of a set.

    Raises:
      ValueError: it cannot be called so.
    """
    return Path(root) / FOLDER / f"{check_name(name)}{SUFFIX}"


def names(root: Path) -> list[str]:
    """The sets that there are, in order."""
    found = (Path(root) / FOLDER).glob(f"*{SUFFIX}")
    return sorted(file.stem for file in found if NAME.fullmatch(file.stem) and file.is_file())


def existing(root: Path, name: str) -> Path:
    """The file of a set that is there.

    Raises:
      FileNotFoundError: it is not.
      ValueError: it cannot be called so.
    """
    file = path(root, name)
    if not file.is_file():
        there = ", ".join(names(root)) or "none yet"
        raise FileNotFoundError(f"{root} has no label set {name}: there is {there}")
    return file
