"""Checkpoints of a training state: orbax v1 behind a few functions; nothing else imports orbax."""

from pathlib import Path

import jax
from orbax.checkpoint import v1 as ocp

from vujax.methods.base import Tree
from vujax.utils.trees import compare_shapes, flatten_tree

MAX_REASON = 160  # characters


NOT_DAMAGE = (MemoryError, PermissionError, jax.errors.JaxRuntimeError)


class DamagedCheckpointError(ValueError):
    """A checkpoint that cannot be read; the message names it and the first words of the reason."""

    def __init__(self, where: str, reason: Exception) -> None:
        words = " ".join(str(reason).split())[:MAX_REASON] or type(reason).__name__
        super().__init__(f"{where} is damaged ({words})")


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

    def restore(self, target: Tree, step: int | None = None, *, fallback: bool = False) -> Tree:
        """Return the state saved at `step` (default: the newest).

        Args:
          target: tree of `jax.ShapeDtypeStruct` with the shardings to restore each leaf under. The
            device count may differ from the one that saved.
          step: number of the checkpoint.
          fallback: whether to take the newest checkpoint that is whole, on one host; damaged ones
            are moved to `directory` with '-damaged' behind its name, and named in a warning.

        Raises:
          FileNotFoundError: the directory holds no checkpoint.
          ValueError: the checkpoint is damaged, or a leaf is missing, is left over or has another
            shape.
        """
        step = self.latest_step() if step is None else step
        if step is None:
            raise FileNotFoundError(f"no checkpoint in {self.directory}")
        try:
            return self._load(step, target)
        except DamagedCheckpointError as error:
            older = max((s for s in self._steps() if s < step), default=None)
            if older is None or not fallback or jax.process_count() > 1:
                raise ValueError(f"{error}; {_remedy(older)}") from error.__cause__
            self._put_aside(step)
            print(f"Warning: {error}; trying step {older}", flush=True)
            return self.restore(target, older, fallback=True)

    def _load(self, step: int, target: Tree) -> Tree:
        where = f"checkpoint {self.directory / str(step)}"
        try:
            saved = flatten_tree(self._checkpointer.metadata(step).metadata)
        except NOT_DAMAGE:
            raise
        except Exception as error:  # whatever the libraries raise: nothing of ours runs here
            raise DamagedCheckpointError(where, error) from error
        if not saved:  # orbax only logs metadata that it cannot read
            raise DamagedCheckpointError(where, ValueError("its metadata cannot be read"))
        compare_shapes(saved, flatten_tree(target), where, "use the config.json in its workdir")
        try:
            return self._checkpointer.load(step, target)
        except NOT_DAMAGE:
            raise
        except Exception as error:
            raise DamagedCheckpointError(where, error) from error

    def _steps(self) -> list[int]:
        return [checkpoint.step for checkpoint in self._checkpointer.checkpoints]

    def _put_aside(self, step: int) -> None:
        """Move a checkpoint away, so that its step can be saved again."""
        aside = self.directory.with_name(f"{self.directory.name}-damaged")
        aside.mkdir(exist_ok=True)
        place = aside / str(step)
        number = 1
        while place.exists():
            place, number = aside / f"{step}-{number}", number + 1
        (self.directory / str(step)).rename(place)
        self._checkpointer.reload()

    def wait(self) -> None:
        """Wait until everything is on disk."""
        self._checkpointer.wait()

    def close(self) -> None:
        """Wait, then end the background threads."""
        self.wait()
        self._checkpointer.close()


def _remedy(older: int | None) -> str:
    if older is None:
        return "there is no older one: copy it again, or start in another --workdir"
    return (
        f"copy it again, or go on from step {older}, the one before, with --config.restore=fallback"
    )


def to_abstract(state: Tree, shardings: Tree | jax.sharding.Sharding) -> Tree:
    """Return shapes and dtypes of `state` with the shardings to restore it under."""
    if isinstance(shardings, jax.sharding.Sharding):
        shardings = jax.tree.map(lambda _: shardings, state)
    struct = lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s)  # noqa: E731
    return jax.tree.map(struct, state, shardings)
