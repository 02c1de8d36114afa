"""CSV and TSV tables with an image path and its captions in each row."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vujax.data.records import BadSample, Record
from vujax.data.sources.files import StampedFile, expand_patterns

TABS = (".tsv", ".tab", ".txt")


class TableSource:
    """Records of a table; the index has 16 bytes per row, and a row is parsed when it is read.

    Attributes:
      classes: None; name a column with `label_field` of `open_source` to have classes.
    """

    classes = None

    def __init__(
        self,
        path: str,
        *,
        image: str = "image",
        caption: str | Sequence[str] | None = "caption",
        key: str | None = None,
        root: str | None = None,
        delimiter: str | None = None,
    ) -> None:
        """Index the start of each row.

        Args:
          path: table in UTF-8, with a header line.
          image: column of image paths.
          caption: column or columns of captions; None: no captions.
          key: column that names the rows; None: the image path.
          root: folder that the paths are relative to and must stay in; None: the table's.
          delimiter: None: a tab for .tsv, .tab and .txt, else a comma.

        Raises:
          FileNotFoundError: the table does not exist.
          ValueError: a column is missing, or the table cannot be parsed.
        """
        self._file = StampedFile.stamp(expand_patterns(path)[0])
        self._delimiter = delimiter or ("\t" if path.lower().endswith(TABS) else ",")
        self._root = os.path.normpath(root or Path(path).parent)
        self._image, self._key = image, key or image
        self._captions = [caption] if isinstance(caption, str) else list(caption or [])
        self._columns: list[str] = []
        self._spans = self._index()
        for column in [self._image, self._key, *self._captions]:
            if column not in self._columns:
                raise ValueError(
                    f"{path} has no column '{column}': it has {', '.join(self._columns)} "
                    "(options image, caption, key; delimiter if these look wrong)"
                )

    def _index(self) -> np.ndarray:
        """Return the spans of the rows, int64 `[n 2]`; sets the names of the columns."""
        spans, end = [], 0
        with Path(self._file.path).open("rb") as handle:
            lines = _Lines(handle)
            rows = csv.reader(lines, delimiter=self._delimiter)
            try:
                self._columns = next(rows, [])
                end = lines.position
                for row in rows:
                    if row:  # skip blank lines
                        spans.append((end, lines.position - end))
                    end = lines.position
            except (csv.Error, UnicodeDecodeError) as error:
                raise ValueError(f"{self._file.path}, after byte {end}: {error}") from None
        return np.array(spans, np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        start, size = self._spans[index].tolist()
        text = self._file.read(start, size).decode()
        values = next(csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter))
        where = f"row {index + 1} of {self._file.path}"
        if len(values) != len(self._columns):
            raise BadSample(f"{where} has {len(values)} columns, not {len(self._columns)}")
        fields = dict(zip(self._columns, values, strict=True))
        return Record(
            key=fields[self._key],
            image=read_inside(self._root, fields[self._image], where),
            captions=[fields[column] for column in self._captions],
            label=None,
            fields=fields,
        )


class _Lines:
    """Iterator over decoded lines of a binary file, with the number of bytes read so far."""

    def __init__(self, handle: Iterator[bytes]) -> None:
        self._handle, self.position = handle, 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._handle)
        encoding = "utf-8" if self.position else "utf-8-sig"
        self.position += len(line)
        return line.decode(encoding)


def read_inside(root: str, path: str, where: str) -> bytes:
    """Read the file at `path`, relative to `root` or absolute, which must lie inside `root`.

    Only the name is checked: links inside `root` belong to its owner and are followed.

    Raises:
      BadSample: the file does not exist, or lies outside.
    """
    full = os.path.normpath(Path(root) / path)
    if not Path(full).is_relative_to(root):
        raise BadSample(f"{where}: the path '{path}' leads out of {root} (option root)")
    try:
        return Path(full).read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise BadSample(f"{where}: {full} does not exist (option root)") from None
