"""WebDataset shards: tar files whose neighbouring members `key.jpg`, `key.txt` ... are one sample.

Also what img2dataset writes. A sample is found again by the span of bytes that its members fill, so
the index is 16 bytes a sample, and reading one is one read.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from vujax.data.records import BadSample, Record
from vujax.data.span_index import load_or_build
from vujax.data.spans import StampedFile, expand
from vujax.data.tar import Member, TarError, members

IMAGES = ("jpg", "jpeg", "png", "webp", "gif", "bmp")
SIBLINGS = (".parquet", "_stats.json")  # beside img2dataset's shards
TRUNCATED = ("error", "keep")


class WebDatasetSource:
    """Samples of tar shards in the shards' order.

    Attributes:
      classes: as given, else None.
      lost: shards that are damaged, with the place, when `truncated` is 'keep'.
    """

    def __init__(
        self,
        path: str | Sequence[str],
        *,
        caption_field: str | None = None,
        split_lines: bool = False,
        classes: str | Sequence[str] | None = None,
        truncated: str = "error",
        index_dir: str | None = None,
    ) -> None:
        """Finds all samples: reads every header, or `index_dir`'s copy of an earlier scan.

        Args:
          path: shards; globs and braces, one or several.
          caption_field: a JSON field that holds the caption or a list of captions; None: the .txt.
          split_lines: whether each line of the .txt is a caption of its own.
          classes: names in the order of the .cls labels, or a JSON file that lists them.
          truncated: 'error', or 'keep' to use the whole samples before the damage.
          index_dir: folder for the index, so that a large data set is scanned once.

        Raises:
          FileNotFoundError: a pattern matches nothing.
          ValueError: a shard is truncated, damaged, or its samples' members are not neighbours.
        """
        if truncated not in TRUNCATED:
            raise ValueError(f"truncated '{truncated}' is unknown: use one of {TRUNCATED}")
        self._caption_field, self._split_lines = caption_field, split_lines
        self._truncated = truncated
        self.classes = read_classes(classes)
        self.lost: dict[str, str] = {}
        self._files = [StampedFile.of(p) for p in expand(path) if not p.endswith(SIBLINGS)]
        tables = [self._index(file, index_dir) for file in self._files]
        self._spans = np.concatenate([np.zeros((0, 2), np.int64), *tables])
        self._first = np.cumsum([0] + [len(table) for table in tables])

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        file = self._files[int(np.searchsorted(self._first, index, side="right")) - 1]
        key, parts = _read(file, *map(int, self._spans[index]))
        where = f"sample '{key}' of {file.path}"
        name = next((name for name in IMAGES if name in parts), None)
        if name is None:
            found = ", ".join(f".{extension}" for extension in parts)
            raise BadSample(f"{where} has no picture: it holds {found}")
        fields = _json(parts.get("json", b"{}"), where)
        return Record(
            key=key,
            image=parts[name],
            captions=self._captions(parts, fields, where),
            label=self._label(parts.get("cls"), where),
            fields=fields,
        )

    def _captions(self, parts: dict[str, bytes], fields: dict[str, Any], where: str) -> list[str]:
        if self._caption_field is None:
            text = parts.get("txt", b"").decode("utf-8", "replace").strip()
            if self._split_lines:
                return [line.strip() for line in text.split("\n") if line.strip()]
            return [text] if "txt" in parts else []
        if self._caption_field not in fields:
            raise BadSample(
                f"{where} has no JSON field '{self._caption_field}' (caption_field): "
                f"it has {sorted(fields)}"
            )
        value = fields[self._caption_field]
        captions = value if isinstance(value, list) else [value]
        return [str(caption) for caption in captions if caption is not None]

    def _label(self, text: bytes | None, where: str) -> int | None:
        if text is None:
            return None
        try:
            label = int(text)
        except ValueError:
            raise BadSample(f"{where}: its .cls is not a whole number: {text[:20]!r}") from None
        if self.classes is not None and not 0 <= label < len(self.classes):
            raise BadSample(f"{where}: label {label} has no name among {len(self.classes)} classes")
        return label

    def _index(self, file: StampedFile, index_dir: str | None) -> np.ndarray:
        """`[n 2]` int64: where each sample starts and how many bytes it fills."""
        spans: list[tuple[int, int]] = []

        def scan(file: StampedFile) -> np.ndarray:
            spans.extend(_samples(file))
            return _table(spans)

        try:
            return load_or_build(file, scan, index_dir)
        except TarError as error:  # a damaged file's index is not kept
            self._give_up(file, error)
            return _table(spans)

    def _give_up(self, file: StampedFile, error: TarError) -> None:
        if self._truncated == "error":
            raise ValueError(
                f"{file.path} {error}; fetch it again, or set truncated='keep' to use the samples "
                "before that place"
            ) from None
        self.lost[file.path] = str(error)
        logging.warning("%s %s; the samples before that place are used", file.path, error)


def read_classes(classes: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Class names as given, or from a JSON file that holds a list of them."""
    if isinstance(classes, str):
        listed = json.loads(Path(classes).read_text("utf-8"))
        if not isinstance(listed, list):
            raise ValueError(f"{classes} must hold a JSON list of class names")
        classes = listed
    return None if classes is None else tuple(map(str, classes))


def split_name(name: str) -> tuple[str, str]:
    """`('a/b', 'jpg')` of 'a/b.jpg'; the extension is all after the first dot of the last part."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return f"{folder}{slash}{stem}", extension.lower()


def _named(archive: Iterator[Member]) -> Iterator[tuple[str, str, Member]]:
    """`(key, extension, member)`, without hidden files and files that have no extension."""
    for member in archive:
        key, extension = split_name(member.name)
        if extension and not key.endswith("/") and key:
            yield key, extension, member


def _samples(file: StampedFile) -> Iterator[tuple[int, int]]:
    """`(start, size)` of each run of members with one key.

    Where the archive is damaged the last run may lack members and is not given.
    """
    seen: set[str] = set()
    last, start, end = None, 0, 0
    for key, _, member in _named(members(file.read, file.size)):
        if key != last:
            if key in seen:
                raise ValueError(
                    f"{file.path} at byte {member.start}: key '{key}' comes back after other "
                    "samples, but a sample's members must be neighbours: pack it sorted by name"
                )
            if last is not None:
                yield start, end - start
            seen.add(key)
            last, start = key, member.start
        end = member.end
    if last is not None:
        yield start, end - start


def _table(spans: list[tuple[int, int]]) -> np.ndarray:
    return np.array(spans, np.int64).reshape(-1, 2)


def _read(file: StampedFile, start: int, size: int) -> tuple[str, dict[str, bytes]]:
    """The key and the members' contents by extension."""
    span = file.read(start, size)
    archive = members(lambda offset, n: span[offset : offset + n], len(span), whole=False)
    found = list(_named(archive))
    parts = {name: span[m.data : m.data + m.size] for _, name, m in found}
    return found[0][0], parts


def _json(text: bytes, where: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadSample(f"{where}: its .json cannot be read ({error})") from None
    return fields if isinstance(fields, dict) else {}
