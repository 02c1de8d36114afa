"""Preemption: on SIGTERM or Ctrl-C finish the step, save and stop, on all hosts at one step."""

import signal
import types
from typing import Self

import jax
from jax.experimental import multihost_utils


class Interrupt:
    """A context in which signals only set a flag that the loop reads.

    In a single process SIGTERM and SIGINT are caught here; a second signal has its usual effect.
    With several processes, JAX's preemption service (started by `jax.distributed.initialize`)
    catches SIGTERM on any host and makes all of them agree on one step.
    """

    def __init__(self) -> None:
        self.is_raised = False
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Self:
        if jax.process_count() == 1:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._handlers[number] = signal.signal(number, self._catch)
        return self

    def _catch(self, number: int, frame: types.FrameType | None) -> None:
        self.is_raised = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def __exit__(self, *error: object) -> None:
        self._restore()

    def should_stop(self, step: int) -> bool:
        """Return True to save and stop after `step`; the answer is the same on every host."""
        if jax.process_count() == 1:
            return self.is_raised
        return multihost_utils.reached_preemption_sync_point(step)
