"""Networks through OpenVINO: a function's JAX program, rewritten as an OpenVINO graph.

The function is traced once for arrays of fixed shapes. Its weights become constants, and each
primitive one or a few operations; only the primitives that the package's networks consist of are
known. OpenVINO then folds, fuses and compiles the graph for the CPU, in bfloat16 where the CPU has
instructions for it.

JAX's convolutions have their channels last, OpenVINO's behind the batch. A node may therefore hold
its array with its axes in another order, see `Tensor`; arithmetic keeps that order, so that a
convolution, its batch norm and its activation stay next to each other and are fused.
"""

import functools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Hide the package by which an import of OpenVINO would report itself over the network."""
    name = "openvino_telemetry"
    hidden = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # makes its import fail
    try:
        yield
    finally:
        del sys.modules[name]
        if hidden is not None:
            sys.modules[name] = hidden


with _without_telemetry():
    import openvino as ov
    from openvino import opset15 as op


@dataclass(frozen=True)
class Tensor:
    """Value of a graph.

    Attributes:
      node: output of an OpenVINO node; its axis i is axis order[i] of the array. It may have length
        1 along axes over which the array repeats itself.
      order: permutation of the axes.
      shape: shape of the array.
    """

    node: Any
    order: tuple[int, ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, node: Any) -> "Tensor":
        """Wrap a node whose axes are in the array's order."""
        output = node.output(0) if hasattr(node, "output") else node
        shape = tuple(output.get_shape())
        return cls(output, tuple(range(len(shape))), shape)

    def arrange(self, order: Sequence[int], *, full: bool = True) -> Any:
        """Return an output with its axes in another order; `full` of the array's whole shape."""
        node, order = self.node, tuple(order)
        if order != self.order:
            axes = [self.order.index(axis) for axis in order]
            node = op.transpose(node, np.array(axes, np.int64)).output(0)
        shape = [self.shape[axis] for axis in order]
        if full and list(node.get_shape()) != shape:
            node = op.broadcast(node, np.array(shape, np.int64)).output(0)
        return node

    @property
    def array(self) -> Any:
        """Output with the array's own shape and order of axes."""
        return self.arrange(range(len(self.shape)))


def _align(tensors: Sequence[Tensor]) -> tuple[list[Any], tuple[int, ...]]:
    """Return outputs for arithmetic, with their axes in one order, and that order."""
    rank = max(len(tensor.shape) for tensor in tensors)
    natural = tuple(range(rank))
    orders = [t.order for t in tensors if len(t.shape) == rank and t.order != natural]
    order = orders[0] if orders else natural
    return [t.arrange(order, full=False) if t.shape else t.node for t in tensors], order


def _unary(build: Callable[[Any], Any]) -> Callable[..., Tensor]:
    def convert(x: Tensor, **params: Any) -> Tensor:
        return Tensor(build(x.node).output(0), x.order, x.shape)

    return convert


def _binary(build: Callable[[Any, Any], Any]) -> Callable[..., Tensor]:
    def convert(x: Tensor, y: Tensor, **params: Any) -> Tensor:
        (a, b), order = _align([x, y])
        return Tensor(build(a, b).output(0), order, np.broadcast_shapes(x.shape, y.shape))

    return convert


def _scalar(value: float, like: Any) -> Any:
    return op.constant(np.array(value, like.get_element_type().to_dtype()))


def _integer_pow(x: Tensor, *, y: int, **params: Any) -> Tensor:
    return Tensor(op.power(x.node, _scalar(y, x.node)).output(0), x.order, x.shape)


def _convert(x: Tensor, *, new_dtype: Any, **params: Any) -> Tensor:
    if np.dtype(new_dtype).name not in _DTYPES:
        raise NotImplementedError(f"arrays of {np.dtype(new_dtype).name}")
    kind = ov.Type(np.dtype(new_dtype))
    return Tensor(op.convert(x.node, kind).output(0), x.order, x.shape)


def _reshape(x: Tensor, *, new_sizes: Sequence[int], **params: Any) -> Tensor:
    return Tensor.of(op.reshape(x.array, np.array(new_sizes, np.int64), False))


def _squeeze(x: Tensor, *, dimensions: Sequence[int], **params: Any) -> Tensor:
    sizes = [n for axis, n in enumerate(x.shape) if axis not in dimensions]
    return _reshape(x, new_sizes=sizes)


def _expand(x: Tensor, *, dimensions: Sequence[int], **params: Any) -> Tensor:
    return Tensor.of(op.unsqueeze(x.array, np.array(dimensions, np.int64)))


def _transpose(x: Tensor, *, permutation: Sequence[int], **params: Any) -> Tensor:
    return Tensor.of(x.arrange(permutation))


def _broadcast(
    x: Tensor, *, shape: Sequence[int], broadcast_dimensions: Sequence[int], **params: Any
) -> Tensor:
    """Add axes of length 1; arithmetic repeats along them."""
    natural, sizes = x.arrange(range(len(x.shape)), full=False), [1] * len(shape)
    for axis, size in zip(broadcast_dimensions, natural.get_shape(), strict=True):
        sizes[axis] = size
    node = op.reshape(natural, np.array(sizes, np.int64), False).output(0)
    return Tensor(node, tuple(range(len(shape))), tuple(shape))


def _concatenate(*tensors: Tensor, dimension: int, **params: Any) -> Tensor:
    order = tensors[0].order
    nodes = [tensor.arrange(order) for tensor in tensors]
    shape = list(tensors[0].shape)
    shape[dimension] = sum(tensor.shape[dimension] for tensor in tensors)
    node = op.concat(nodes, order.index(dimension)).output(0)
    return Tensor(node, order, tuple(shape))


def _split(x: Tensor, *, sizes: Sequence[int], axis: int, **params: Any) -> list[Tensor]:
    lengths, place = np.array(sizes, np.int64), np.array(x.order.index(axis), np.int64)
    split = op.variadic_split(x.arrange(x.order), place, lengths)
    shapes = [(*x.shape[:axis], int(size), *x.shape[axis + 1 :]) for size in sizes]
    return [Tensor(o, x.order, s) for o, s in zip(split.outputs(), shapes, strict=True)]


def _slice(
    x: Tensor,
    *,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Sequence[int] | None,
    **params: Any,
) -> Tensor:
    steps = strides or [1] * len(x.shape)
    start, stop, step = (np.array(b, np.int64) for b in (start_indices, limit_indices, steps))
    return Tensor.of(op.slice(x.array, start, stop, step))


def _pad(x: Tensor, value: Tensor, *, padding_config: Any, **params: Any) -> Tensor:
    low, high, inner = np.array(padding_config, np.int64).T
    if inner.any():
        raise NotImplementedError("pad with inner padding")
    return Tensor.of(op.pad(x.array, low, high, "constant", value.node))


def _reduce(build: Callable[..., Any]) -> Callable[..., Tensor]:
    def convert(x: Tensor, *, axes: Sequence[int], **params: Any) -> Tensor:
        places = np.array([x.order.index(axis) for axis in axes], np.int64)
        kept = [axis for axis in range(len(x.shape)) if axis not in axes]
        order = tuple(kept.index(axis) for axis in x.order if axis in kept)
        node = build(x.arrange(x.order), places, False).output(0)
        return Tensor(node, order, tuple(x.shape[axis] for axis in kept))

    return convert


def _convolve(x: Tensor, kernel: Tensor, **params: Any) -> Tensor:
    numbers, groups = params["dimension_numbers"], params["feature_group_count"]
    if params["batch_group_count"] != 1 or set(params["lhs_dilation"]) != {1}:
        raise NotImplementedError("convolution with groups of the batch, or transposed")
    image, weights = x.arrange(numbers.lhs_spec), kernel.arrange(numbers.rhs_spec)
    low, high = np.array(params["padding"]).T.tolist()
    strides, dilations = list(params["window_strides"]), list(params["rhs_dilation"])
    build = op.convolution
    if groups > 1:
        out, *rest = weights.get_shape()
        sizes = np.array([groups, out // groups, *rest], np.int64)
        build, weights = op.group_convolution, op.reshape(weights, sizes, False)
    node = build(image, weights, strides, low, high, dilations).output(0)
    order = tuple(numbers.out_spec)
    held = list(node.get_shape())
    return Tensor(node, order, tuple(held[order.index(axis)] for axis in range(len(held))))


def _pool_sum(x: Tensor, *, window_dimensions: Sequence[int], **params: Any) -> Tensor:
    """Sum windows over axes other than the first and last; the last are the channels."""
    rank, strides, padding = len(x.shape), params["window_strides"], params["padding"]
    spatial = [axis for axis in range(rank) if (window_dimensions[axis], strides[axis]) != (1, 1)]
    outer = [axis for axis in range(rank - 1) if axis not in spatial]
    order = (*outer, rank - 1, *spatial)
    node = x.arrange(order)
    lead = [x.shape[axis] for axis in outer]
    sizes = [math.prod(lead), *node.get_shape()[len(lead) :]]
    window = [window_dimensions[axis] for axis in spatial]
    pooled = op.avg_pool(
        op.reshape(node, np.array(sizes, np.int64), False),
        [strides[axis] for axis in spatial],
        [padding[axis][0] for axis in spatial],
        [padding[axis][1] for axis in spatial],
        window,
        False,
    ).output(0)
    total = op.multiply(pooled, _scalar(math.prod(window), pooled))
    held = [*lead, *pooled.get_shape()[1:]]
    node = op.reshape(total, np.array(held, np.int64), False).output(0)
    return Tensor(node, order, tuple(held[order.index(axis)] for axis in range(rank)))


def _dot(a: Tensor, b: Tensor, *, dimension_numbers: Any, **params: Any) -> Tensor:
    contract, batch = dimension_numbers
    left, left_free = _to_matrix(a, batch[0], contract[0])
    right, right_free = _to_matrix(b, batch[1], contract[1])
    product = op.matmul(left, right, False, True)
    sizes = [a.shape[axis] for axis in batch[0]] + left_free + right_free
    return Tensor.of(op.reshape(product, np.array(sizes, np.int64), False))


def _to_matrix(x: Tensor, batch: Sequence[int], contract: Sequence[int]) -> tuple[Any, list[int]]:
    """Return an output [batch .. n k] of an operand of a product, and the lengths that n joins."""
    free = [axis for axis in range(len(x.shape)) if axis not in {*batch, *contract}]
    lengths = [x.shape[axis] for axis in free]
    sizes = [x.shape[axis] for axis in batch] + [math.prod(lengths)]
    sizes.append(math.prod(x.shape[axis] for axis in contract))
    node = x.arrange([*batch, *free, *contract])
    return op.reshape(node, np.array(sizes, np.int64), False), lengths


def _gather(table: Tensor, places: Tensor, *, dimension_numbers: Any, **params: Any) -> Tensor:
    """Look up rows of a table."""
    rank, row = len(places.shape) - 1, len(table.shape) - 1
    known = (tuple(range(rank, rank + row)), (0,), (0,))
    d = dimension_numbers
    if (d.offset_dims, d.collapsed_slice_dims, d.start_index_map) != known:
        raise NotImplementedError("gather of anything but rows")
    rows = op.squeeze(places.array, np.array([rank], np.int64))
    return Tensor.of(op.gather(table.array, rows, np.array(0, np.int64)))


def _scatter_add(
    table: Tensor, places: Tensor, rows: Tensor, *, dimension_numbers: Any, **params: Any
) -> Tensor:
    """Add rows to rows of a table."""
    d, count = dimension_numbers, len(places.shape) - 1
    known = (tuple(range(count, count + len(table.shape) - 1)), (0,), (0,))
    if (d.update_window_dims, d.inserted_window_dims, d.scatter_dims_to_operand_dims) != known:
        raise NotImplementedError("scatter of anything but rows")
    return Tensor.of(op.scatter_nd_update(table.array, places.array, rows.array, "sum"))


def _iota(*, dtype: Any, shape: Sequence[int], dimension: int, **params: Any) -> Tensor:
    sizes = [n if axis == dimension else 1 for axis, n in enumerate(shape)]
    values = np.arange(shape[dimension], dtype=dtype).reshape(sizes)
    return Tensor.of(op.constant(np.broadcast_to(values, shape).copy()))


def _choose(which: Tensor, false: Tensor, true: Tensor, **params: Any) -> Tensor:
    if which.node.get_element_type() != ov.Type.boolean:
        raise NotImplementedError("select by a number")
    (w, a, b), order = _align([which, false, true])
    shape = np.broadcast_shapes(which.shape, false.shape, true.shape)
    return Tensor(op.select(w, b, a).output(0), order, shape)


def _same(x: Tensor, **params: Any) -> Tensor:
    return x


_DTYPES = ("bool", "uint8", "int32", "int64", "float32")
_OPERATIONS: dict[str, Callable[..., Any]] = {
    **{
        name: _unary(build)
        for name, build in {
            "abs": op.abs,
            "erf": op.erf,
            "erfc": lambda x: op.subtract(_scalar(1, x), op.erf(x)),
            "exp": op.exp,
            "logistic": op.sigmoid,
            "neg": op.negative,
            "rsqrt": lambda x: op.divide(_scalar(1, x), op.sqrt(x)),
            "sqrt": op.sqrt,
            "square": lambda x: op.multiply(x, x),
            "tanh": op.tanh,
        }.items()
    },
    **{
        name: _binary(build)
        for name, build in {
            "add": op.add,
            "and": op.logical_and,
            "div": op.divide,
            "eq": op.equal,
            "ge": op.greater_equal,
            "gt": op.greater,
            "le": op.less_equal,
            "lt": op.less,
            "max": op.maximum,
            "min": op.minimum,
            "mul": op.multiply,
            "ne": op.not_equal,
            "or": op.logical_or,
            "sub": op.subtract,
        }.items()
    },
    "copy": _same,
    "stop_gradient": _same,
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolve,
    "convert_element_type": _convert,
    "dot_general": _dot,
    "expand_dims": _expand,
    "gather": _gather,
    "integer_pow": _integer_pow,
    "iota": _iota,
    "pad": _pad,
    "reduce_max": _reduce(op.reduce_max),
    "reduce_min": _reduce(op.reduce_min),
    "reduce_sum": _reduce(op.reduce_sum),
    "reduce_window_sum": _pool_sum,
    "reshape": _reshape,
    "scatter-add": _scatter_add,
    "select_n": _choose,
    "slice": _slice,
    "split": _split,
    "squeeze": _squeeze,
    "transpose": _transpose,
}
_CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "custom_jvp_call": "call_jaxpr"}
_CALLS |= {"custom_vjp_call": "call_jaxpr", "remat2": "jaxpr", "checkpoint": "jaxpr"}


def _run(closed: Any, inputs: Sequence[Any]) -> list[Any]:
    """Build the operations of a program, and return its results."""
    jaxpr = getattr(closed, "jaxpr", closed)
    values = dict(zip(jaxpr.invars, inputs, strict=True))
    consts = getattr(closed, "consts", ())
    values |= zip(jaxpr.constvars, map(_constant, consts), strict=True)

    def read(atom: Any) -> Any:
        return _constant(atom.val) if hasattr(atom, "val") else values[atom]

    for equation in jaxpr.eqns:
        results = _apply(equation, [read(atom) for atom in equation.invars])
        values |= zip(equation.outvars, results, strict=True)
    return [read(atom) for atom in jaxpr.outvars]


def _apply(equation: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    name, params = equation.primitive.name, equation.params
    if name == "platform_index":  # the branch without a platform is not tuned to one of XLA's
        return [params["platforms"].index(None)]
    if name == "cond":
        return _run(params["branches"][inputs[0]], inputs[1:])
    if name in _CALLS:
        return _run(params[_CALLS[name]], inputs)
    if name not in _OPERATIONS:
        raise NotImplementedError(f"no OpenVINO operation for JAX's {name!r}")
    result = _OPERATIONS[name](*inputs, **params)
    return result if isinstance(result, list) else [result]


def _constant(value: Any) -> Tensor:
    return Tensor.of(op.constant(np.asarray(value)))


def build_graph(function: Callable[[Any, Any], Any], variables: Any, inputs: Any) -> ov.Model:
    """Rewrite a function as an OpenVINO graph.

    Args:
      function: takes variables and an array, or a tree of arrays; returns an array or a tree.
      variables: tree of weights, which become constants.
      inputs: shapes and dtypes of the arrays.

    Returns:
      The graph; its inputs and outputs are the leaves of both trees, in JAX's order.

    Raises:
      NotImplementedError: the function has an operation that no network of the package has.
    """
    program = jax.make_jaxpr(function)(variables, inputs)
    weights = [_constant(leaf) for leaf in jax.tree.leaves(variables)]
    nodes = [
        op.parameter(list(x.shape), ov.Type(np.dtype(x.dtype))) for x in jax.tree.leaves(inputs)
    ]
    results = _run(program, [*weights, *map(Tensor.of, nodes)])
    return ov.Model([result.array for result in results], nodes, "vujax")


@functools.cache
def choose_precision() -> str:
    """Return the fastest precision on this CPU: 'bf16' where it has instructions for it."""
    capabilities = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in capabilities else "f32"


def compile_graph(graph: ov.Model, precision: str) -> ov.InferRequest:
    """Compile a graph for the CPU, and return the request that runs it.

    Args:
      graph: of `build_graph`.
      precision: 'f32', or 'bf16' for all but the last layers.
    """
    options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    return ov.Core().compile_model(graph, "CPU", options).create_infer_request()
