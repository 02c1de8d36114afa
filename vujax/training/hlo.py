"""Compiled HLO programs, read from their text: what devices exchange, and what is in memory.

`Program(jitted.lower(...).compile().as_text())` works for any backend. HLO is XLA's language; the
grammar of its text is only what the compilers print, so this reads no more than it must.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
# Results that are other instructions' memory.
VIEWS = ("bitcast", "get-tuple-element", "parameter", "tuple", "while")
VIEWS += tuple(f"{kind}-done" for kind in KINDS)
BITS = {"pred": 8, "token": 0, "opaque": 0}  # the others' names hold their width

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
        width = re.search(r"\d+", self.dtype)
        bits = BITS.get(self.dtype, int(width.group()) if width else 8)
        return math.prod(self.shape) * bits // 8

    def __str__(self) -> str:
        return f"{self.dtype}[{' '.join(map(str, self.shape))}]"


class Instruction(NamedTuple):
    """A line of HLO text: its results, its operands' names, and the JAX operation behind it."""

    name: str
    opcode: str
    tensors: tuple[Tensor, ...]
    operands: tuple[str, ...]
    given: str
    attributes: str

    @property
    def source(self) -> str:
        found = re.search(r'op_name="([^"]*)"', self.attributes)
        return found.group(1).replace("\\'", "'") if found else ""

    @property
    def callees(self) -> list[tuple[str, str]]:
        """(role, computation) of each computation that the instruction runs."""
        return [
            (role, name.strip(" %"))
            for role, several, one in CALLEES.findall(self.attributes)
            for name in (several or one).split(",")
        ]


class Place(NamedTuple):
    """Where a computation runs: the trips of its loops (None: unknown), and whether in a fusion."""

    trips: tuple[int | None, ...]
    fused: bool


class Collective(NamedTuple):
    """One exchange between devices; `tensors` are its inputs or its outputs, whichever is more."""

    kind: str
    tensors: tuple[Tensor, ...]
    trips: tuple[int | None, ...]
    source: str

    @property
    def dtype(self) -> str:
        return "+".join(sorted({tensor.dtype for tensor in self.tensors}))

    @property
    def bytes(self) -> int:
        return sum(tensor.bytes for tensor in self.tensors)


class Program:
    """An optimized HLO module, read from its text."""

    def __init__(self, text: str) -> None:
        self.computations: dict[str, list[Instruction]] = {}
        entry, lines = "", []
        for line in text.splitlines():
            if header := COMPUTATION.match(line):
                lines = self.computations.setdefault(header["name"], [])
                entry = header["name"] if line.startswith("ENTRY") else entry
            elif found := INSTRUCTION.match(line):
                lines.append(_instruction(found))
        self.places: dict[str, Place] = {}
        self._place(entry, Place((), False))

    def _place(self, name: str, place: Place) -> None:
        if name in self.places or name not in self.computations:
            return
        self.places[name] = place
        for instruction in self.computations[name]:
            for role, callee in instruction.callees:
                opcode, trips = instruction.opcode, place.trips
                if opcode == "while":
                    trips = (*trips, self._trips(dict(instruction.callees)["condition"]))
                inner = opcode == "fusion" or (role == "to_apply" and opcode != "call")
                self._place(callee, Place(trips, place.fused or inner))

    def _trips(self, condition: str) -> int | None:
        """The bound that a loop's counter from 0 is compared with, as jax.lax.scan counts."""
        given = [i.given for i in self.computations[condition] if i.opcode == "constant"]
        return int(given[0]) if len(given) == 1 and given[0].isdecimal() else None

    def instructions(self) -> Iterator[tuple[Instruction, Place]]:
        """All that can run, with its place."""
        for name, place in self.places.items():
            for instruction in self.computations[name]:
                yield instruction, place

    def collectives(self) -> list[Collective]:
        """All exchanges between devices; an asynchronous pair of start and done is one."""
        by_name = {i.name: i for i, _ in self.instructions()}
        done = {i.operands[0]: i for i in by_name.values() if i.opcode.endswith("-done")}
        found = []
        for instruction, place in self.instructions():
            kind = instruction.opcode.removesuffix("-start")
            if kind in KINDS:
                result = done.get(instruction.name, instruction).tensors
                givers = [by_name[name] for name in instruction.operands if name in by_name]
                given = tuple(tensor for giver in givers for tensor in giver.tensors)
                payload = max((given, result), key=lambda tensors: sum(t.bytes for t in tensors))
                # Combined collectives lose their own source.
                sources = filter(None, [i.source for i in (instruction, *givers)])
                found.append(Collective(kind, payload, place.trips, next(sources, "")))
        return found

    def largest(self, count: int) -> list[tuple[Tensor, int, str]]:
        """The largest arrays in memory: type, how many operations give it, one of their sources.

        Values inside fusions are never in memory and are left out; so are views of others.
        """
        givers: dict[Tensor, list[str]] = defaultdict(list)
        for instruction, place in self.instructions():
            if not (place.fused or instruction.opcode in VIEWS):
                for tensor in set(instruction.tensors):
                    givers[tensor].append(instruction.source)
        ranked = sorted(givers, key=lambda tensor: -tensor.bytes)[:count]
        return [(t, len(givers[t]), next(filter(None, givers[t]), "")) for t in ranked]

    def with_axes(self, first: int, second: int) -> dict[Tensor, str]:
        """Tensors anywhere, also in fusions, that have an axis of each of two lengths; a source."""
        found: dict[Tensor, str] = {}
        for instruction, _ in self.instructions():
            for tensor in instruction.tensors:
                lengths = list(tensor.shape)
                if first in lengths:
                    lengths.remove(first)
                    if second in lengths:
                        found[tensor] = found.get(tensor) or instruction.source
        return found


def _instruction(line: re.Match[str]) -> Instruction:
    tensors = tuple(
        Tensor(dtype, tuple(int(n) for n in shape.split(",") if n))
        for dtype, shape in TENSOR.findall(line["types"])
    )
    given, _, attributes = line["rest"].partition(")")
    operands = tuple(re.findall(r"%([\w.-]+)", given))
    return Instruction(line["name"], line["opcode"], tensors, operands, given, attributes)
