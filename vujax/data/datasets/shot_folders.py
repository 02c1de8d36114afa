"""Shots whose keyframes and features are in folders, in the layouts of MovieNet and BaSSL.

KEYFRAMES/tt0120885/shot_0000_img_0.jpg ... shot_0000_img_2.jpg, shot_0001_img_0.jpg ...
FEATURES/tt0120885.npz    (array KEY [n f]), or tt0120885.npy [n f],
FEATURES/tt0120885/shot_0000.npy  [f], or [views f], which are averaged
"""

import functools
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vujax.data.datasets.features import check_features, read_npz
from vujax.data.films import Shots
from vujax.data.images import decode_keyframes, sample_evenly
from vujax.models.image_spec import ImageSpec

KEYFRAMES = 3


@dataclass(frozen=True)
class ShotFolders:
    """Folders and options of the inputs of all films of a set.

    Attributes:
      keyframes: folder of the films' folders; None: no images.
      frames: images per shot, evenly spaced among its three keyframes.
      image_spec: shape of the images; None: full images.
      features: folder of the films' features; None: no features.
      key: array of an npz file.
    """

    keyframes: Path | None = None
    frames: int = KEYFRAMES
    image_spec: ImageSpec | None = None
    features: Path | None = None
    key: str = "feature"

    def __post_init__(self) -> None:
        sample_evenly(KEYFRAMES, self.frames)
        for folder in (self.keyframes, self.features):
            if folder is not None and not folder.is_dir():
                raise FileNotFoundError(f"{folder} is not a folder")

    def keyframe_path(self, film: str, number: int) -> Path:
        """Return the file of a keyframe: number 3 s + k is keyframe k of shot s."""
        shot, k = divmod(number, KEYFRAMES)
        return self.keyframes / film / f"shot_{shot:04d}_img_{k}.jpg"

    def feature_file(self, film: str) -> Path:
        """Find the file or folder of a film's features.

        Raises:
          FileNotFoundError: there is none.
        """
        for path in (self.features / f"{film}{suffix}" for suffix in (".npz", ".npy", "")):
            if path.exists():
                return path
        raise FileNotFoundError(f"{self.features} has no features of {film}: {film}.npz or .npy")


@dataclass(frozen=True, eq=False)
class FolderFilm(Shots):
    """A film whose inputs are read from folders on demand."""

    folders: ShotFolders = None

    def inputs(self, shots: np.ndarray) -> dict[str, np.ndarray]:
        """Return 'image' uint8 `[k frames h w 3]` and 'feature' float32 `[k f]`, if available.

        Raises:
          FileNotFoundError: a keyframe or feature is missing.
          ValueError: one is damaged.
        """
        result, shots = {}, np.asarray(shots)
        if self.folders.keyframes:
            chosen = sample_evenly(KEYFRAMES, self.folders.frames)
            result["image"] = decode_keyframes(
                shots[:, None] * KEYFRAMES + np.array(chosen),
                lambda number: self.jpeg(number // KEYFRAMES, number % KEYFRAMES),
                self.folders.image_spec,
                lambda number: str(self.folders.keyframe_path(self.film, number)),
            )
        if self.folders.features:
            result["feature"] = self.features(shots)
        return result

    def features(self, shots: np.ndarray) -> np.ndarray:
        """Return the features of some shots, float32 `[k f]`; raises like `inputs`."""
        if isinstance(self._features, Path):
            return np.stack([self._feature(shot) for shot in shots.tolist()])
        return np.asarray(self._features[shots], np.float32)

    def jpeg(self, shot: int, k: int) -> bytes:
        """Read the file of keyframe k of a shot.

        Raises:
          FileNotFoundError: it does not exist.
        """
        path = self.folders.keyframe_path(self.film, shot * KEYFRAMES + k)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} does not exist: fetch the keyframes again") from None

    @functools.cached_property
    def _features(self) -> Path | np.ndarray:
        """All features [n f], or the folder of features of single shots."""
        path = self.folders.feature_file(self.film)
        if path.is_dir():
            return path
        vectors = read_npz(path)[self.folders.key] if path.suffix == ".npz" else read_npy(path)
        check_features(self.film, vectors, len(self))
        return vectors

    def _feature(self, shot: int) -> np.ndarray:
        path = self._features / f"shot_{shot:04d}.npy"
        vector = read_npy(path)
        vector = vector.mean(axis=0) if vector.ndim > 1 else vector
        if not np.isfinite(vector).all():
            raise ValueError(f"{path} has values that are not finite: compute it again")
        return vector.astype(np.float32)

    def feature_width(self) -> int:
        """Return the dimension of the features; reads only a header, or one shot.

        Raises:
          FileNotFoundError, ValueError: the features are missing, damaged, or of another number of
            shots.
        """
        path = self.folders.feature_file(self.film)
        if path.is_dir():
            return len(self._feature(0))
        shape = (
            _npz_shape(path, self.folders.key) if path.suffix == ".npz" else read_npy(path).shape
        )
        if len(shape) != 2 or shape[0] != len(self):
            raise ValueError(f"{path} holds {list(shape)}: it needs [{len(self)} f], one per shot")
        return shape[1]


def check_widths(films: tuple[FolderFilm, ...]) -> tuple[FolderFilm, ...]:
    """Return the films, after a check that all features have the same dimension.

    Raises:
      ValueError: they differ; names two films.
    """
    if films and films[0].folders.features:
        first = films[0].feature_width()
        for film in films:
            if (width := film.feature_width()) != first:
                raise ValueError(
                    f"the features of {film.film} are {width} numbers wide, those of "
                    f"{films[0].film} {first}: give films of one width"
                )
    return films


def read_npy(path: Path) -> np.ndarray:
    """Open a memory-mapped array.

    Raises:
      FileNotFoundError: the file does not exist.
      ValueError: it is damaged, or contains Python objects.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist: compute the features again") from None
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path} is not an npy file of numbers ({error})") from None


def _npz_shape(path: Path, key: str) -> tuple[int, ...]:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                return np.lib.format.read_array_header_1_0(file)[0]
            return np.lib.format.read_array_header_2_0(file)[0]
    except KeyError:
        raise ValueError(f"{path} has no array '{key}': choose one with key") from None
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ValueError(f"{path} is not an npz file of plain arrays ({error})") from None
