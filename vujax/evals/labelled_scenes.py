"""Some scenes of a set in rows, with what is to be said of them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from vujax.data.scene_rows import SceneRows
from vujax.data.scenes import Scenes, SomeScenes
from vujax.evals.targets import Targets
from vujax.mesh import global_batch


class LabelledScenes:
    """Batches of some scenes, on the devices of one process.

    Attributes:
      targets: of these scenes, in their order.
    """

    def __init__(
        self,
        scenes: Scenes,
        inputs: Mapping[str, tuple[int, ...]],
        index: np.ndarray,
        targets: Targets,
        *,
        batch_size: int,
        mesh: Mesh,
        **rows: Any,
    ) -> None:
        """Plans the rows.

        Args:
          scenes: all of a set.
          inputs: see `vujax.data.scene_rows.shapes`.
          index: which of them these are, int `[n]`.
          targets: of all scenes.
          batch_size: rows at once.
          mesh: devices.
          **rows: options of `SceneRows`.

        Raises:
          ValueError: see `SceneRows`.
        """
        some = SomeScenes(scenes, index, int(scenes.lengths.max()), "thin")
        self._rows = SceneRows(some, inputs, **rows)
        self.targets = targets.only(index)
        self._batch_size, self._mesh = batch_size, mesh

    def batches(self, seed: int, steps: int) -> Iterator[dict[str, jax.Array]]:
        """So many batches of rows with 'target' `[r s ...]`; of no scene it does not matter."""
        batches = self._rows.train_batches(batch_size=self._batch_size, seed=seed)
        with closing(batches):
            for _, batch in zip(range(steps), batches, strict=False):
                target = self.targets.values[batch["scene"]]
                yield global_batch(self._mesh, {**batch, "target": target})

    def outputs(self, apply: Callable[..., jax.Array], params: Any) -> np.ndarray:
        """`apply(params, batch)` `[r s k]` of each scene, `[n k]` in their order."""
        found: dict[int, np.ndarray] = {}
        with closing(self._rows.eval_batches(batch_size=self._batch_size)) as batches:
            for batch in batches:
                values = np.asarray(apply(params, global_batch(self._mesh, batch)))
                there = batch["scene"] >= 0
                found.update(zip(batch["scene"][there].tolist(), values[there], strict=True))
        return np.stack([found[scene] for scene in range(len(found))])
