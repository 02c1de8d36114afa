"""A folder of pictures with one sub-folder for each class."""

import os
from pathlib import Path

import numpy as np

from vujax.data.records import Record

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")


class FolderSource:
    """All pictures, class by class, in the order of their names.

    Attributes:
      classes: the sub-folders' names, sorted.
    """

    def __init__(self, path: str, *, caption: str | None = None) -> None:
        """Lists the files.

        Args:
          path: the folder.
          caption: text for every picture, in which {} is the class with spaces for underscores;
            None for no captions.

        Raises:
          FileNotFoundError: there is no such folder.
          ValueError: it holds no sub-folder, or a sub-folder holds no picture.
        """
        root = Path(path)
        if not root.is_dir():
            raise FileNotFoundError(f"{path}: there is no such folder")
        self._root, self._caption = path, caption
        names = sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] != ".")
        self.classes = tuple(names)
        if not names:
            raise ValueError(f"{path} must hold one folder of pictures for each class: it has none")
        files = [_pictures(root / name) for name in names]
        for name, found in zip(names, files, strict=True):
            if not found:
                raise ValueError(f"{root / name} holds no picture ({' '.join(SUFFIXES)})")
        # Bytes of one width: a million names stay small and cross to the workers at once.
        self._files = np.array([os.fsencode(p.relative_to(root)) for part in files for p in part])
        self._labels = np.repeat(np.arange(len(names)), [len(part) for part in files])

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        key, label = os.fsdecode(self._files[index]), int(self._labels[index])
        captions = []
        if self._caption is not None:
            captions = [self._caption.replace("{}", self.classes[label].replace("_", " "))]
        image = (Path(self._root) / key).read_bytes()
        return Record(key=key, image=image, captions=captions, label=label, fields={})


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        Path(parent) / name
        for parent, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(SUFFIXES) and not name.startswith(".")
    )
