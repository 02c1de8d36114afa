"""SIGTERM and Ctrl-C: finish the step, save, and stop, on all hosts at the same step."""

import signal
import types
from typing import Self

import jax
from jax.experimental import multihost_utils


class Interrupt:
    """Inside `with Interrupt() as interrupt:` signals only raise a flag that the loop asks for.

    On one process we catch SIGTERM and SIGINT ourselves; a second signal has its usual effect. On
    several, JAX's preemption service (started by `jax.distributed.initialize`) catches SIGTERM on
    any host and makes all of them agree on one step.
    """

    def __init__(self) -> None:
        self.raised = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if jax.process_count() == 1:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._catch)
        return self

    def _catch(self, number: int, frame: types.FrameType | None) -> None:
        self.raised = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __exit__(self, *error: object) -> None:
        self._restore()

    def asked(self, step: int) -> bool:
        """Whether to save and stop after `step`; the same answer on every host."""
        if jax.process_count() == 1:
            return self.raised
        return multihost_utils.reached_preemption_sync_point(step)
