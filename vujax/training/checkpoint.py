"""Checkpoints of a training state: orbax v1 behind a few functions; nothing else imports orbax."""

from pathlib import Path

import jax
from orbax.checkpoint import v1 as ocp

from vujax.methods.base import Tree
from vujax.utils.trees import compare_shapes, flatten_tree


class Checkpoints:
    """The checkpoints of one run, `directory/<step>`, saved in the background.

    Args:
      directory: created if it is missing.
      keep_last: number of newest checkpoints that are retained.
      keep_every: checkpoints whose step is a multiple of it are retained for good; 0: none.
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

    def latest_step(self) -> int | None:
        """Return the newest step that was saved completely, or None."""
        newest = self._checkpointer.latest
        return None if newest is None else newest.step

    def save(self, step: int, state: Tree) -> None:
        """Start to save `state` after the save before it is done; save no step twice."""
        if self.latest_step() != step:
            self._checkpointer.save_async(step, state, force=True)

    def restore(self, target: Tree, step: int | None = None) -> Tree:
        """Return the state saved at `step` (default: the newest).

        Args:
          target: tree of `jax.ShapeDtypeStruct` with the shardings to restore each leaf under. The
            device count may differ from the one that saved.
          step: number of the checkpoint.

        Raises:
          FileNotFoundError: the directory holds no checkpoint.
          ValueError: a leaf is missing, is left over or has another shape.
        """
        step = self.latest_step() if step is None else step
        if step is None:
            raise FileNotFoundError(f"no checkpoint in {self.directory}")
        saved = flatten_tree(self._checkpointer.metadata(step).metadata)
        where = f"checkpoint {self.directory / str(step)}"
        compare_shapes(saved, flatten_tree(target), where, "use the config.json in its workdir")
        return self._checkpointer.load(step, target)

    def wait(self) -> None:
        """Wait until everything is on disk."""
        self._checkpointer.wait()

    def close(self) -> None:
        """Wait, then end the background threads."""
        self.wait()
        self._checkpointer.close()


def to_abstract(state: Tree, shardings: Tree | jax.sharding.Sharding) -> Tree:
    """Return shapes and dtypes of `state` with the shardings to restore it under."""
    if isinstance(shardings, jax.sharding.Sharding):
        shardings = jax.tree.map(lambda _: shardings, state)
    struct = lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s)  # noqa: E731
    return jax.tree.map(struct, state, shardings)
