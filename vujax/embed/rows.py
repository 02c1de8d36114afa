"""Scenes, or shots as scenes of one, through an encoder of shots."""

from collections.abc import Callable
from contextlib import closing

import numpy as np
from numpy.typing import ArrayLike

from vujax.data.scene_rows import SceneRows, shapes
from vujax.data.scenes import Scenes, choose_scenes
from vujax.embed.encoders import ShotEncoder


def encode_scenes(
    encoder: ShotEncoder,
    scenes: Scenes,
    batch: int = 32,
    done: Callable[[int], None] = lambda count: None,
) -> np.ndarray:
    """Vectors of scenes; of one with more shots than the encoder sees, `max_shots` stand for it.

    These are the middles of as many equal parts, as `choose_scenes` thins.

    Args:
      encoder: that makes them.
      scenes: at least one.
      batch: shots that it sees at once, about.
      done: told how many scenes have their vector.

    Returns:
      float32 `[n dim]`.

    Raises:
      ValueError: a scene has other inputs than the encoder takes, or cannot be read.
    """
    chosen, most = choose_scenes(scenes, max_shots=encoder.max_shots), encoder.max_shots
    rows = SceneRows(chosen, encoder.inputs, width=most, most=most)
    found = np.full((len(chosen.keys), encoder.dim), np.nan, np.float32)
    with closing(rows.eval_batches(batch_size=rows_of(encoder, batch))) as batches:
        pending, known = None, 0
        for given in batches:
            made = encoder.encode(seen(encoder, given)), given["scene"]
            if pending:  # fetched one batch late: the device never waits for the host
                known += _put(found, *pending)
                done(known)
            pending = made
    done(known + _put(found, *pending))
    return found


def trial(encoder: ShotEncoder, batch: int) -> np.ndarray:
    """What it makes of empty rows, float32 `[r s dim]`: compiles what `encode_scenes` runs."""
    most, count = encoder.max_shots, rows_of(encoder, batch)
    empty = shapes(encoder.inputs, count, width=most, most=most)
    zeros = {name: np.zeros(array.shape, array.dtype) for name, array in empty.items()}
    return np.asarray(encoder.encode(seen(encoder, zeros)))


def seen(encoder: ShotEncoder, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What an encoder needs of rows."""
    return {name: rows[name] for name in (*encoder.inputs, "segment", "place", "time", "scene")}


def rows_of(encoder: ShotEncoder, batch: int) -> int:
    """Rows of about so many shots."""
    return max(1, batch // encoder.max_shots)


def _put(found: np.ndarray, made: ArrayLike, scenes: np.ndarray) -> int:
    """Puts a batch's vectors in their places; how many there are."""
    there = scenes >= 0
    found[scenes[there]] = np.asarray(made, np.float32)[there]
    return int(there.sum())
