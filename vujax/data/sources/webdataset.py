"""WebDataset shards: tar files whose adjacent members `key.jpg`, `key.txt` ... are one sample.

The shards of img2dataset are such files too. A sample is located by the span of bytes of its
members, so that the index has 16 bytes per sample and loading a sample is one read.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from vujax.data.records import IMAGE_EXTENSIONS, BadSample, Record, check_encoding, decode_text
from vujax.data.sources.files import (
    StampedFile,
    check_unpacked,
    expand_patterns,
    load_or_build_index,
)
from vujax.data.sources.tar import Member, TarError, read_members

SIBLINGS = (".parquet", "_stats.json")  # files that img2dataset writes beside its shards

TRUNCATED = ("error", "keep")

LABEL = re.compile(rb"\s*(-?[0-9]{1,18})\s*")


class WebDatasetSource:
    """Records of tar shards, in the order of the shards.

    Attributes:
      classes: as given, else None.
      lost: damaged shards with the position of the damage, if `truncated` is 'keep'.
    """

    def __init__(
        self,
        path: str | Sequence[str],
        *,
        image: str | None = None,
        caption_field: str | None = None,
        split_lines: bool = False,
        classes: str | Sequence[str] | None = None,
        encoding: str = "utf-8",
        truncated: str = "error",
        index_dir: str | None = None,
    ) -> None:
        """Index all samples: read every header, or an index cached by an earlier scan.

        Args:
          path: shards; one or several globs or brace patterns.
          image: extension of the image, for samples with several; None: the only one of
            IMAGE_EXTENSIONS.
          caption_field: JSON field of the caption or a list of captions; None: the .txt.
          split_lines: whether each line of the .txt is a caption of its own.
          classes: names in the order of the .cls labels, or a JSON file that lists them.
          encoding: of the .txt.
          truncated: 'error', or 'keep' to use the complete samples before the damage.
          index_dir: folder of cached indexes, so that a large data set is scanned once.

        Raises:
          FileNotFoundError: a pattern matches no file.
          ValueError: a shard is truncated, damaged or compressed, the members of a sample are not
            adjacent, or the encoding is unknown.
        """
        if truncated not in TRUNCATED:
            raise ValueError(
                f"unknown truncated '{truncated}'; expected one of: {', '.join(TRUNCATED)}"
            )
        self._caption_field, self._split_lines = caption_field, split_lines
        self._image, self._encoding = image, check_encoding(encoding)
        self._truncated = truncated
        self.classes = read_classes(classes)
        self.lost: dict[str, str] = {}
        paths = expand_patterns(path)
        # Siblings alone are no shards: they are kept then, and named as what they are.
        shards = [p for p in paths if not p.endswith(SIBLINGS)] or paths
        self._files = [StampedFile.stamp(p) for p in shards]
        tables = [self._index(file, index_dir) for file in self._files]
        self._spans = np.concatenate([np.zeros((0, 2), np.int64), *tables])
        self._first = np.cumsum([0] + [len(table) for table in tables])

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        file = self._files[int(np.searchsorted(self._first, index, side="right")) - 1]
        start, size = self._spans[index].tolist()
        key, parts = _read(file, start, size)
        where = f"sample '{key}' of {file.path}"
        fields = _json(parts.get("json", b"{}"), where)
        return Record(
            key=key,
            image=parts[self._image_name(parts, where)],
            captions=self._captions(parts, fields, where),
            label=self._label(parts.get("cls"), where),
            fields=fields,
        )

    def _image_name(self, parts: dict[str, bytes], where: str) -> str:
        wanted = IMAGE_EXTENSIONS if self._image is None else (self._image,)
        names = [name for name in wanted if name in parts]
        if len(names) == 1:
            return names[0]
        if names:
            found = " and ".join(f".{name}" for name in names)
            raise BadSample(f"{where} has several images, {found} (option image)")
        found = ", ".join(f".{extension}" for extension in parts)
        kind = "image" if self._image is None else f".{self._image}"
        raise BadSample(f"{where} has no {kind}, only {found}")

    def _captions(self, parts: dict[str, bytes], fields: dict[str, Any], where: str) -> list[str]:
        if self._caption_field is None:
            if "txt" not in parts:
                return []
            text = decode_text(parts["txt"], self._encoding, f"{where}: its .txt").strip()
            if self._split_lines:
                return [line.strip() for line in text.split("\n") if line.strip()]
            return [text]
        if self._caption_field not in fields:
            raise BadSample(
                f"{where} has no JSON field '{self._caption_field}' (caption_field): "
                f"it has {sorted(fields)}"
            )
        value = fields[self._caption_field]
        captions = value if isinstance(value, list) else [value]
        return [
            _caption(caption, f"{where}: its JSON field '{self._caption_field}'")
            for caption in captions
            if caption is not None
        ]

    def _label(self, text: bytes | None, where: str) -> int | None:
        if text is None:
            return None
        found = LABEL.fullmatch(text)
        if found is None:
            raise BadSample(f"{where}: its .cls is not a whole number: {text[:20]!r}")
        label = int(found[1])
        if self.classes is not None and not 0 <= label < len(self.classes):
            raise BadSample(f"{where}: label {label} has no name among {len(self.classes)} classes")
        return label

    def _index(self, file: StampedFile, index_dir: str | None) -> np.ndarray:
        """Return the start and the number of bytes of each sample, int64 `[n 2]`."""
        spans: list[tuple[int, int]] = []

        def scan(file: StampedFile) -> np.ndarray:
            spans.extend(_samples(file))
            return _table(spans)

        try:
            return load_or_build_index(file, scan, index_dir)
        except TarError as error:  # the index of a damaged file is not cached
            if error.offset == 0:
                check_unpacked(file, "a tar shard")
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
    """Return class names as given, or read them from a JSON file with a list."""
    if isinstance(classes, str):
        listed = json.loads(Path(classes).read_text("utf-8"))
        if not isinstance(listed, list):
            raise ValueError(f"{classes} must be a JSON list of class names")
        classes = listed
    return None if classes is None else tuple(map(str, classes))


def split_name(name: str) -> tuple[str, str]:
    """Split 'a/b.jpg' into 'a/b' and 'jpg', at the first dot of the last component."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return f"{folder}{slash}{stem}", extension.lower()


def _named(archive: Iterator[Member]) -> Iterator[tuple[str, str, Member]]:
    """Yield `(key, extension, member)`, without hidden files and files without extension."""
    for member in archive:
        key, extension = split_name(member.name)
        if extension and not key.endswith("/") and key:
            yield key, extension, member


def _samples(file: StampedFile) -> Iterator[tuple[int, int]]:
    """Yield `(start, size)` of each run of members with one key.

    In a damaged archive the last run may lack members and is not yielded.
    """
    seen: set[str] = set()
    last, start, end = None, 0, 0
    for key, _, member in _named(read_members(file.read, file.size)):
        if key != last:
            if key in seen:
                raise ValueError(
                    f"{file.path} at byte {member.start}: key '{key}' comes back after other "
                    "samples, but the members of a sample must be adjacent: pack it sorted by name"
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
    """Return the key and the contents of the members by extension."""
    span = file.read(start, size)
    archive = read_members(lambda offset, n: span[offset : offset + n], len(span), whole=False)
    found = list(_named(archive))
    key = found[0][0]
    twice = [name for name, count in Counter(name for _, name, _ in found).items() if count > 1]
    if twice:
        raise BadSample(f"sample '{key}' of {file.path} has two members .{twice[0]}")
    return key, {name: span[m.data : m.data + m.size] for _, name, m in found}


def _caption(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise BadSample(f"{where} is not a text or a list of texts: {str(value)[:40]}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadSample(f"{where} has half a surrogate pair, which is no character") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"field '{twice}' occurs twice")
    return fields


def _json(text: bytes, where: str) -> dict[str, Any]:
    try:
        fields = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise BadSample(f"{where}: its .json cannot be read ({error})") from None
    return fields if isinstance(fields, dict) else {}
