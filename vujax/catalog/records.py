"""ArrayRecord files: encoded images and sound, read by record number."""

from pathlib import Path
from types import TracebackType
from typing import Self

from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

# group_size 1: each record is read on its own. JPEG and FLAC are compressed already.
WRITER_OPTIONS = "group_size:1,uncompressed"


class RecordWriter:
    """Writer of records, one after the other.

    Attributes:
      count: number of records so far, which is the number of the next one.
    """

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._writer = ArrayRecordWriter(str(path), WRITER_OPTIONS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def write(self, data: bytes) -> int:
        """Write a record and return its number."""
        self._writer.write(data)
        self.count += 1
        return self.count - 1


class RecordReader:
    """Random access to the records of a file."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
          FileNotFoundError: the file does not exist.
          ValueError: the file is not a complete ArrayRecord file.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; ingest its film again")
        self._path = path
        self._reader = ArrayRecordReader(str(path), "readahead_buffer_size:0")
        if not self._reader.ok():
            raise self._damaged("it is cut short or altered")

    def __len__(self) -> int:
        return self._reader.num_records()

    def __getitem__(self, number: int) -> bytes:
        if not 0 <= number < len(self):
            raise IndexError(f"{self._path} has {len(self)} records, no number {number}")
        try:
            return self._reader.read([number])[0]
        except (RuntimeError, ValueError, IndexError) as error:
            raise self._damaged(str(error)) from None

    def _damaged(self, reason: str) -> ValueError:
        return ValueError(f"{self._path} is damaged ({reason}); ingest its film again")
