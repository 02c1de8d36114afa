"""What is read of films' shots: pictures, sound, features, of the shapes that the config names."""

from collections.abc import Mapping

import jax
import numpy as np

from vujax.data.films import Film


def input_arrays(
    inputs: Mapping[str, tuple[int, ...]], rows: int, width: int
) -> dict[str, jax.ShapeDtypeStruct]:
    """The arrays `[rows width ...]` of a batch with `width` shots a row.

    Args:
      inputs: shape of one shot's 'image' `[k h w 3]`, 'audio' `[t mels]` or 'feature' `[f]`.
      rows: of the batch.
      width: shots of a row.
    """
    dtypes = {name: np.uint8 if name == "image" else np.float32 for name in inputs}
    return {
        name: jax.ShapeDtypeStruct((rows, width, *shape), dtypes[name])
        for name, shape in inputs.items()
    }


def check_inputs(film: Film, inputs: Mapping[str, tuple[int, ...]]) -> None:
    """Raises unless a film's shots have what the config says.

    Raises:
      ValueError: something is missing or has another shape.
    """
    seen = film.inputs(np.zeros(1, np.int64))
    for name, shape in inputs.items():
        if name not in seen:
            raise ValueError(
                f"film '{film.film}' has no {name} of its shots, only {sorted(seen)}: change "
                "config.inputs or data.films"
            )
        if seen[name].shape[1:] != tuple(shape):
            raise ValueError(
                f"film '{film.film}' has a {name} of shape {seen[name].shape[1:]} for each shot, "
                f"and config.inputs says {tuple(shape)}"
            )
