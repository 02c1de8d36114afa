"""Inference of networks: in JAX on all devices, or through OpenVINO (extra `[openvino]`).

JAX is the reference, and the road to accelerators. Where OpenVINO is installed and JAX has nothing
but the CPU, networks that gain from it run there with the same weights. VUJAX_RUNTIME, or the
option `--runtime` of commands, chooses one of RUNTIMES instead.
"""

import importlib.metadata
import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from vujax.utils.mesh import make_mesh, replicated_sharding, row_sharding
from vujax.utils.system import RUNTIME_VARIABLE, RUNTIMES
from vujax.utils.validation import check_choice

Tree = Any

MAX_COPIES_BYTES = 1 << 30
"""Maximum bytes of all copies of the weights in the memory that CPU devices share; one copy may be
larger."""
PACKAGE = "openvino"


def choose_runtime() -> str:
    """Return the runtime of released networks in this process: 'jax' or 'openvino'.

    Raises:
      ValueError: VUJAX_RUNTIME is none of RUNTIMES.
      ImportError: it is 'openvino', which is not installed.
    """
    wanted = os.environ.get(RUNTIME_VARIABLE) or "auto"
    check_choice(RUNTIME_VARIABLE, wanted, RUNTIMES)
    if wanted == "jax":
        return wanted
    if importlib.util.find_spec(PACKAGE) is None:
        if wanted == "auto":
            return "jax"
        raise ImportError("the runtime openvino is not installed: pip install 'vujax[openvino]'")
    is_used = wanted == "openvino" or jax.default_backend() == "cpu"
    return "openvino" if is_used else "jax"


def describe_runtime() -> dict[str, str]:
    """Return version and precision of OpenVINO for a manifest; nothing where JAX is used."""
    if choose_runtime() == "jax":
        return {}
    from vujax.models.openvino_graph import choose_precision

    return {PACKAGE: f"{importlib.metadata.version(PACKAGE)} {choose_precision()}"}


class OpenVinoFunction:
    """Function of arrays that OpenVINO computes on the CPU; compiled once per shape."""

    def __init__(
        self, function: Callable[[Tree, Tree], Tree], variables: Tree, precision: str | None = None
    ) -> None:
        """Keep the function until its arrays' shapes are known.

        Args:
          function: takes variables and an array, or a tree of arrays; returns an array or a tree.
          variables: tree of weights.
          precision: see `openvino_graph.compile_graph`; None for the fastest.
        """
        self._function, self._variables = function, variables
        self._precision = precision
        self._requests: dict[tuple, Any] = {}

    def __call__(self, inputs: Tree) -> list[np.ndarray]:
        """Return the leaves of the function's result; not for two threads at once.

        Raises:
          NotImplementedError: see `vujax.models.openvino_graph.build_graph`.
        """
        arrays = jax.tree.leaves(inputs)
        key = tuple((x.shape, x.dtype) for x in arrays)
        if key not in self._requests:
            self._requests[key] = self._compile(inputs)
        request = self._requests[key]
        request.infer(arrays, share_inputs=True)
        return [np.array(tensor.data) for tensor in request.output_tensors]

    def _compile(self, inputs: Tree) -> Any:
        from vujax.models import openvino_graph

        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), inputs)
        graph = openvino_graph.build_graph(self._function, self._variables, shapes)
        precision = self._precision or openvino_graph.choose_precision()
        return openvino_graph.compile_graph(graph, precision)


class Pending:
    """Array that a thread still computes; `np.asarray` waits for it."""

    def __init__(self, future: "Future[np.ndarray]") -> None:
        self._future = future

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._future.result(), dtype, copy=copy)

    def __len__(self) -> int:
        return len(self._future.result())


def run_in_background(
    function: Callable[[np.ndarray], np.ndarray],
) -> Callable[[np.ndarray], Pending]:
    """Return a function that computes in a thread, one call after the other."""
    thread = ThreadPoolExecutor(1, "inference")
    return lambda array: Pending(thread.submit(function, array))


def build_weight_mesh(variables: Tree) -> Mesh:
    """Return the mesh of this process's devices; on CPU, fewer devices for large weights."""
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        size = sum(x.nbytes for x in jax.tree.leaves(variables))
        devices = devices[: max(1, MAX_COPIES_BYTES // max(size, 1))]
    return make_mesh(devices)


class ShardedFunction:
    """Compiled function of rows, with each batch sharded over the devices of `build_weight_mesh`.

    Attributes:
      devices: number of devices.
    """

    def __init__(self, function: Callable[[Tree, Tree], jax.Array], variables: Tree) -> None:
        """Copy the variables to the devices.

        Args:
          function: takes variables and arrays `[b ...]`, and returns an array `[b ...]` whose rows
            do not depend on each other.
          variables: first argument of the function.
        """
        self._mesh, self._function = build_weight_mesh(variables), jax.jit(function)
        self._variables = jax.device_put(variables, replicated_sharding(self._mesh))

    @property
    def devices(self) -> int:
        return self._mesh.size

    def dim(self, rows: Tree) -> int:
        """Return the size of the last axis of the result, without computing it."""
        return jax.eval_shape(self._function, self._variables, rows).shape[-1]

    def __call__(self, rows: Tree) -> jax.Array:
        """Return the result `[b ...]` of NumPy arrays `[b ...]`, still being computed."""
        count = len(jax.tree.leaves(rows)[0])
        if padding := -count % self._mesh.size:
            rows = jax.tree.map(lambda x: np.pad(x, [(0, padding)] + [(0, 0)] * (x.ndim - 1)), rows)
        found = self._function(self._variables, jax.device_put(rows, row_sharding(self._mesh)))
        return found[:count] if padding else found


class OpenVinoRows:
    """`ShardedFunction` through OpenVINO; a function that it cannot run stays in JAX."""

    def __init__(
        self, function: Callable[[Tree, Tree], jax.Array], variables: Tree, precision: str | None
    ) -> None:
        """Keep the function; see `ShardedFunction` and `OpenVinoFunction`."""
        self._function, self._variables = function, variables
        self._network: Callable[..., Any] = OpenVinoFunction(function, variables, precision)
        self._call = run_in_background(self._compute)

    def dim(self, rows: Tree) -> int:
        """Return the size of the last axis of the result, without computing it."""
        return jax.eval_shape(self._function, self._variables, rows).shape[-1]

    def __call__(self, rows: np.ndarray) -> Pending:
        """Return the result `[b ...]` of an array `[b ...]`, still being computed."""
        return self._call(rows)

    def _compute(self, rows: np.ndarray) -> np.ndarray:
        count = len(rows)
        size = 1 << (count - 1).bit_length()  # few shapes, so few compilations
        padded = np.pad(rows, [(0, size - count)] + [(0, 0)] * (rows.ndim - 1))
        try:
            [found] = self._network(padded)
        except NotImplementedError:
            network = ShardedFunction(self._function, self._variables)
            self._network = lambda rows: [np.asarray(network(rows))]
            [found] = self._network(padded)
        return found[:count]


def open_function(
    function: Callable[[Tree, Tree], jax.Array], variables: Tree, precision: str | None = None
) -> ShardedFunction | OpenVinoRows:
    """Open a function of rows in this process's runtime, see `inference.choose_runtime`.

    Args:
      function: see `ShardedFunction`; of one array.
      variables: first argument of the function.
      precision: OpenVINO's, see `inference.OpenVinoFunction`.
    """
    if choose_runtime() == "openvino":
        return OpenVinoRows(function, variables, precision)
    return ShardedFunction(function, variables)
