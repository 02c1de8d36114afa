"""Images in one subfolder per class."""

import os
from pathlib import Path

import numpy as np

from vujax.data.records import IMAGE_EXTENSIONS, Record
from vujax.utils.io import check_local

SUFFIXES = tuple(f".{extension}" for extension in IMAGE_EXTENSIONS)


class FolderSource:
    """Records of a folder's images, class by class, sorted by name.

    Attributes:
      classes: names of the subfolders, sorted.
    """

    def __init__(self, path: str, *, caption: str | None = None) -> None:
        """List the files.

        Args:
          path: folder.
          caption: template of the captions, in which {} becomes the class with spaces for
            underscores; None: no captions.

        Raises:
          FileNotFoundError: the folder does not exist.
          ValueError: there is no subfolder, a subfolder has no image, or `path` is remote.
        """
        check_local(path)
        root = Path(path)
        if not root.is_dir():
            raise FileNotFoundError(f"{path} is not a folder")
        self._root, self._caption = path, caption
        names = sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] != ".")
        self.classes = tuple(names)
        if not names:
            raise ValueError(f"{path} must have one subfolder of images per class, it has none")
        files = [_list_images(root / name) for name in names]
        for name, found in zip(names, files, strict=True):
            if not found:
                raise ValueError(f"{root / name} has no image ({' '.join(SUFFIXES)})")
        # Fixed-width bytes: a million names stay small and are quickly pickled to workers.
        self._files = np.array([os.fsencode(p.relative_to(root)) for part in files for p in part])
        self._labels = np.repeat(np.arange(len(names)), [len(part) for part in files])

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        key, label = os.fsdecode(self._files[index]), int(self._labels[index])
        captions = []
        if self._caption is not None:
            captions = [self._caption.replace("{}", self.classes[label].replace("_", " "))]
        image = (Path(self._root) / key).read_bytes()
        return Record(key=key, image=image, captions=captions, label=label, fields={})


def _list_images(folder: Path) -> list[Path]:
    return sorted(
        Path(parent) / name
        for parent, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(SUFFIXES) and not name.startswith(".")
    )
