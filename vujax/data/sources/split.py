"""Subsets of a source: hold-out by a hash of a field, and classes from a field.

Both depend on the records alone, so that they do not change when shards are added, split in another
way or read in another order.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from absl import logging

from vujax.data.records import BadSample, Record, Source
from vujax.utils.validation import check_known

SPLITS = ("train", "validation")


class Subset:
    """Some records of a source, optionally with other labels and classes."""

    def __init__(
        self,
        source: Source,
        indices: Sequence[int] | np.ndarray,
        *,
        labels: Sequence[int] | np.ndarray | None = None,
        classes: tuple[str, ...] | None = None,
    ) -> None:
        """Select `indices` of `source`; `labels` has one entry for each of them."""
        self._source = source
        self._indices = np.asarray(indices, np.int64)
        self._labels = None if labels is None else np.asarray(labels, np.int32)
        self.classes = source.classes if labels is None else classes

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        record = self._source[int(self._indices[index])]
        if self._labels is None:
            return record
        return Record({**record, "label": int(self._labels[index])})


@dataclass(frozen=True)
class HoldOut:
    """Hold-out rule: records with sha1(field) mod `modulo` == `remainder` are held out.

    Byte-identical images stay together: all go with the one of the smallest key.

    Attributes:
      field: 'key', 'caption' (the first), or one of the record's fields; its text is hashed.
      modulo: one record in so many is held out.
      remainder: remainder of the hash of those records.
      part: 'train' or 'validation', the held-out records.
    """

    field: str = "key"
    modulo: int = 10
    remainder: int = 0
    part: str = "train"

    def __post_init__(self) -> None:
        if self.part not in SPLITS:
            raise ValueError(
                f"unknown hold_out.part '{self.part}'; expected one of: {', '.join(SPLITS)}"
            )
        if not 0 <= self.remainder < self.modulo:
            raise ValueError(f"hold_out.remainder must be 0 to {self.modulo - 1}")

    @classmethod
    def from_config(cls, options: Mapping[str, Any]) -> "HoldOut":
        """Build from a config; a ValueError names an unknown option."""
        check_known("hold_out", options, [field.name for field in fields(cls)])
        return cls(**options)

    def is_held_out(self, value: str) -> bool:
        """Return True if a record whose field has this value is held out."""
        return int(hashlib.sha1(value.encode()).hexdigest(), 16) % self.modulo == self.remainder


@dataclass
class RecordSummary:
    """Values of a record that decide its split; all None if the record cannot be read."""

    key: str | None = None
    image_digest: bytes | None = None
    fields: Mapping[str, Any] | None = None


def select_records(
    source: Source,
    *,
    hold_out: Mapping[str, Any] | None = None,
    label_field: str | None = None,
    min_count: int = 1,
) -> Source:
    """Select a part of `source`, which is read once from start to end.

    Args:
      source: all records.
      hold_out: arguments of `HoldOut`.
      label_field: field whose values ('caption': the first captions) become the classes, in sorted
        order; records without a value are left out. Classes are those of the whole source, the same
        in both splits.
      min_count: classes with fewer records in the whole source are left out, with their records.

    Raises:
      ValueError: no record has the field, or no record is left.
    """
    if hold_out is None and label_field is None:
        return source
    summaries = list(summarize_records(source))
    keep = np.ones(len(source), bool)
    if hold_out is not None:
        rule = HoldOut.from_config(hold_out)
        keep &= find_held_out(summaries, rule) == (rule.part == "validation")
    if label_field is None:
        return _checked(Subset(source, np.flatnonzero(keep)), hold_out)
    labels, classes = assign_labels(summaries, label_field, min_count)
    indices = np.flatnonzero(keep & (labels >= 0))
    return _checked(Subset(source, indices, labels=labels[indices], classes=classes), hold_out)


def _checked(source: Subset, hold_out: Any) -> Subset:
    if len(source) == 0:
        raise ValueError(f"nothing is left of the source with hold_out={hold_out}")
    return source


def summarize_records(source: Source) -> Iterable[RecordSummary]:
    """Yield a summary of each record, in order."""
    for index in range(len(source)):
        try:
            record = source[index]
        except BadSample:  # stays in the training split, where it is counted and named
            yield RecordSummary()
            continue
        image = record["image"]
        content = image if isinstance(image, bytes) else np.ascontiguousarray(image).tobytes()
        values = {**record.get("fields", {}), "key": record["key"]}
        if record["captions"]:
            values["caption"] = record["captions"][0]
        yield RecordSummary(record["key"], hashlib.sha1(content).digest(), values)


def find_held_out(summaries: Sequence[RecordSummary], rule: HoldOut) -> np.ndarray:
    """Return bool `[n]`, True for the records that `rule` holds out."""
    leaders: dict[bytes, RecordSummary] = {}
    readable = [summary for summary in summaries if summary.key is not None]
    for summary in readable:
        leader = leaders.setdefault(summary.image_digest, summary)
        if summary.key < leader.key:
            leaders[summary.image_digest] = summary
    values = {digest: _value(leader, rule.field) for digest, leader in leaders.items()}
    decided = {digest: rule.is_held_out(value) for digest, value in values.items()}
    return np.array([decided.get(summary.image_digest, False) for summary in summaries], bool)


def _value(summary: RecordSummary, field: str) -> str:
    value = summary.fields.get(field)
    if value is None:
        raise ValueError(
            f"record '{summary.key}' has no field '{field}' to hold out by: "
            f"it has {sorted(summary.fields)}"
        )
    return str(value)


def assign_labels(
    summaries: Sequence[RecordSummary], field: str, min_count: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return int32 `[n]` labels, -1 for none, and the classes that they index."""
    found = ((summary.fields or {}).get(field) for summary in summaries)
    values = ["" if value is None else str(value) for value in found]
    counts = Counter(value for value in values if value)
    if not counts:
        known = sorted({name for summary in summaries for name in summary.fields or {}})
        raise ValueError(f"no record has a value in label_field '{field}': the fields are {known}")
    classes = tuple(sorted(value for value, count in counts.items() if count >= min_count))
    if not classes:
        raise ValueError(f"no value of '{field}' occurs {min_count} times (min_count)")
    numbers = {name: number for number, name in enumerate(classes)}
    labels = np.array([numbers.get(value, -1) for value in values], np.int32)
    logging.info(
        "label_field '%s': %d classes, %d of %d records",
        field,
        len(classes),
        (labels >= 0).sum(),
        len(labels),
    )
    return labels, classes
