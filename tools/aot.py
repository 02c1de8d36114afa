"""Compile a config's train step for a described TPU pod: memory, collectives, largest tensors.

python tools/aot.py --config=configs/distill.py:vit_b32 --topology=v5e:16x16 --batch=32768
python tools/aot.py --config=configs/distill.py:vit_l14 --config.fsdp=false --topology=v5p:4x4x4

Needs no TPU: libtpu (extra [aot]) compiles on any machine and enforces the chip's HBM. Ends with
status 1 when the step does not fit or holds a tensor of N x N, N being the batch size.
"""

import importlib.util
import json
import math
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import ml_collections
from absl import app, flags
from jax.experimental import topologies
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
from ml_collections import config_flags

from vujax.training import setup
from vujax.training.hlo import Collective, Program, Tensor
from vujax.utils.mesh import make_mesh

# Read by libtpu when it is loaded: no metadata server, no other hosts, no device lock.
LIBTPU = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
# GiB per chip as published; the compiler reserves a share.
HBM_GIB = {"v4": 32, "v5e": 16, "v5p": 95, "v6e": 32}
EXAMPLES = 10**9  # a large data set: its length only scales the schedule
LARGEST = 8


def count_flops(jaxpr: Jaxpr) -> float:
    """Count the operations of all devices in products and convolutions, with loops and remat.

    XLA's own count includes the body of a loop once. A `while` of unknown length counts once here.
    """
    total = 0.0
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "dot_general":
            (contracting, _), _ = eqn.params["dimension_numbers"]
            shape = eqn.invars[0].aval.shape
            total += 2.0 * eqn.outvars[0].aval.size * math.prod(shape[axis] for axis in contracting)
        elif eqn.primitive.name == "conv_general_dilated":
            kernel = eqn.invars[1].aval
            features = kernel.shape[eqn.params["dimension_numbers"].rhs_spec[0]]
            total += 2.0 * eqn.outvars[0].aval.size * kernel.size / features
        inner = [count_flops(inner) for inner in _inner_jaxprs(eqn.params)]
        is_cond = eqn.primitive.name == "cond"
        total += _count_runs(eqn) * (max(inner, default=0.0) if is_cond else sum(inner))
    return total


def _count_runs(eqn: JaxprEqn) -> int:
    """Count the runs of an operation's inner jaxpr, over all devices."""
    if eqn.primitive.name == "scan":
        return eqn.params["length"]
    return eqn.params["mesh"].size if eqn.primitive.name == "shard_map" else 1


def _inner_jaxprs(params: dict[str, Any]) -> Iterator[Jaxpr]:
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, ClosedJaxpr):
                yield item.jaxpr
            elif isinstance(item, Jaxpr):
                yield item


def describe_devices(topology: str) -> list[jax.Device]:
    """Return the devices of a described pod slice, 'v5e:16x16'.

    Raises:
      ValueError: libtpu is missing, or the topology is unknown.
    """
    if importlib.util.find_spec("libtpu") is None:
        raise ValueError("libtpu is not installed: pip install 'vujax[aot]'")
    kind, _, layout = topology.partition(":")
    # Checked here because a zero in it ends libtpu with a signal.
    if kind not in HBM_GIB or not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){1,2}", layout):
        known = ", ".join(HBM_GIB)
        raise ValueError(
            f"unknown topology '{topology}'; expected one of: {known}, with a layout: v5e:4x4"
        )
    os.environ.update(LIBTPU)
    try:
        return list(topologies.get_topology_desc(topology, "tpu").devices)
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).partition(": ")[2].splitlines()[0]
        raise ValueError(f"no topology '{topology}': {reason}") from error


def build_report(
    config: ml_collections.ConfigDict, topology: str, forbid: int | None
) -> dict[str, Any]:
    """Compile the train step of `config` for `topology`, and return a JSON-ready report.

    Args:
      config: see configs/.
      topology: see `describe_devices`.
      forbid: size N of the N x N tensors to search for; None: the batch size.

    Raises:
      ValueError: the topology is unknown, or the config cannot be built on it.
    """
    devices = describe_devices(topology)
    mesh = make_mesh(devices)
    parts = setup.build_parts(config, mesh, examples=EXAMPLES)
    traced = parts.step.trace(parts.state, setup.build_abstract_batch(config, mesh))
    params = jax.tree.leaves(parts.state.params)
    chips = len({tuple(device.coords) for device in devices})
    hbm = HBM_GIB[topology.partition(":")[0]] * 2**30 * chips // len(devices)
    facts = {
        "topology": topology,
        "device_kind": devices[0].device_kind,
        "chips": chips,
        "devices": len(devices),
        "hbm_bytes_per_device": hbm,
        "batch_size": config.batch_size,
        "parameters": sum(leaf.size for leaf in params),
        "parameter_bytes": sum(leaf.size * leaf.dtype.itemsize for leaf in params),
        "flops_per_chip": count_flops(traced.jaxpr.jaxpr) / chips,
    }
    try:
        compiled = traced.lower().compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return facts | {"fits": False, "compiler": str(error).splitlines()[0]}
    program = Program(read_hlo(compiled))
    return facts | {
        "fits": True,
        "memory": summarize_memory(compiled.memory_analysis()),
        "collectives": group_collectives(program.collectives()),
        "largest": list_largest(program),
        "forbidden": find_square(program, forbid or config.batch_size, len(devices)),
    }


def read_hlo(compiled: jax.stages.Compiled) -> str:
    """Return the optimized HLO.

    Raises:
      ValueError: libtpu's program is newer than jaxlib can read; jax pins a libtpu for that reason.
    """
    try:
        return compiled.as_text()
    except jax.errors.JaxRuntimeError as error:
        raise ValueError(
            f"jaxlib {metadata.version('jaxlib')} cannot read what libtpu "
            f"{metadata.version('libtpu')} compiled: pip install 'jax[tpu]=={jax.__version__}' "
            "installs the matching libtpu"
        ) from error


def list_largest(program: Program) -> list[dict[str, Any]]:
    """Return the largest tensors in a device's memory."""
    return [
        {"tensor": str(tensor), "bytes": tensor.bytes, "count": count, "source": source}
        for tensor, count, source in program.find_largest(LARGEST)
    ]


def find_square(program: Program, n: int, devices: int) -> dict[str, Any]:
    """Return tensors with two axes of N, or one of N and one of a device's share of N."""
    rows = n // devices
    tensors_by_name = {
        "n_by_n": program.find_with_axes(n, n),
        "rows_by_n": program.find_with_axes(rows, n),
    }
    listed = {
        name: [{"tensor": str(tensor), "source": source} for tensor, source in tensors.items()]
        for name, tensors in tensors_by_name.items()
    }
    return {"n": n, "rows": rows} | listed


def summarize_memory(stats: Any) -> dict[str, int]:
    """Return the HBM of one device in bytes; donated arguments that become outputs count once."""
    parts = {
        "arguments": stats.argument_size_in_bytes,
        "outputs": stats.output_size_in_bytes - stats.alias_size_in_bytes,
        "temporaries": stats.temp_size_in_bytes,
        "program": stats.generated_code_size_in_bytes,
    }
    return parts | {"total": sum(parts.values())}


def group_collectives(collectives: list[Collective]) -> list[dict[str, Any]]:
    """Group collectives by kind, dtype, loop and source, the largest first."""
    groups: dict[tuple[Any, ...], list[Collective]] = defaultdict(list)
    for item in collectives:
        groups[item.kind, item.dtype, item.trips, item.source].append(item)
    rows = [
        {
            "kind": kind,
            "dtype": dtype,
            "count": len(members),
            "bytes": sum(item.bytes for item in members),
            "loops": list(trips),
            "source": source,
            "tensors": [
                str(tensor) for tensor in sort_by_size(t for item in members for t in item.tensors)
            ],
        }
        for (kind, dtype, trips, source), members in groups.items()
    ]
    return sorted(rows, key=lambda row: -row["bytes"])


def sort_by_size(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Return unique tensors, the largest first."""
    return sorted(set(tensors), key=lambda tensor: (-tensor.bytes, str(tensor)))


def format_report(found: dict[str, Any]) -> str:
    """Return the report as text."""
    rows = found["batch_size"] // found["devices"]
    lines = [
        f"{found['devices']} x {found['device_kind']} ({found['topology']}), batch "
        f"{found['batch_size']}: {rows} rows per device",
        f"parameters   {found['parameters']:,} ({_size(found['parameter_bytes'])})",
        f"operations   {found['flops_per_chip'] / 1e12:.3f} TFLOP per chip and step, in matrix "
        "products and convolutions as traced, with loops and recomputation",
    ]
    if not found["fits"]:
        return "\n".join([*lines, f"DOES NOT FIT: {found['compiler']}"])
    used = found["memory"]
    parts = ", ".join(f"{name} {_size(used[name])}" for name in used if name != "total")
    share = f"{_size(used['total'])} of {_size(found['hbm_bytes_per_device'])}"
    lines += [
        f"HBM          {share} per device: {parts}",
        "",
        "collectives: number, bytes per device and run, largest tensor",
    ]
    lines += [_collective_line(row) for row in found["collectives"]] or ["  none"]
    lines += ["", "largest tensors in memory"]
    for row in found["largest"]:
        head = f"  {_size(row['bytes']):>10}  {row['tensor']}"
        lines.append(f"{head:50} x {row['count']:<4} {_short(row['source'])}")
    return "\n".join([*lines, "", *_square_lines(found["forbidden"]), "FITS"])


def _collective_line(row: dict[str, Any]) -> str:
    loops = " x ".join("unknown" if trips is None else str(trips) for trips in row["loops"])
    where = f"in a loop of {loops}" if loops else "outside loops"
    head = f"  {row['kind']:18} {row['dtype']:5} {row['count']:3} x  {_size(row['bytes']):>10}"
    return f"{head}  {where:18} {row['tensors'][0]:22} {_short(row['source'])}"


def _square_lines(found: dict[str, Any]) -> list[str]:
    lines = []
    for name, first, tensors in (
        ("N x N", found["n"], found["n_by_n"]),
        ("a device's rows x N", found["rows"], found["rows_by_n"]),
    ):
        lines.append(f"tensors [{first} {found['n']}] ({name}): {'' if tensors else 'none'}")
        lines += [f"  {row['tensor']}  {_short(row['source'])}" for row in tensors]
    return lines


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


def _short(source: str) -> str:
    return source if len(source) <= 70 else "..." + source[-67:]


def define_flags() -> None:
    """Define the flags; not at import, because vujax.main has a flag of the same name."""
    config_flags.DEFINE_config_file("config", None, "config file, FILE.py or FILE.py:ARGUMENT")
    flags.DEFINE_string("topology", None, "pod slice, such as v5e:16x16 or v5p:4x4x4")
    flags.DEFINE_integer("batch", None, "global batch size (default: the config's)")
    flags.DEFINE_integer(
        "forbid", None, "size N of the N x N tensors to search for (default: the batch size)"
    )
    flags.DEFINE_bool("json", False, "print one JSON object")
    flags.mark_flags_as_required(["config", "topology"])


def main(argv: list[str]) -> int:
    """Print the report; return 1 if the step does not fit or has an N x N tensor."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument '{argv[1]}': settings are --config.a.b=value")
    # The described devices only compile; arrays of jax itself are on the CPU.
    jax.config.update("jax_platforms", "cpu")
    given = flags.FLAGS
    file = given["config"].config_filename.partition(":")[0]
    if not Path(file).is_file():
        sys.exit(f"Error: config file '{file}' does not exist")
    if given.batch is not None:
        given.config.batch_size = given.batch
    try:
        found = build_report(given.config, given.topology, given.forbid)
    except ValueError as error:
        sys.exit(f"Error: {error}")
    print(json.dumps(found, indent=2) if given.json else format_report(found))
    return int(not found["fits"] or bool(found["forbidden"]["n_by_n"]))


if __name__ == "__main__":
    define_flags()
    app.run(main)
