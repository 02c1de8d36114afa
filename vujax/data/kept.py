"""Records that stay in memory after their first reading."""

from vujax.data.records import Record, Source


class Kept:
    """A source whose records are read once by each process, then kept: for small or slow ones.

    What cannot be read is not kept, so it is counted each time.
    """

    def __init__(self, source: Source) -> None:
        self._source, self.classes = source, source.classes
        self._records: dict[int, Record] = {}

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Record:
        if index not in self._records:
            self._records[index] = self._source[index]
        return self._records[index]
