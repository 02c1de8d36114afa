"""The usual classification sets: their TFDS builders, class names and metrics.

`open_dataset('cifar10', data_dir=...)` opens a data set that TFDS has prepared as array_record (no
TensorFlow is needed to read it). A copy in another layout works as well:
`open_dataset('imagenet', layout='folder', path=...)`, with one folder per class, named as TFDS
names the class (ImageNet and its relatives: WordNet ids).
"""

import dataclasses
from typing import Any

from vujax.data.records import Record, Source
from vujax.data.sources import open_source
from vujax.evals import class_names


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The way in which one data set is read and scored.

    Attributes:
      builder: the TFDS builder, with its config.
      split: the split to score; 'train' where the builder has no other, as for EuroSAT.
      classes: size of the label space.
      naming: the builder's label names -> human-readable names, in the same order.
      headline: 'top1', or 'mean_class' where the literature reports the mean per class.
      templates: the prompt set of `prompt_templates.TEMPLATES`.
      present: classes that occur, where the label space is larger; only they compete.
    """

    builder: str
    split: str
    classes: int
    naming: class_names.Naming = class_names.clean_labels
    headline: str = "top1"
    templates: str = "photo"
    present: int | None = None


DATASETS: dict[str, Dataset] = {
    "imagenet": Dataset("imagenet2012", "validation", 1000, class_names.name_imagenet_classes),
    "imagenet_v2": Dataset(
        "imagenet_v2/matched-frequency", "test", 1000, class_names.name_imagenet_classes
    ),
    "imagenet_r": Dataset(
        "imagenet_r",
        "test",
        1000,
        class_names.name_imagenet_classes,
        templates="rendition",
        present=200,
    ),
    "imagenet_a": Dataset(
        "imagenet_a", "test", 1000, class_names.name_imagenet_classes, present=200
    ),
    "imagenet_sketch": Dataset(
        "imagenet_sketch", "test", 1000, class_names.name_imagenet_classes, templates="sketch"
    ),
    "cifar10": Dataset("cifar10", "test", 10, class_names.fixed_names(class_names.CIFAR10)),
    "cifar100": Dataset("cifar100", "test", 100, class_names.fixed_names(class_names.CIFAR100)),
    "food101": Dataset("food101", "validation", 101, templates="food"),
    "pets": Dataset(
        "oxford_iiit_pet",
        "test",
        37,
        class_names.clean_labels_except(class_names.PETS),
        "mean_class",
        "pet",
    ),
    "flowers102": Dataset(
        "oxford_flowers102",
        "test",
        102,
        class_names.clean_labels_except(class_names.FLOWERS),
        "mean_class",
        "flower",
    ),
    "dtd": Dataset("dtd", "test", 47, templates="texture"),
    "sun397": Dataset("sun397", "test", 397, class_names.clean_scene_paths, templates="place"),
    "places365": Dataset(
        "places365_small", "validation", 365, class_names.clean_scene_paths, templates="place"
    ),
    "caltech101": Dataset(
        "caltech101",
        "test",
        102,
        class_names.clean_labels_except(class_names.CALTECH101),
        "mean_class",
    ),
    "cars": Dataset("cars196", "test", 196, templates="car"),
    "stl10": Dataset("stl10", "test", 10, class_names.fixed_names(class_names.STL10)),
    "eurosat": Dataset(
        "eurosat/rgb",
        "train",
        10,
        class_names.clean_labels_except(class_names.EUROSAT),
        templates="satellite",
    ),
    "resisc45": Dataset("resisc45", "train", 45, templates="satellite"),
    "mnist": Dataset(
        "mnist", "test", 10, class_names.fixed_names(class_names.DIGITS), templates="digit"
    ),
    "svhn": Dataset(
        "svhn_cropped", "test", 10, class_names.fixed_names(class_names.DIGITS), templates="digit"
    ),
    "fashion_mnist": Dataset(
        "fashion_mnist",
        "test",
        10,
        class_names.clean_labels_except(class_names.FASHION),
        templates="garment",
    ),
    "pcam": Dataset(
        "patch_camelyon", "test", 2, class_names.fixed_names(class_names.PCAM), templates="tissue"
    ),
}


class NamedSource:
    """A source with human-readable class names and the data set's rules."""

    def __init__(self, source: Source, classes: tuple[str, ...], dataset: Dataset) -> None:
        """Wrap `source`."""
        self.source, self.classes, self.dataset = source, classes, dataset

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Record:
        return self.source[index]


def open_dataset(name: str, *, layout: str = "tfds", **options: Any) -> NamedSource:
    """Open one of `DATASETS`.

    Args:
      name: of `DATASETS`.
      layout: 'tfds', or another kind of `vujax.data.sources` for a copy in that form.
      **options: of that kind of source: `data_dir` and `split` for 'tfds', `path` for 'folder' ...

    Raises:
      ValueError: the source has another number of classes than the data set.
    """
    dataset = DATASETS[name]
    if layout == "tfds":
        options = {"name": dataset.builder, "split": dataset.split} | options
    source = open_source(layout, **options)
    classes = dataset.naming(source.classes)
    if len(classes) not in {dataset.classes, dataset.present}:
        raise ValueError(
            f"{name} has {dataset.classes} classes, but the source opened with {layout} {options} "
            f"has {len(classes)}; check that it is this data set, and all of it"
        )
    return NamedSource(source, classes, dataset)
