"""TFDS data sets prepared as array_record, read without TensorFlow."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from vujax.data.records import BadSample, Record, check_encoding, decode_text

SCALARS = (bytes, str, int, float)


class TfdsSource:
    """Records of one split of a prepared TFDS data set.

    Attributes:
      classes: names of the label feature, if it is a ClassLabel.
    """

    def __init__(
        self,
        name: str,
        *,
        split: str,
        data_dir: str | None = None,
        image: str = "image",
        caption: str | Sequence[str] | None = None,
        label: str | None = "label",
        key: str | None = None,
        encoding: str = "utf-8",
    ) -> None:
        """Open the prepared files; downloads nothing.

        Args:
          name: builder, config and version as in TFDS ('cifar10', 'eurosat/rgb:2.0.0').
          split: as in TFDS ('train', 'test[:10%]').
          data_dir: folder of prepared data sets; None: TFDS's own.
          image: feature of the image; dots reach into nested features ('a.b').
          caption: feature or features of texts; a sequence gives several captions.
          label: feature of the class; None, or no feature 'label': no labels.
          key: feature that names an example; None: the split and the number in it.
          encoding: of the captions.

        Raises:
          FileNotFoundError: the data set is not prepared as array_record.
          ValueError: a feature, the split or the encoding is unknown.
        """
        self._name, self._split, self._encoding = name, split, check_encoding(encoding)
        builder = _builder(name, data_dir)
        features = builder.info.features
        captions = [caption] if isinstance(caption, str) else list(caption or [])
        if label == "label" and label not in features:
            label = None
        for feature in [image, *captions, *filter(None, [key, label])]:
            _feature(features, feature, name)
        self._image, self._captions, self._key, self._label = image, captions, key, label
        names = getattr(_feature(features, label, name), "names", None) if label else None
        self.classes = None if names is None else tuple(names)
        self._data = _open(builder, features, image, split)

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        try:
            example = self._data[int(index)]
        except RuntimeError as error:  # the bytes do not match their checksum
            raise BadSample(f"example {index} of {self._name} {self._split}: {error}") from None
        label = -1 if self._label is None else int(_reach(example, self._label))
        where = f"example {index} of {self._name} {self._split}"
        key = _reach(example, self._key) if self._key else f"{self._split}-{index}"
        return Record(
            key=str(_replaced(key)),
            image=_reach(example, self._image),
            captions=[
                self._text(value, f"{where}: its feature '{name}'")
                for name in self._captions
                for value in _list(_reach(example, name))
            ],
            label=label if label >= 0 else None,  # TFDS marks a hidden label with -1
            fields={k: _replaced(v) for k, v in example.items() if isinstance(v, SCALARS)},
        )

    def _text(self, value: Any, where: str) -> str:
        return decode_text(value, self._encoding, where) if isinstance(value, bytes) else str(value)


def _builder(name: str, data_dir: str | None) -> tfds.core.DatasetBuilder:
    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        reason = str(error).splitlines()[0]  # the rest of TFDS's message lists all data sets
        raise FileNotFoundError(
            f"TFDS data set '{name}' was not found in {data_dir or 'the folder of TFDS'} ({reason})"
        ) from None


def _feature(features: Any, path: str, name: str) -> Any:
    found = features
    for part in path.split("."):
        found = getattr(found, "feature", found)  # element of a Sequence
        if part not in found:
            raise ValueError(f"TFDS '{name}' has no feature '{path}': it has {sorted(features)}")
        found = found[part]
    return found


def _open(builder: tfds.core.DatasetBuilder, features: Any, image: str, split: str) -> Any:
    name = builder.info.full_name
    encoded = isinstance(_feature(features, image, name), tfds.features.Image)
    decoders = _nested(image, tfds.decode.SkipDecoding()) if encoded else None
    try:
        return builder.as_data_source(split=split, decoders=decoders)
    except (NotImplementedError, AssertionError, FileNotFoundError):
        raise FileNotFoundError(
            f"TFDS '{name}' is not prepared as array_record in {builder.data_dir}: run "
            f"`tfds build {builder.name} --file_format=array_record` where TensorFlow is"
        ) from None


def _nested(path: str, value: Any) -> dict[str, Any]:
    for part in reversed(path.split(".")):
        value = {part: value}
    return value


def _reach(example: Any, path: str) -> Any:
    for part in path.split("."):
        example = [x[part] for x in example] if isinstance(example, list) else example[part]
    return example


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | np.ndarray) else [value]


def _replaced(value: Any) -> Any:
    """Decode a name or other value that is no caption, with U+FFFD for what is not UTF-8."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
