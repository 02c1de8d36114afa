"""Manifests of pairs without the captions that were left out.

- `.parquet`: a file of features, for configs/distill.py:features and captioners.
- `.csv`: `key,caption`; of a single table, its own columns, so keep it beside that table.
- `.tar`: the samples of WebDataset shards that keep a caption, byte for byte.
"""

import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vujax.data.feature_pairs import FeaturePairs, write_feature_pairs
from vujax.data.sources.files import expand_patterns
from vujax.data.sources.webdataset import split_name
from vujax.search.suspects import Sources, iterate_records
from vujax.utils.io import write_atomically, write_csv_rows

SUFFIXES = (".parquet", ".csv", ".tar")


def check_clean(path: Path, sources: Sources) -> None:
    """Raise unless a cleaned manifest of these sources can be written to `path`.

    Raises:
      ValueError: the suffix is unknown, or the sources are no shards and .tar is asked for.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: cleaned pairs are written as {', '.join(SUFFIXES)}")
    if path.suffix == ".tar" and any(o["kind"] != "webdataset" for o in sources.values()):
        raise ValueError(f"{path}: only .tar shards are cleaned to .tar; use .csv or .parquet")


def select_captions(pairs: FeaturePairs, stays: np.ndarray) -> FeaturePairs:
    """Return the pairs without some captions, and without images that keep none.

    Args:
      pairs: all pairs.
      stays: bool `[m]`, the captions that stay, image by image.
    """
    first = np.cumsum(pairs.counts) - pairs.counts
    captions = tuple(
        tuple(text for n, text in enumerate(own) if stays[start + n])
        for start, own in zip(first, pairs.captions, strict=True)
    )
    images = replace(pairs.images, captions=captions)
    kept = replace(pairs, images=images, texts=pairs.texts[stays])
    return kept.take(np.flatnonzero(kept.counts))


def write_clean(kept: FeaturePairs, sources: Sources, path: Path) -> Path:
    """Write the pairs that stay, atomically; see the module for the formats.

    Args:
      kept: of `select_captions`.
      sources: that all pairs came from.
      path: output file.
    """
    check_clean(path, sources)
    if path.suffix == ".parquet":
        return write_feature_pairs(kept, path)
    if path.suffix == ".tar":
        return write_atomically(path, lambda p: _copy_samples(sources, set(kept.images.keys), p))
    rows = _list_rows(kept, sources)
    return write_atomically(path, lambda p: write_csv_rows(p, list(rows[0]), rows))


def _list_rows(kept: FeaturePairs, sources: Sources) -> list[Mapping[str, Any]]:
    """Return the rows of a table: its own where the pairs came from one, else key and caption."""
    if [options["kind"] for options in sources.values()] == ["table"]:
        keys = set(kept.images.keys)
        return [record["fields"] for key, record in iterate_records(sources) if key in keys]
    return [
        {"key": key, "caption": text}
        for key, own in zip(kept.images.keys, kept.captions, strict=True)
        for text in own
    ]


def _copy_samples(sources: Sources, keys: set[str], path: Path) -> None:
    """Copy the members of the samples with these keys."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as clean:
        for shard in (s for o in sources.values() for s in expand_patterns(o["path"])):
            with tarfile.open(shard) as archive:
                for member in archive:
                    if member.isfile() and split_name(member.name)[0] in keys:
                        clean.addfile(member, archive.extractfile(member))
