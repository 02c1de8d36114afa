"""The reader of HLO text, on text in the form that XLA prints for TPUs, and on a CPU program."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.sharding import PartitionSpec as P

from vujax.training.hlo import Program, Tensor

TEXT = """HloModule jit_step, is_scheduled=true, num_partitions=8

FileNames
1 "step.py"

%sum (a: f32[], b: f32[]) -> f32[] {
  %a = f32[]{:T(128)} parameter(0)
  %b = f32[]{:T(128)} parameter(1)
  ROOT %add.1 = f32[]{:T(128)} add(%a, %b)
}

%fused (p.0: f32[64,512]) -> f32[64,64] {
  %p.0 = f32[64,512]{1,0:T(8,128)} parameter(0)
  ROOT %dot.9 = f32[64,64]{1,0:T(8,128)} convolution(%p.0, %p.0), dim_labels=bf_oi->bf
}

%tile_body (t.1: (s32[], bf16[8,512])) -> (s32[], bf16[8,512]) {
  %t.1 = (s32[]{:T(128)}, bf16[8,512]{1,0:T(8,128)(2,1)S(1)}) parameter(0)
  %x.1 = bf16[8,512]{1,0:T(8,128)(2,1)S(1)} get-tuple-element(%t.1), index=1
  %cp-start = (bf16[8,512]{1,0}, bf16[8,512]{1,0}, u32[]{:S(2)}, u32[]{:S(2)}) collective-permute-start(%x.1), channel_id=4, source_target_pairs={{0,1},{1,0}}, metadata={op_name="jit(step)/while/body/while/body/dot"}
  %cp-done = bf16[8,512]{1,0:T(8,128)(2,1)S(1)} collective-permute-done(%cp-start), metadata={op_name="jit(step)/while/body/while/body/dot"}
  ROOT %r.1 = (s32[]{:T(128)}, bf16[8,512]{1,0}) tuple(%c.1, %cp-done)
}

%tile_cond (t.2: (s32[], bf16[8,512])) -> pred[] {
  %t.2 = (s32[]{:T(128)}, bf16[8,512]{1,0}) parameter(0)
  %i.2 = s32[]{:T(128)} get-tuple-element(%t.2), index=0
  ROOT %lt.2 = pred[]{:T(512)} compare(%i.2, %outside), direction=LT
}

%layer_body (t.3: (s32[], bf16[8,512])) -> (s32[], bf16[8,512]) {
  %t.3 = (s32[]{:T(128)}, bf16[8,512]{1,0}) parameter(0)
  %w.3 = f32[64,512]{1,0:T(8,128)} copy(%q.3), metadata={op_name="jit(step)/while/body/copy"}
  %rs.3 = f32[8,512]{1,0:T(8,128)} reduce-scatter(%w.3), channel_id=2, replica_groups=[1,8]<=[8], dimensions={0}, to_apply=%sum, metadata={op_name="jit(step)/while/body/reduce_scatter"}
  ROOT %tiles.3 = (s32[]{:T(128)}, bf16[8,512]{1,0}) while(%t.3), condition=%tile_cond, body=%tile_body
}

%layer_cond (t.4: (s32[], bf16[8,512])) -> pred[] {
  %t.4 = (s32[]{:T(128)}, bf16[8,512]{1,0}) parameter(0)
  %i.4 = s32[]{:T(128)} get-tuple-element(%t.4), index=0
  %n.4 = s32[]{:T(128)} constant(12), metadata={op_name="jit(step)/while"}
  ROOT %lt.4 = pred[]{:T(512)} compare(%i.4, %n.4), direction=LT
}

ENTRY %main.7_spmd (param.0: f32[8,512]) -> (f32[4], f32[]) {
  %param.0 = f32[8,512]{1,0:T(8,128)} parameter(0), sharding={devices=[8,1]<=[8]}
  %ag-start = (f32[8,512]{1,0}, f32[64,512]{1,0}) all-gather-start(%param.0), channel_id=1, replica_groups={{0,1,2,3,4,5,6,7}}, dimensions={0}
  %loop = (s32[]{:T(128)}, bf16[8,512]{1,0}) while(%init), condition=%layer_cond, body=%layer_body, metadata={op_name="jit(step)/while"}
  %ag-done = f32[64,512]{1,0:T(8,128)} all-gather-done(%ag-start), metadata={op_name="jit(step)/all_gather"}
  %fusion.1 = f32[64,64]{1,0:T(8,128)} fusion(%ag-done), kind=kOutput, calls=%fused
  %g.1 = f32[4]{0:T(128)} copy(%param.0)
  %g.2 = f32[]{:T(128)} copy(%param.0), metadata={op_name="jit(step)/psum[\\'a\\']"}
  ROOT %ar = (f32[4]{0:T(128)}, /*index=1*/f32[]{:T(128)}) all-reduce(%g.1, %g.2), channel_id=3, replica_groups={{0,1,2,3,4,5,6,7}}, to_apply=%sum
}
"""  # noqa: E501


@pytest.fixture
def program() -> Program:
    return Program(TEXT)


def test_collectives_have_their_bytes_dtype_and_loops(program):
    found = {c.kind: c for c in program.collectives()}
    assert len(program.collectives()) == len(found) == 4
    # Combined all-reduce: the sum of its tensors.
    assert found["all-reduce"].bytes == 4 * 4 + 4
    assert found["all-reduce"].trips == ()
    # Combining dropped its source: the first operand that has one speaks for it.
    assert found["all-reduce"].source == "jit(step)/psum['a']"
    # An asynchronous pair is one all-gather, of its result's size, with the source of either.
    assert found["all-gather"].bytes == 64 * 512 * 4
    assert found["all-gather"].tensors == (Tensor("f32", (64, 512)),)
    # A reduce-scatter sends its operand, not its smaller result.
    assert found["reduce-scatter"].bytes == 64 * 512 * 4
    assert found["reduce-scatter"].trips == (12,)
    # A loop whose bound is no constant has an unknown length.
    assert found["collective-permute"].trips == (12, None)
    assert found["collective-permute"].dtype == "bf16"
    assert found["collective-permute"].source == "jit(step)/while/body/while/body/dot"


def test_the_largest_tensors_are_those_in_memory(program):
    (tensor, count, source), second = program.find_largest(2)
    assert (str(tensor), tensor.bytes, count) == ("f32[64 512]", 64 * 512 * 4, 2)
    assert source == "jit(step)/while/body/copy"
    assert second[0].bytes <= tensor.bytes


def test_axes_are_searched_in_fusions_too(program):
    assert set(map(str, program.find_with_axes(64, 64))) == {"f32[64 64]"}
    assert set(map(str, program.find_with_axes(8, 512))) == {"bf16[8 512]", "f32[8 512]"}
    assert program.find_with_axes(512, 512) == {}
    inside = Program(TEXT.replace("%fusion.1 = f32[64,64]", "%fusion.1 = f32[8]"))
    assert set(map(str, inside.find_with_axes(64, 64))) == {"f32[64 64]"}
    wide = program.find_with_axes(64, 512)
    assert wide[Tensor("f32", (64, 512))] == "jit(step)/all_gather"


@pytest.mark.parametrize(
    ("dtype", "size"),
    [("pred", 6), ("s4", 3), ("bf16", 12), ("f8e4m3fn", 6), ("f64", 48), ("c64", 48), ("token", 0)],
)
def test_widths(dtype, size):
    assert Tensor(dtype, (2, 3)).bytes == size


@pytest.mark.usefixtures("optimized")
def test_a_program_of_this_machine(mesh8):
    def layer(h, w):
        return lax.pcast(lax.psum(h @ w, "data"), "data", to="varying"), None

    def step(x, ws):
        h, _ = lax.scan(layer, x, ws)
        return lax.all_gather(h, "data", tiled=True)

    mapped = jax.shard_map(step, mesh=mesh8, in_specs=(P("data"), P()), out_specs=P("data"))
    shapes = jnp.ones((64, 16)), jnp.ones((5, 16, 16))
    program = Program(jax.jit(mapped).lower(*shapes).compile().as_text())
    found = {c.kind: (str(c.tensors[0]), c.trips) for c in program.collectives()}
    assert found == {"all-reduce": ("f32[8 16]", (5,)), "all-gather": ("f32[64 16]", ())}
