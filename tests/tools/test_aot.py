"""tools/aot.py: its counts, and its reports on described TPUs."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.sharding import PartitionSpec as P

from tools import aot
from vujax.training.hlo import Collective, Tensor

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/aot.py", *arguments]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}  # for tests.configs
    return subprocess.run(command, cwd=ROOT, env=path, capture_output=True, text=True)


@pytest.fixture
def tiny_config(tmp_path: Path) -> str:
    path = tmp_path / "tiny.py"
    path.write_text(
        "from tests.configs import tiny\n"
        "def get_config():\n    return tiny(**{'model.scan': True, 'model.dtype': 'bfloat16'})"
    )
    return f"--config={path}"


def flops_of(f, *shapes) -> float:
    return aot.count_flops(jax.make_jaxpr(f)(*(jnp.zeros(shape) for shape in shapes)).jaxpr)


def test_flops_of_products_and_convolutions():
    assert flops_of(jnp.matmul, (3, 5), (5, 7)) == 2 * 3 * 5 * 7
    assert flops_of(functools.partial(jnp.einsum, "bqd,bkd->bqk"), (2, 3, 5), (2, 4, 5)) == 240
    convolve = functools.partial(
        lax.conv_general_dilated,
        window_strides=(2, 2),
        padding="VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    assert flops_of(convolve, (1, 8, 8, 3), (2, 2, 3, 16)) == 2 * (4 * 4 * 16) * (2 * 2 * 3)


def test_flops_count_each_turn_of_a_loop_recomputation_and_one_branch():
    @jax.checkpoint
    def layer(h, w):
        return jnp.tanh(h @ w), None

    def loss(ws, x):
        return lax.scan(layer, x, ws)[0].sum()

    product = 2 * 3 * 5 * 5
    assert flops_of(loss, (4, 5, 5), (3, 5)) == 4 * product
    # Forward, again for the backward pass, and two products of it.
    assert flops_of(jax.grad(loss), (4, 5, 5), (3, 5)) == 4 * 4 * product

    def branch(x, w):
        return lax.cond(x[0, 0] > 0, lambda: x @ w, lambda: jnp.zeros((3, 5)))

    assert flops_of(branch, (3, 5), (5, 5)) == product


def test_flops_in_shard_map_are_those_of_all_devices(mesh8):
    mapped = jax.shard_map(
        jnp.matmul, mesh=mesh8, in_specs=(P("data"), P()), out_specs=P("data"), check_vma=True
    )
    assert flops_of(mapped, (16, 5), (5, 7)) == flops_of(jnp.matmul, (16, 5), (5, 7))


def test_memory_counts_donated_arguments_once():
    stats = SimpleNamespace(
        argument_size_in_bytes=100,
        output_size_in_bytes=90,
        alias_size_in_bytes=80,
        temp_size_in_bytes=7,
        generated_code_size_in_bytes=3,
    )
    assert aot.summarize_memory(stats)["total"] == 120


def test_collectives_are_grouped_by_where_they_come_from():
    big, small = Tensor("f32", (256,)), Tensor("f32", (4,))
    rows = aot.group_collectives(
        [
            Collective("all-gather", (small,), (12,), "lse"),
            Collective("all-reduce", (big,), (), "grads"),
            Collective("all-reduce", (big, small), (), "grads"),
        ]
    )
    assert [(r["kind"], r["count"], r["bytes"], r["loops"]) for r in rows] == [
        ("all-reduce", 2, 2064, []),
        ("all-gather", 1, 16, [12]),
    ]
    lines = [aot._collective_line(row) for row in rows]
    assert " ".join(lines[0].split()) == "all-reduce f32 2 x 2.016 KiB outside loops f32[256] grads"
    assert "in a loop of 12" in lines[1]


@pytest.mark.parametrize("topology", ["", "v5e", "v9:2x2", "v5e:0x4", "v5e:2x2x2x2", "v5e:-1x2"])
def test_an_unknown_topology_is_one_sentence(topology):
    with pytest.raises(ValueError, match=r"unknown topology .* expected one of: v4, v5e"):
        aot.describe_devices(topology)


def test_a_missing_libtpu_names_the_extra(monkeypatch):
    monkeypatch.setattr(aot.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'vujax\[aot\]'"):
        aot.describe_devices("v5e:2x4")


def test_a_program_of_another_libtpu_is_one_sentence(monkeypatch):
    def as_text():
        raise jax.errors.JaxRuntimeError("INTERNAL: RET_CHECK failure")

    monkeypatch.setattr(aot.metadata, "version", lambda name: f"1-{name}")
    with pytest.raises(ValueError, match="jaxlib 1-jaxlib cannot read what libtpu 1-libtpu"):
        aot.read_hlo(SimpleNamespace(as_text=as_text))


def test_a_missing_config_is_one_sentence():
    done = run("--config=configs/nothing.py", "--topology=v5e:2x4")
    assert done.returncode == 1
    assert done.stderr == "Error: config file 'configs/nothing.py' does not exist\n"


@pytest.mark.tpu_aot
@pytest.mark.usefixtures("optimized")
def test_a_layout_that_no_pod_has_is_one_sentence():
    done = run("--config=configs/distill.py", "--topology=v5e:3x5")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: no topology 'v5e:3x5': Topology layout")


@pytest.mark.tpu_aot
@pytest.mark.usefixtures("optimized")
def test_the_step_on_a_pod(tiny_config):
    done = run(tiny_config, "--topology=v5e:2x4", "--batch=4096", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["fits"]
    assert (found["chips"], found["batch_size"]) == (8, 4096)
    assert found["memory"]["total"] < found["hbm_bytes_per_device"] == 16 * 2**30
    large = [row for row in found["collectives"] if row["bytes"] > 1000]
    # Every gradient is summed once, in f32, outside the loop over layers.
    assert {(row["dtype"], *row["loops"]) for row in large} == {("f32",)}
    reduced = sum(row["bytes"] for row in large if row["kind"] == "all-reduce")
    assert found["parameter_bytes"] <= reduced < 1.1 * found["parameter_bytes"]
    # The embeddings of both sides are gathered whole, at full precision.
    gathered = [tensor for row in large for tensor in row["tensors"] if "gather" in row["kind"]]
    assert "f32[4096 16]" in gathered
    assert found["forbidden"]["n_by_n"] == []


@pytest.mark.tpu_aot
@pytest.mark.usefixtures("optimized")
def test_divided_parameters_take_float32_sums(tiny_config):
    done = run(tiny_config, "--topology=v5e:2x4", "--batch=512", "--config.fsdp=true", "--json")
    assert done.returncode == 0, done.stderr
    sums = [
        row
        for row in json.loads(done.stdout)["collectives"]
        if row["kind"] in ("all-reduce", "reduce-scatter")
    ]
    assert sums and {row["dtype"] for row in sums if row["bytes"] > 100} == {"f32"}


@pytest.mark.tpu_aot
@pytest.mark.usefixtures("optimized")
def test_a_step_that_does_not_fit_says_the_number(tiny_config):
    done = run(tiny_config, "--topology=v5e:2x4", "--batch=4194304")
    assert done.returncode == 1
    assert "DOES NOT FIT" in done.stdout
    assert "(15.75G)" in done.stdout
