"""Collectives and largest arrays of compiled programs, read from their HLO text.

`Program(jitted.lower(...).compile().as_text())` works for any backend. HLO is XLA's language; its
text has no published grammar, so this parser reads no more than it needs.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
# Opcodes whose results are the memory of other instructions.
VIEWS = ("bitcast", "get-tuple-element", "parameter", "tuple", "while")
VIEWS += tuple(f"{kind}-done" for kind in COLLECTIVES)
BITS = {"pred": 8, "token": 0, "opaque": 0}  # the names of all others contain their width

COMPUTATION = re.compile(r"(ENTRY )?%?(?P<name>[\w.-]+) \(.*\{$")
INSTRUCTION = re.compile(
    r"\s+(ROOT )?%?(?P<name>[\w.-]+) = (?P<types>.*?) (?P<opcode>[a-z][\w-]*)\((?P<rest>.*)"
)
TENSOR = re.compile(r"\b([a-z]\w*)\[([\d,]*)\]")
CALLEES = re.compile(
    r"\b(body|condition|calls|to_apply|branch_computations|called_computations)="
    r"(?:\{([^}]*)\}|%?([\w.-]+))"
)


class Tensor(NamedTuple):
    """An array type of an HLO program, per device."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Size in memory."""
        width = re.search(r"\d+", self.dtype)
        bits = BITS.get(self.dtype, int(width.group()) if width else 8)
        return math.prod(self.shape) * bits // 8

    def __str__(self) -> str:
        return f"{self.dtype}[{' '.join(map(str, self.shape))}]"


class Instruction(NamedTuple):
    """One instruction of an HLO program.

    Attributes:
      name: unique in the program.
      opcode: such as 'fusion'.
      tensors: types of the results.
      operands: names of the operands.
      arguments: text in the parentheses.
      attributes: text after them.
    """

    name: str
    opcode: str
    tensors: tuple[Tensor, ...]
    operands: tuple[str, ...]
    arguments: str
    attributes: str

    @property
    def source(self) -> str:
        """JAX operation that it was compiled from; '' if unknown."""
        match = re.search(r'op_name="([^"]*)"', self.attributes)
        return match.group(1).replace("\\'", "'") if match else ""

    @property
    def callees(self) -> list[tuple[str, str]]:
        """`(role, computation)` of each computation that the instruction runs."""
        return [
            (role, name.strip(" %"))
            for role, names, single in CALLEES.findall(self.attributes)
            for name in (names or single).split(",")
        ]


class Placement(NamedTuple):
    """Loops and fusion around a computation.

    Attributes:
      trips: trip counts of the loops, outermost first; None: unknown.
      is_fused: True inside a fusion.
    """

    trips: tuple[int | None, ...]
    is_fused: bool


class Collective(NamedTuple):
    """One exchange between devices; `tensors` are its inputs or outputs, whichever are larger."""

    kind: str
    tensors: tuple[Tensor, ...]
    trips: tuple[int | None, ...]
    source: str

    @property
    def dtype(self) -> str:
        """Data types of the tensors, joined by '+'."""
        return "+".join(sorted({tensor.dtype for tensor in self.tensors}))

    @property
    def bytes(self) -> int:
        """Size of the tensors."""
        return sum(tensor.bytes for tensor in self.tensors)


class Program:
    """An optimized HLO module, parsed from its text."""

    def __init__(self, text: str) -> None:
        self.computations: dict[str, list[Instruction]] = {}
        entry, lines = "", []
        for line in text.splitlines():
            if header := COMPUTATION.match(line):
                lines = self.computations.setdefault(header["name"], [])
                entry = header["name"] if line.startswith("ENTRY") else entry
            elif match := INSTRUCTION.match(line):
                lines.append(_parse_instruction(match))
        self.placements: dict[str, Placement] = {}
        self._place(entry, Placement((), False))

    def _place(self, name: str, placement: Placement) -> None:
        if name in self.placements or name not in self.computations:
            return
        self.placements[name] = placement
        for instruction in self.computations[name]:
            for role, callee in instruction.callees:
                opcode, trips = instruction.opcode, placement.trips
                if opcode == "while":
                    trips = (*trips, self._count_trips(dict(instruction.callees)["condition"]))
                is_inner = opcode == "fusion" or (role == "to_apply" and opcode != "call")
                self._place(callee, Placement(trips, placement.is_fused or is_inner))

    def _count_trips(self, condition: str) -> int | None:
        """Return the bound of a loop's counter from 0, as in jax.lax.scan; None: unknown."""
        bounds = [i.arguments for i in self.computations[condition] if i.opcode == "constant"]
        return int(bounds[0]) if len(bounds) == 1 and bounds[0].isdecimal() else None

    def instructions(self) -> Iterator[tuple[Instruction, Placement]]:
        """Iterate over all reachable instructions, with their placement."""
        for name, placement in self.placements.items():
            for instruction in self.computations[name]:
                yield instruction, placement

    def collectives(self) -> list[Collective]:
        """Return all exchanges between devices; an asynchronous pair of start and done is one."""
        by_name = {i.name: i for i, _ in self.instructions()}
        done = {i.operands[0]: i for i in by_name.values() if i.opcode.endswith("-done")}
        collectives = []
        for instruction, placement in self.instructions():
            kind = instruction.opcode.removesuffix("-start")
            if kind in COLLECTIVES:
                result = done.get(instruction.name, instruction).tensors
                producers = [by_name[name] for name in instruction.operands if name in by_name]
                inputs = tuple(tensor for producer in producers for tensor in producer.tensors)
                payload = max((inputs, result), key=lambda tensors: sum(t.bytes for t in tensors))
                # Combined collectives lose their own source.
                sources = filter(None, [i.source for i in (instruction, *producers)])
                collectives.append(Collective(kind, payload, placement.trips, next(sources, "")))
        return collectives

    def find_largest(self, count: int) -> list[tuple[Tensor, int, str]]:
        """Return the largest arrays in memory: type, number of producers, source of one.

        Values inside fusions are never in memory and are left out; so are views of others.
        """
        sources: dict[Tensor, list[str]] = defaultdict(list)
        for instruction, placement in self.instructions():
            if not (placement.is_fused or instruction.opcode in VIEWS):
                for tensor in set(instruction.tensors):
                    sources[tensor].append(instruction.source)
        ranked = sorted(sources, key=lambda tensor: -tensor.bytes)[:count]
        return [(t, len(sources[t]), next(filter(None, sources[t]), "")) for t in ranked]

    def find_with_axes(self, first: int, second: int) -> dict[Tensor, str]:
        """Return tensors with an axis of each of two lengths, also in fusions, with a source."""
        tensors: dict[Tensor, str] = {}
        for instruction, _ in self.instructions():
            for tensor in instruction.tensors:
                lengths = list(tensor.shape)
                if first in lengths:
                    lengths.remove(first)
                    if second in lengths:
                        tensors[tensor] = tensors.get(tensor) or instruction.source
        return tensors


def _parse_instruction(line: re.Match[str]) -> Instruction:
    tensors = tuple(
        Tensor(dtype, tuple(int(n) for n in shape.split(",") if n))
        for dtype, shape in TENSOR.findall(line["types"])
    )
    arguments, _, attributes = line["rest"].partition(")")
    operands = tuple(re.findall(r"%([\w.-]+)", arguments))
    return Instruction(line["name"], line["opcode"], tensors, operands, arguments, attributes)
