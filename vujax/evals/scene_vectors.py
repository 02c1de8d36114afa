"""Vectors of all scenes of a set by a model of scenes, in the set's order."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from vujax.data.scene_rows import SceneRows
from vujax.evals.features import Variables, extract, padded_size

EncodeRows = Callable[[Variables, Mapping[str, jax.Array]], jax.Array]
"""`(variables, rows [r w ...]) -> [r s d]`. Keep one function object: each new one is compiled
anew."""


def scene_vectors(
    encode: EncodeRows, variables: Variables, rows: SceneRows, *, batch_size: int, mesh: Mesh
) -> np.ndarray:
    """Encodes every scene once.

    Args:
      encode: what to compute of a batch of `vujax.data.scene_rows`.
      variables: its first argument.
      rows: the scenes.
      batch_size: rows at once, of all hosts together.
      mesh: devices to use, along 'data'.

    Returns:
      float32 `[n d]`, in the order of `rows.scenes`, equal on all hosts.
    """
    size = padded_size(rows.examples, batch_size, mesh)
    found = extract(encode, variables, _batches(rows, size), mesh=mesh)
    scene = found["label"].reshape(-1)
    vectors = found["embeddings"].reshape(len(scene), -1)
    there = np.flatnonzero(scene >= 0)
    return vectors[there[np.argsort(scene[there], kind="stable")]]


def _batches(rows: SceneRows, size: int) -> Iterator[dict[str, Any]]:
    """This host's rows, named as `extract` wants them: every row counts, the empty ones too."""
    hosts, host = jax.process_count(), jax.process_index()
    batches = rows.eval_batches(batch_size=size, host=host, hosts=hosts)
    try:
        for batch in batches:
            mask = np.ones(len(batch["index"]), bool)
            yield batch | {"mask": mask, "position": batch["index"], "label": batch["scene"]}
    finally:
        batches.close()
