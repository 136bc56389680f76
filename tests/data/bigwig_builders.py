"""BigWigs written by hand after Kent et al. 2010: what the usual writers don't write."""

import struct
import zlib
from typing import NamedTuple

import numpy as np

MAGIC, TREE_MAGIC, INDEX_MAGIC = 0x888FFC26, 0x78CA8C91, 0x2468ACE0
HEADER_BYTES, SUMMARY_BYTES = 64, 40
BED_GRAPH, VARIABLE_STEP, FIXED_STEP = 1, 2, 3
KEY_BYTES = 8


class Section(NamedTuple):
    """Items of one contig: (start, end, value) of a bedGraph, (start, value) of variable, (value,) of fixed steps."""

    contig: str
    kind: int
    items: list
    start: int = 0
    step: int = 0
    span: int = 0

    @property
    def intervals(self):
        """(start, end, value) of each item."""
        if self.kind == BED_GRAPH:
            return list(self.items)
        if self.kind == VARIABLE_STEP:
            return [(start, start + self.span, value) for start, value in self.items]
        firsts = [self.start + index * self.step for index in range(len(self.items))]
        return [(first, first + self.span, value) for first, (value,) in zip(firsts, self.items, strict=True)]

    @property
    def bounds(self):
        """The first base, and past the last."""
        return min(start for start, _, _ in self.intervals), max(end for _, end, _ in self.intervals)

    def packed(self, number, order):
        """As it stands in the file, before it is compressed."""
        layout = {BED_GRAPH: "IIf", VARIABLE_STEP: "If", FIXED_STEP: "f"}[self.kind]
        head = (number, *self.bounds, self.step, self.span, self.kind, 0, len(self.items))
        return struct.pack(f"{order}IIIIIBBH", *head) + b"".join(
            struct.pack(f"{order}{layout}", *item) for item in self.items
        )


def write_sections(path, lengths, sections, *, order="<", is_packed=True, fan_out=4):
    """A bigWig of these sections, in this order.

    Args:
        path: to write to.
        lengths: of each contig; their numbers in the file follow their names backwards, as no writer does.
        sections: at least one.
        order: of bytes.
        is_packed: whether sections are compressed.
        fan_out: children of a node of the index.
    """
    numbers = {name: len(lengths) - 1 - index for index, name in enumerate(sorted(lengths))}
    blocks = [section.packed(numbers[section.contig], order) for section in sections]
    longest = max(map(len, blocks))
    blocks = [zlib.compress(block) for block in blocks] if is_packed else blocks
    summary = _summary([item for section in sections for item in section.intervals], order)
    tree = _tree(lengths, numbers, order)
    data = HEADER_BYTES + len(summary) + len(tree)
    leaves, offset = [], data + 8
    for section, block in zip(sections, blocks, strict=True):
        number, (start, end) = numbers[section.contig], section.bounds
        leaves.append(((number, start, number, end), offset, len(block)))
        offset += len(block)
    header = struct.pack(
        f"{order}IHHQQQHHQQIQ",
        *(MAGIC, 4, 0, HEADER_BYTES + len(summary), data, offset, 0, 0, 0, HEADER_BYTES),
        *(longest if is_packed else 0, 0),
    )
    index = _index(leaves, offset, order, fan_out)
    count = struct.pack(f"{order}Q", len(sections))
    path.write_bytes(header + summary + tree + count + b"".join(blocks) + index + struct.pack(f"{order}I", MAGIC))
    return path


def _summary(items, order):
    values = [value for _, _, value in items]
    n_bases = sum(end - start for start, end, _ in items)
    return struct.pack(f"{order}Qdddd", n_bases, np.nanmin(values), np.nanmax(values), 0.0, 0.0)


def _tree(lengths, numbers, order):
    head = struct.pack(f"{order}IIIIQQ", TREE_MAGIC, max(len(lengths), 1), KEY_BYTES, 8, len(lengths), 0)
    node = struct.pack(f"{order}BBH", 1, 0, len(lengths))
    for name in sorted(lengths):
        node += name.encode().ljust(KEY_BYTES, b"\0") + struct.pack(f"{order}II", numbers[name], lengths[name])
    return head + node


def _index(leaves, offset, order, fan_out):
    """The R tree, level by level from the root."""
    levels = [[(bounds, (place, n_bytes)) for bounds, place, n_bytes in leaves]]
    while len(levels[0]) > fan_out:
        below = levels[0]
        groups = [below[first : first + fan_out] for first in range(0, len(below), fan_out)]
        levels.insert(0, [(_around([bounds for bounds, _ in group]), None) for group in groups])
    everything = _around([bounds for bounds, _, _ in leaves])
    head = struct.pack(f"{order}IIQIIIIQII", INDEX_MAGIC, fan_out, len(leaves), *everything, offset, 1, 0)
    content, node_at = b"", offset + len(head)
    for depth, level in enumerate(levels):
        is_leaf = depth == len(levels) - 1
        nodes = [level[first : first + fan_out] for first in range(0, len(level), fan_out)]
        node_bytes = [4 + len(node) * (32 if is_leaf else 24) for node in nodes]
        child_at = node_at + sum(node_bytes)
        for node in nodes:
            content += struct.pack(f"{order}BBH", is_leaf, 0, len(node))
            for bounds, place in node:
                if is_leaf:
                    content += struct.pack(f"{order}IIIIQQ", *bounds, *place)
                else:
                    content += struct.pack(f"{order}IIIIQ", *bounds, child_at)
                    below = levels[depth + 1]
                    position = level.index((bounds, place))
                    n_children = len(below[position * fan_out : (position + 1) * fan_out])
                    child_at += 4 + n_children * (32 if depth + 1 == len(levels) - 1 else 24)
        node_at += sum(node_bytes)
    return head + content


def _around(bounds):
    first = min((number, start) for number, start, _, _ in bounds)
    return (*first, *max((number, end) for _, _, number, end in bounds))
