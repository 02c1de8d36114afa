"""Evaluation sets on disk in the form in which their authors publish them.

Nothing is downloaded: each function lists the files that it expects. All of them give the records
of `vujax.data.sources`: `source[i] -> {key, image, captions, label}`.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vujax.data.records import BadSample, Record

OBJECTNET_MARGIN = 2
"""Pixels to cut on each side: ObjectNet's images have a red frame, against training on them."""


class ImageFiles:
    """Image files with captions or labels, read when their record is requested."""

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        captions: Sequence[list[str]] | None = None,
        labels: Sequence[int] | None = None,
        classes: tuple[str, ...] | None = None,
        margin: int = 0,
    ) -> None:
        """Store the lists; `margin` pixels are cut off each side of every image."""
        self.paths, self.captions, self.labels = list(paths), captions, labels
        self.classes, self.margin = classes, margin

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Record:
        return Record(
            key=self.paths[index].name,
            image=self._image(self.paths[index]),
            captions=self.captions[index] if self.captions else [],
            label=self.labels[index] if self.labels else None,
        )

    def _image(self, path: Path) -> bytes | np.ndarray:
        if not path.is_file():
            raise FileNotFoundError(f"{path} is named by the annotations but is missing")
        if not self.margin:
            return path.read_bytes()
        try:
            pixels = np.asarray(Image.open(path).convert("RGB"))
        except (OSError, ValueError) as error:
            raise BadSample(f"{path} is not an image that can be decoded ({error})") from None
        return pixels[self.margin : -self.margin, self.margin : -self.margin]


def open_coco(root: str, *, split: str = "val2017") -> ImageFiles:
    """Open COCO captions (Chen et al. 2015, arXiv:1504.00325) in the official files.

    Expects `annotations/captions_{split}.json` and the folder `{split}` with the images.
    """
    annotations = _json(Path(root, "annotations", f"captions_{split}.json"))
    captions = defaultdict(list)
    for annotation in annotations["annotations"]:
        captions[annotation["image_id"]].append(annotation["caption"])
    images = [image for image in annotations["images"] if captions[image["id"]]]
    folder = Path(root, split)
    return ImageFiles(
        [_inside(folder, image["file_name"]) for image in images],
        captions=[captions[image["id"]] for image in images],
    )


def open_karpathy(
    root: str, *, annotations: str, split: str = "test", images: str = ""
) -> ImageFiles:
    """Open the splits of retrieval papers (Karpathy & Fei-Fei 2015, arXiv:1412.2306).

    Expects under `root` the file `annotations` (`dataset_coco.json`, `dataset_flickr30k.json` or
    `dataset_flickr8k.json`) and the folder `images` with the images, for COCO in its `val2014`
    and `train2014`. The usual test splits have 5,000 (COCO) and 1,000 images of five captions.
    """
    path = Path(root, annotations)
    chosen = [entry for entry in _json(path)["images"] if entry["split"] == split]
    if not chosen:
        raise ValueError(f"{path} has no image of split {split!r}")
    folder = Path(root, images)
    return ImageFiles(
        [_inside(folder, Path(e.get("filepath", ""), e["filename"])) for e in chosen],
        captions=[[sentence["raw"] for sentence in e["sentences"]] for e in chosen],
    )


def open_flickr(root: str, *, tokens: str, images: str, names: str | None = None) -> ImageFiles:
    """Open Flickr8k or Flickr30k as published.

    They are of Hodosh et al. 2013 and Young et al. 2014. Expects under `root` the folder `images`
    and the file `tokens` (`Flickr8k.token.txt`, `results_20130124.token`), lines of
    `image.jpg#0<tab>caption`. `names`, if given, is a file with one image name a line
    (`Flickr_8k.testImages.txt`), the split to score.
    """
    captions = defaultdict(list)
    path = Path(root, tokens)
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        name, tab, caption = line.partition("\t")
        if not tab or "#" not in name:
            raise ValueError(f"{path} line {number}: expected 'image.jpg#0<tab>caption'")
        captions[name.rpartition("#")[0]].append(caption.strip())
    chosen = list(captions) if names is None else _text(Path(root, names)).split()
    missing = [name for name in chosen if name not in captions]
    if missing:
        raise ValueError(f"{path} has no caption for {missing[0]}, which {names} names")
    folder = Path(root, images)
    return ImageFiles(
        [_inside(folder, name) for name in chosen], captions=[captions[n] for n in chosen]
    )


def open_objectnet(root: str, *, overlap: bool = True) -> ImageFiles:
    """Open ObjectNet (Barbu et al. 2019), a test set only.

    Its license forbids training on it. Expects `images/{folder}/*.png` and
    `mappings/folder_to_objectnet_label.json`, and with `overlap` also
    `mappings/objectnet_to_imagenet_1k.json`. The images' red frame is cut off.

    Args:
      root: the folder `objectnet-1.0`.
      overlap: only the 113 classes that ImageNet has too, which effective robustness is fitted on;
        otherwise all 313.
    """
    mappings = Path(root, "mappings")
    names = _json(mappings / "folder_to_objectnet_label.json")
    if overlap:
        shared = _json(mappings / "objectnet_to_imagenet_1k.json")
        names = {folder: name for folder, name in names.items() if name in shared}
    folders = sorted(names)
    files = [sorted(_inside(Path(root, "images"), folder).glob("*.png")) for folder in folders]
    if not any(files):
        raise FileNotFoundError(f"no image under {Path(root, 'images')}; unpack ObjectNet there")
    return ImageFiles(
        [path for group in files for path in group],
        labels=[label for label, group in enumerate(files) for _ in group],
        classes=tuple(names[folder] for folder in folders),
        margin=OBJECTNET_MARGIN,
    )


LAYOUTS: dict[str, Callable[..., ImageFiles]] = {
    "coco": open_coco,
    "karpathy": open_karpathy,
    "flickr": open_flickr,
    "objectnet": open_objectnet,
}


def _text(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; the layout expects it")
    return path.read_text(encoding="utf-8")


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error


def _inside(folder: Path, name: str | Path) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name!r} is outside of {folder}")
    return path
