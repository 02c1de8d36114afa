"""Search for film files in folders, with a stable slug for each film."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vujax.catalog import schema
from vujax.catalog.ids import make_slugs
from vujax.utils.io import check_local
from vujax.video.probe import quote_path

FILM_SUFFIXES = frozenset(
    (".3gp", ".asf", ".avi", ".dv", ".f4v", ".flv", ".gxf", ".h264", ".hevc", ".ivf", ".m2ts")
    + (".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv")
    + (".rm", ".ts", ".vob", ".webm", ".wmv", ".y4m")
)


@dataclass(frozen=True)
class Source:
    r"""A film file.

    Attributes:
      folder: root folder of the run.
      path: path relative to `folder`, with /; bytes that are not UTF-8 are written \xNN.
      file: path to open.
      slug: first part of the film's id, unique in the folder.
      bytes: size of the file in bytes.
      refused: reason for not reading the file; '' for a file that is read.
    """

    folder: str
    path: str
    file: Path
    slug: str
    bytes: int
    refused: str = ""


@dataclass(frozen=True)
class SourceListing:
    """Result of a search for films.

    Attributes:
      sources: films in order of their path.
      num_links: number of folders that are links, which are not entered.
      num_others: number of files without a film's suffix.
      unreadable: paths of folders without read permission, relative like those of the sources.
    """

    sources: tuple[Source, ...]
    num_links: int = 0
    num_others: int = 0
    unreadable: tuple[str, ...] = ()


def find_films(paths: Sequence[Path], leave_out: Path | None = None) -> SourceListing:
    """Find the films in folders, and return them with the files given one by one.

    Names that start with a dot are skipped. Links to folders are not entered, and a link in a
    folder to a file outside of it is refused; links in `paths` are followed.

    Args:
      paths: folders and files. The paths of several are relative to their common parent folder.
      leave_out: folder that is not entered, such as the catalog.

    Raises:
      FileNotFoundError: one of `paths` does not exist.
      ValueError: one of `paths` is the address of a bucket.
    """
    for path in paths:
        check_local(path)
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
    unreadable = tuple(sorted(_text(folder.relative_to(root)) for folder in walk.unreadable))
    return SourceListing(tuple(sources), walk.num_links, walk.num_others, unreadable)


class _Walk:
    def __init__(self, leave_out: Path | None) -> None:
        self.num_links = self.num_others = 0
        self.unreadable: set[Path] = set()
        self._leave_out = leave_out

    def folder(self, top: Path) -> Iterator[tuple[Path, str]]:
        """Yield the film files under a folder, each with the reason for refusing it, or ''."""
        for name, folders, files in os.walk(top, onerror=self._note_unreadable):
            here = Path(name)
            self.num_links += sum(_is_link(here / folder) for folder in folders)
            folders[:] = [
                f for f in folders if not f.startswith(".") and here / f != self._leave_out
            ]
            for file in files:
                if file.startswith("."):
                    continue
                if Path(file).suffix.lower() not in FILM_SUFFIXES:
                    self.num_others += 1
                    continue
                yield here / file, _refusal(here / file, top)

    def _note_unreadable(self, error: OSError) -> None:
        self.unreadable.add(Path(error.filename))


def _refusal(path: Path, inside: Path) -> str:
    if not _is_link(path) or Path(os.path.realpath(path)).is_relative_to(inside):
        return ""  # also for a link to itself, which Path.resolve refuses
    return "it is a link that leads out of the folder; give the film itself"


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError:  # in a folder that can be listed but not entered: its film gets a row
        return False


def _text(path: Path) -> str:
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # deleted, or a broken link: its film gets a row with the reason
        return 0


def build_embed_source(root: Path, film: str) -> Source:
    """Return the unit of embedding work for one film of a catalog."""
    path = schema.part_path(root, "keyframes", film)
    return Source(str(root), film, path, film, path.stat().st_size if path.exists() else 0)
