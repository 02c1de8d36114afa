"""Ids of films, shots, scenes and keyframes: `film`, `film/s0012`, `film/c003`, `film/s0012/1`.

The id of a film is the slug of its path and a fingerprint of its bytes. Shots and scenes of a film,
and keyframes of a shot, are counted from 0.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MIB = 1 << 20
MAX_SLUG_BYTES = 120  # file systems allow names of 255 bytes
NO_FINGERPRINT = "0" * 8  # of a file that is not readable
ID_PATTERN = re.compile(
    r"(?P<film>[\w-]+)(?:/(?:c(?P<scene>\d+)|s(?P<shot>\d+)(?:/(?P<keyframe>\d+))?))?"
)


@dataclass(frozen=True)
class Id:
    """Id of a film, of one of its shots or scenes, or of a keyframe; `str` gives the text.

    Attributes:
      film: id of the film.
      shot: number of the shot, or None.
      scene: number of the scene, or None.
      keyframe: number of the keyframe in its shot, or None.
    """

    film: str
    shot: int | None = None
    scene: int | None = None
    keyframe: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an id; leading zeros of numbers are optional.

        Raises:
          ValueError: the text is not an id.
        """
        match = ID_PATTERN.fullmatch(text)
        if not match:
            raise ValueError(
                f"{text!r} is not an id; expected FILM, FILM/s0012 (shot), FILM/c003 (scene) or "
                "FILM/s0012/1 (keyframe)"
            )
        numbers = {key: match[key] for key in ("shot", "scene", "keyframe")}
        return cls(match["film"], **{k: None if v is None else int(v) for k, v in numbers.items()})

    @property
    def level(self) -> str:
        """Level of the id: 'film', 'scene', 'shot' or 'frame'."""
        if self.scene is not None:
            return "scene"
        if self.shot is None:
            return "film"
        return "shot" if self.keyframe is None else "frame"

    def __str__(self) -> str:
        if self.scene is not None:
            return f"{self.film}/c{self.scene:03d}"
        if self.shot is None:
            return self.film
        shot = f"{self.film}/s{self.shot:04d}"
        return shot if self.keyframe is None else f"{shot}/{self.keyframe}"


def make_slug(path: str) -> str:
    """Return a relative path without its suffix as a word of letters, digits, - and _."""
    stem = path[: len(path) - len(Path(path).suffix)]
    text = unicodedata.normalize("NFKC", stem).lower()
    word = re.sub(r"[^\w]+", "-", text).strip("-")
    return word.encode()[:MAX_SLUG_BYTES].decode(errors="ignore").strip("-") or "film"


def make_slugs(paths: list[str]) -> dict[str, str]:
    """Return a unique slug per path; equal slugs get the hash of their path."""
    plain = {path: make_slug(path) for path in paths}
    shared: dict[str, int] = {}
    for word in plain.values():
        shared[word] = shared.get(word, 0) + 1
    return {
        path: word if shared[word] == 1 else _make_unique_slug(path) for path, word in plain.items()
    }


def _make_unique_slug(path: str) -> str:
    return f"{make_slug(path)}-{_hash(path.encode())[:6]}"


def is_id_of_path(film: str, path: str) -> bool:
    """Return True if `film` may be, or may have been, the id of the film at `path`."""
    word, _, digits = film.rpartition("-")
    return word in (make_slug(path), _make_unique_slug(path)) and len(digits) == 8


def compute_fingerprint(path: Path) -> str:
    """Return 8 hexadecimal digits that hash a file's size and its first and last MiB.

    Raises:
      OSError: the file is not readable.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        first = file.read(MIB)
        file.seek(max(0, size - MIB))
        return _hash(size.to_bytes(8, "little") + first + file.read(MIB))[:8]


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
