"""Which files of a folder are films."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vujax.catalog.ids import make_slugs
from vujax.video.probe import quote_path

FILM_SUFFIXES = frozenset(
    (".3gp", ".asf", ".avi", ".dv", ".f4v", ".flv", ".gxf", ".h264", ".hevc", ".ivf", ".m2ts")
    + (".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv")
    + (".rm", ".ts", ".vob", ".webm", ".wmv", ".y4m")
)


@dataclass(frozen=True)
class Source:
    r"""A file to read as a film.

    Attributes:
      folder: that the run began in.
      path: in that folder, with /; bytes that are no UTF-8 are written \xNN.
      file: to open.
      slug: first part of the film's id, its own in the folder.
      bytes: size of the file.
      refused: why it is not read; '' for a film that is.
    """

    folder: str
    path: str
    file: Path
    slug: str
    bytes: int
    refused: str = ""


@dataclass(frozen=True)
class SourceListing:
    """What a search for films came upon.

    Attributes:
      sources: the films in order of their path.
      links: folders that are links, which are not entered.
      others: files that are no films by their suffix.
      closed: folders that may not be read, as paths like those of the sources.
    """

    sources: tuple[Source, ...]
    links: int
    others: int
    closed: tuple[str, ...] = ()


def find_films(paths: Sequence[Path], leave_out: Path | None = None) -> SourceListing:
    """The films in folders and those named one by one.

    Names that begin with a dot are left out. Links to folders are not entered, and a link in a
    folder to a file outside of it is refused; links named in `paths` are followed.

    Args:
      paths: folders and files. With several, paths count from the folder that all of them are in.
      leave_out: a folder that is not entered: the catalogue.

    Raises:
      FileNotFoundError: one of `paths` does not exist.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(
                f"{quote_path(path)} does not exist: name folders or video files"
            )
    tops = [path.resolve() for path in paths]
    root = Path(os.path.commonpath([top if top.is_dir() else top.parent for top in tops]))
    walk = _Walk(leave_out and leave_out.resolve())
    files: dict[Path, str] = {}
    for top in tops:
        files |= dict(walk.folder(top)) if top.is_dir() else {top: ""}
    names = {file: _text(file.relative_to(root)) for file in files}
    words = make_slugs(list(names.values()))
    sources = [
        Source(_text(root), name, file, words[name], _size(file), files[file])
        for file, name in sorted(names.items(), key=lambda item: item[1])
    ]
    closed = tuple(sorted(_text(folder.relative_to(root)) for folder in walk.closed))
    return SourceListing(tuple(sources), walk.links, walk.others, closed)


class _Walk:
    def __init__(self, leave_out: Path | None) -> None:
        self.links = self.others = 0
        self.closed: set[Path] = set()
        self._leave_out = leave_out

    def folder(self, top: Path) -> Iterator[tuple[Path, str]]:
        """Film files under a folder, with the reason for which each is refused, if it is."""
        for name, folders, files in os.walk(top, onerror=self._close):
            here = Path(name)
            self.links += sum(_is_link(here / folder) for folder in folders)
            folders[:] = [
                f for f in folders if not f.startswith(".") and here / f != self._leave_out
            ]
            for file in files:
                if file.startswith("."):
                    continue
                if Path(file).suffix.lower() not in FILM_SUFFIXES:
                    self.others += 1
                    continue
                yield here / file, _refusal(here / file, top)

    def _close(self, error: OSError) -> None:
        self.closed.add(Path(error.filename))


def _refusal(path: Path, inside: Path) -> str:
    if not _is_link(path) or Path(os.path.realpath(path)).is_relative_to(inside):
        return ""  # also for a link to itself, of which Path.resolve will not hear
    return "it is a link that leads out of the folder: name the film itself"


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError:  # in a folder that may be listed but not entered: its film gets a row
        return False


def _text(path: Path) -> str:
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # gone, or a link to nowhere: its film gets a row that says so
        return 0
