"""CSV and TSV tables with an image path and its captions in each row.

CSV is read strictly: a field may be quoted, and a quote inside a quoted field is doubled. TSV is
read without quoting: a quote is a character as any other, so that a stray one cannot join rows.
"""

import csv
import errno
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vujax.data.records import BadSample, Record, check_encoding, decode_text
from vujax.data.sources.files import StampedFile, check_unpacked, expand_patterns

TABS = (".tsv", ".tab", ".txt")
LINE_ENDS = ("\n", "\r")
BOM = b"\xef\xbb\xbf"
UNUSABLE_PATHS = (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ)


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
        quoting: bool | None = None,
        line_ends: bool = False,
        encoding: str = "utf-8",
    ) -> None:
        """Index the start of each row.

        Args:
          path: table with a header line.
          image: column of image paths.
          caption: column or columns of captions; None: no captions.
          key: column that names the rows; None: the image path.
          root: folder that the paths are relative to and must stay in; None: the table's.
          delimiter: None: a tab for .tsv, .tab and .txt, else a comma.
          quoting: whether fields may be quoted; None: unless the delimiter is a tab.
          line_ends: whether a field may hold line ends; they are an error by default, because a
            forgotten quote makes one field of several rows.
          encoding: of the text, an extension of ASCII.

        Raises:
          FileNotFoundError: the table does not exist.
          ValueError: a column is missing or occurs twice, the table cannot be parsed or is
            compressed, or the encoding is unknown.
        """
        self._file = StampedFile.stamp(expand_patterns(path)[0])
        check_unpacked(self._file, "a CSV or TSV table")
        self._delimiter = delimiter or ("\t" if path.lower().endswith(TABS) else ",")
        self._quoting = self._delimiter != "\t" if quoting is None else quoting
        self._line_ends, self._encoding = line_ends, check_encoding(encoding)
        self._root = os.path.normpath(root or Path(path).parent)
        self._image, self._key = image, key or image
        self._captions = [caption] if isinstance(caption, str) else list(caption or [])
        self._columns: list[str] = []
        self._spans = self._index()
        for column in [self._image, self._key, *self._captions]:
            self._check_column(path, column)

    def _check_column(self, path: str, column: str) -> None:
        if self._columns.count(column) > 1:
            raise ValueError(f"{path} has two columns '{column}'; rename one of them")
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
            for row in self._rows(lines):
                if not spans and not self._columns:
                    self._columns = self._header(row)
                elif row:  # skip blank lines
                    spans.append((end, lines.position - end))
                end = lines.position
        return np.array(spans, np.int64).reshape(-1, 2)

    def _header(self, row: list[str]) -> list[str]:
        try:
            return [name.encode("latin-1").decode(self._encoding) for name in row]
        except UnicodeDecodeError as error:
            raise ValueError(
                f"the header of {self._file.path} is not {self._encoding} ({error}); set encoding"
            ) from None

    def _rows(self, lines: "_Lines") -> Iterator[list[str]]:
        """Parse the rows; raise the errors that concern all of the table."""
        first = 1
        try:
            for row in self._parse(lines):
                if self._quoting and not self._line_ends and _has_line_end(row):
                    raise ValueError(
                        f"{self._file.path}, line {first}: a quoted field ends on another line; "
                        "close its quote, or set line_ends=True if captions have line ends"
                    )
                yield row
                first = lines.number + 1
        except csv.Error as error:
            raise ValueError(
                f"{self._file.path}, line {first}: {error}; repair it, or set quoting=False if "
                "quotes are plain characters"
            ) from None

    def _parse(self, lines: Iterator[str]) -> Iterator[list[str]]:
        if self._quoting:
            return csv.reader(lines, delimiter=self._delimiter, strict=True)
        ends = (line.removesuffix("\n").removesuffix("\r") for line in lines)
        return (line.split(self._delimiter) if line else [] for line in ends)

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        start, size = self._spans[index].tolist()
        where = f"row {index + 1} of {self._file.path}"
        text = decode_text(self._file.read(start, size), self._encoding, where)
        values = next(iter(self._parse(io.StringIO(text, newline="\n"))))
        if len(values) != len(self._columns):
            raise BadSample(f"{where} has {len(values)} columns, not {len(self._columns)}")
        if not self._line_ends and _has_line_end(values):
            raise BadSample(f"{where} has a line end in a field (option line_ends)")
        fields = dict(zip(self._columns, values, strict=True))
        return Record(
            key=fields[self._key],
            image=read_inside(self._root, fields[self._image], where),
            captions=[fields[column] for column in self._captions],
            label=None,
            fields=fields,
        )


def _has_line_end(values: list[str]) -> bool:
    return any(end in value for value in values for end in LINE_ENDS)


class _Lines:
    """Iterator over the lines of a binary file, each byte a character (all of CSV is ASCII).

    Attributes:
      number: lines read so far.
      position: bytes read so far.
    """

    def __init__(self, handle: Iterator[bytes]) -> None:
        self._handle, self.position, self.number = handle, 0, 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._handle)
        self.position += len(line)
        self.number += 1
        return (line.removeprefix(BOM) if self.number == 1 else line).decode("latin-1")


def read_inside(root: str, path: str, where: str) -> bytes:
    """Read the file at `path`, relative to `root` or absolute, which must lie inside `root`.

    Only the name is checked: links inside `root` belong to its owner and are followed.

    Raises:
      BadSample: the file does not exist or lies outside, or no file can have that name.
    """
    full = os.path.normpath(Path(root) / path)
    if not Path(full).is_relative_to(root):
        raise BadSample(f"{where}: the path '{path}' leads out of {root} (option root)")
    try:
        return Path(full).read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise BadSample(f"{where}: {full} does not exist (option root)") from None
    except ValueError as error:  # NUL, or characters without a byte
        raise BadSample(f"{where}: {path[:80]!r} is not a path ({error})") from None
    except OSError as error:
        if error.errno not in UNUSABLE_PATHS:
            raise
        raise BadSample(f"{where}: {path[:80]!r} cannot be opened ({error.strerror})") from None
