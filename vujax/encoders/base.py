"""Networks that make vectors of pictures, of shots and of scenes, by name or by the folder of one.

encoder = open_encoder("lite")                  # released: EfficientNet-Lite0
encoder = open_encoder("runs/mine")             # trained here, or imported
encoder = open_encoder("runs/mine", "frame")    # an `Encoder` of pictures, or a ValueError

The folder's own name is the encoder's, under which a catalogue keeps its vectors.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from vujax.catalog.embeddings import LEVELS
from vujax.data.images import preprocess_eval_image
from vujax.models import pretrained

WEIGHTS = {"lite": "efficientnet-lite0"}
"""Released encoders, and which of `vujax.models.pretrained` each needs."""


class AnyEncoder(Protocol):
    """What all encoders have.

    Attributes:
      name: letters, digits, - and _.
      digest: see `digest`: two encoders of one digest give the same vectors.
      dim: numbers of a vector.
      sees: of LEVELS, those of which it makes vectors itself. Vectors of the levels above are
        means: a shot's of those of its keyframes, a scene's of those of its shots.
      vectors: name of the encoder whose vectors of shots it takes, or None.
    """

    name: str
    digest: str
    dim: int
    sees: tuple[str, ...]
    vectors: str | None = None


class Encoder(AnyEncoder, Protocol):
    """A network that sees one picture at a time.

    Attributes:
      size: height and width of the pictures that it sees.
    """

    sees: tuple[str, ...] = ("frame",)
    size: int

    def picture(self, file: bytes) -> np.ndarray:
        """A picture's file as the network sees it, uint8 `[size size 3]`; see `eval_image`."""
        return preprocess_eval_image(file, size=self.size)

    def encode(self, images: np.ndarray) -> ArrayLike:
        """Pictures uint8 `[b size size 3]` -> float32 `[b dim]`.

        The result may be a JAX array that is still being computed. A vector may not depend on the
        other pictures of the batch.
        """


class ShotEncoder(AnyEncoder, Protocol):
    """A network that sees shots, alone or together as scenes; `sees` 'shot' at least.

    `vujax.encoders.shots.encode_scenes` gives it scenes, and single shots as scenes of one.

    Attributes:
      inputs: shape of what it sees of a shot: 'image' `[k h w 3]` or 'feature' `[f]`.
      max_shots: of a scene; 1 when it sees no scenes.
    """

    inputs: Mapping[str, tuple[int, ...]]
    max_shots: int

    def encode(self, rows: Mapping[str, np.ndarray]) -> ArrayLike:
        """Scenes in rows, see `vujax.data.scene_batches` -> float32 `[r s dim]`.

        What stands for a scene that is not there (-1 in `scene`) may be anything. A vector may not
        depend on the other scenes.
        """


def digest(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> str:
    """sha256, in hexadecimal, of weights by name and of the settings that change vectors."""
    found = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {value.dtype} {value.shape}".encode())
        found.update(np.ascontiguousarray(value).data)
    return found.hexdigest()


def levels_of(encoder: AnyEncoder) -> tuple[str, ...]:
    """The levels of which there can be vectors: those that it sees, and those above."""
    return LEVELS[LEVELS.index(encoder.sees[0]) :]


def check(spec: str) -> None:
    """Raises unless there is such an encoder; fetches released weights at the first use.

    Args:
      spec: see `open_encoder`.

    Raises:
      ValueError: there is none, or its folder is damaged.
      FileNotFoundError: the folder holds no model.
      OSError: its weights cannot be had.
    """
    if spec in WEIGHTS:
        pretrained.fetch(WEIGHTS[spec])
    elif Path(spec).exists():
        from vujax import encoders

        encoders.check(Path(spec))
    else:
        raise ValueError(
            f"there is no encoder {spec!r}: there is {', '.join(WEIGHTS)}, or name the folder of a "
            "training or of its release"
        )


def released(name: str) -> Encoder:
    """A released encoder, on this process's devices; raises like `check`."""
    check(name)
    from vujax.encoders.lite import Lite  # brings JAX

    return Lite()


def open_encoder(spec: str, level: str | None = None) -> Any:
    """An encoder, on this process's devices.

    Args:
      spec: name of a released one, or path of a training's workdir or of a release's folder; see
        `vujax.encoders.KINDS`.
      level: of LEVELS, at which vectors are wanted; with 'frame' the result is an `Encoder`.

    Returns:
      An `Encoder` or a `ShotEncoder`, as its `sees` says.

    Raises:
      ValueError: there is none, it is damaged, or it can make no vectors of that level.
      FileNotFoundError: the folder holds no model.
      OSError: its weights cannot be had.
    """
    check(spec)
    if spec in WEIGHTS:
        found = released(spec)
    else:
        from vujax import encoders

        found = encoders.open_trained(Path(spec))
    if level is not None:
        check_level(found, level)
    return found


def opener(spec: str) -> Callable[[], Any]:
    """What opens an encoder elsewhere, in another process or folder: picklable; checked now.

    Raises:
      ValueError, OSError: see `check`.
    """
    check(spec)  # what it needs is fetched once, here, not in each worker
    return functools.partial(open_encoder, spec if spec in WEIGHTS else str(Path(spec).resolve()))


def check_level(encoder: AnyEncoder, level: str) -> None:
    """Raises unless there can be vectors of a level.

    Raises:
      ValueError: there cannot.
    """
    if level not in LEVELS:
        raise ValueError(f"there are no vectors of level {level!r}: there are {', '.join(LEVELS)}")
    if level not in levels_of(encoder):
        raise ValueError(
            f"{encoder.name} sees the keyframes of a shot together, so it has no vectors of level "
            f"{level!r}: take {' or '.join(levels_of(encoder))}"
        )


def name_of(spec: str) -> str:
    """The name under which a catalogue keeps an encoder's vectors; opens nothing.

    Args:
      spec: see `open_encoder`; what is no folder is a name already.
    """
    if spec in WEIGHTS or not Path(spec).is_dir():
        return spec
    from vujax import encoders

    return encoders.name_of(Path(spec))
