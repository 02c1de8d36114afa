"""Checkpoints of a training state: orbax v1 behind a few functions; nothing else imports orbax."""

from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from vujax.utils.trees import compare_shapes, flatten_tree

Tree = Any


class Checkpoints:
    """The checkpoints of one run, `directory/<step>`; saves in the background.

    Args:
      directory: made when missing.
      keep_last: how many of the newest are kept.
      keep_every: besides, those whose step is a multiple of it are kept for good; 0: none.
    """

    def __init__(self, directory: Path, *, keep_last: int = 2, keep_every: int = 0) -> None:
        policies = ocp.training.preservation_policies
        keep = [policies.LatestN(keep_last)]
        if keep_every:
            keep.append(policies.EveryNSteps(keep_every))
        self.directory = Path(directory).absolute()
        self._checkpointer = ocp.training.Checkpointer(
            self.directory,
            preservation_policy=policies.AnyPreservationPolicy(keep),
            cleanup_tmp_directories=True,
        )

    def latest(self) -> int | None:
        """The newest step that was saved whole, or None."""
        newest = self._checkpointer.latest
        return None if newest is None else newest.step

    def save(self, step: int, state: Tree) -> None:
        """Starts to save `state`; waits only for the save before it. A step is saved once."""
        if self.latest() != step:
            self._checkpointer.save_async(step, state, force=True)

    def restore(self, like: Tree, step: int | None = None) -> Tree:
        """The state saved at `step` (default: the newest).

        Args:
          like: tree of `jax.ShapeDtypeStruct` with shardings: where and how to put each leaf. The
            device count may differ from the one that saved.
          step: which checkpoint.

        Raises:
          FileNotFoundError: there is none.
          ValueError: a leaf is missing, is left over or has another shape.
        """
        step = self.latest() if step is None else step
        if step is None:
            raise FileNotFoundError(f"no checkpoint in {self.directory}")
        saved = flatten_tree(self._checkpointer.metadata(step).metadata)
        where = f"checkpoint {self.directory / str(step)}"
        compare_shapes(saved, flatten_tree(like), where, "use the config.json in its workdir")
        return self._checkpointer.load(step, like)

    def wait(self) -> None:
        """Returns when everything is on disk."""
        self._checkpointer.wait()

    def close(self) -> None:
        """Waits, then ends the background threads."""
        self.wait()
        self._checkpointer.close()


def abstract(state: Tree, shardings: Tree | jax.sharding.Sharding) -> Tree:
    """Shapes and dtypes of `state` with the shardings to restore it under."""
    if isinstance(shardings, jax.sharding.Sharding):
        shardings = jax.tree.map(lambda _: shardings, state)
    struct = lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s)  # noqa: E731
    return jax.tree.map(struct, state, shardings)
