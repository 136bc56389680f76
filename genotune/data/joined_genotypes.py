"""Several files of the same samples as one, as cohorts are often split by chromosome."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genotune.data.genotype_file import Decoder, GenotypeFile, as_steps, take_variants
from genotune.data.plink_files import BimTable, FamTable
from genotune.errors import DataError
from genotune.genome.chromosomes import common_names
from genotune.genome.contig_names import contig_codes, natural_order
from genotune.store import NO_POSITION, DosageArray, IntArray


@dataclass(frozen=True, eq=False)
class JoinedDecoder(Decoder):
    """Decodes variants from the files that hold them.

    Attributes:
        parts: a decoder of each file.
        part_of: (variant,) index of its file.
        row_of: (variant,) where it stands there.
        samples_of: of each file, (sample,) where the samples stand there.
    """

    parts: tuple[Decoder, ...]
    part_of: IntArray
    row_of: IntArray
    samples_of: tuple[IntArray, ...]
    is_fractional: bool = False
    is_sequential: bool = False

    def decode(self, samples: IntArray, variants: IntArray) -> DosageArray:
        """See `Decoder.decode`."""
        [dosage] = self.decode_in_turn(samples, [variants])
        return dosage

    def decode_in_turn(self, samples: IntArray, blocks: Sequence[IntArray]) -> Iterator[DosageArray]:
        """See `Decoder.decode_in_turn`: each file is read in its own turn."""
        wanted: list[list[IntArray]] = [[] for _ in self.parts]
        for block in blocks:
            for part in np.unique(self.part_of[block]).tolist():
                wanted[part].append(self.row_of[block[self.part_of[block] == part]])
        streams = [
            part.decode_in_turn(rows[samples], mine)
            for part, rows, mine in zip(self.parts, self.samples_of, wanted, strict=True)
        ]
        for block in blocks:
            dosage = np.empty((len(samples), len(block)), dtype=self.dtype)
            for part in np.unique(self.part_of[block]).tolist():
                found = next(streams[part])
                dosage[:, self.part_of[block] == part] = as_steps(found) if self.is_fractional else found
            yield dosage


def join_files(files: Sequence[GenotypeFile]) -> GenotypeFile:
    """The files as one: samples in the order of the first, variants by contig and position.

    Raises:
        DataError: with every fault: other samples in a file than in the first, or a variant that two files hold.
    """
    first = files[0]
    found = [_find_samples(first, file) for file in files]
    faults = [fault for fault in found if isinstance(fault, str)]
    part_of = np.repeat(np.arange(len(files)), [file.n_variants for file in files])
    row_of = np.concatenate([np.arange(file.n_variants) for file in files])
    joined = _concatenated([file.variants for file in files])
    faults += _held_twice(joined, part_of, files)
    if faults:
        raise DataError("\n".join(faults))
    order = np.lexsort((row_of, part_of, joined.starts, natural_order(joined.contigs)))
    decoders = [file.decoder for file in files]
    label = f"{first.label} and {len(files) - 1} more"
    return GenotypeFile(
        label=label,
        files={f"{role} {number}": each for number, file in enumerate(files, 1) for role, each in file.files.items()},
        samples_label=first.samples_label,
        variants_label=label,
        samples=first.samples,
        variants=take_variants(joined, order),
        columns=first.columns,
        decoder=JoinedDecoder(
            tuple(decoders),
            part_of[order],
            row_of[order],
            tuple(rows for rows in found if not isinstance(rows, str)),
            is_fractional=any(decoder.is_fractional for decoder in decoders),
            is_sequential=any(decoder.is_sequential for decoder in decoders),
        ),
        notes=tuple(note for file in files for note in file.notes),
    )


def _concatenated(tables: Sequence[BimTable]) -> BimTable:
    return BimTable(
        ids=np.concatenate([table.ids for table in tables]),
        contigs=np.concatenate([table.contigs for table in tables]),
        starts=np.concatenate([table.starts for table in tables]),
        counted=np.concatenate([table.counted for table in tables]),
        other=np.concatenate([table.other for table in tables]),
    )


def _find_samples(first: GenotypeFile, file: GenotypeFile) -> IntArray | str:
    """(sample of the first file,) where it stands in another; what is wrong if they aren't the same."""
    ours, theirs = _ids(first.samples), _ids(file.samples)
    place = {sample: row for row, sample in enumerate(theirs)}
    lacking = [sample for sample in ours if sample not in place]
    more = len(place) - (len(ours) - len(lacking))
    if not lacking and not more:
        return np.array([place[sample] for sample in ours], dtype=np.int64)
    known = {*ours}
    odd = lacking[0] if lacking else next(sample for sample in theirs if sample not in known)
    return (
        f"{file.samples_label}: lacks {len(lacking):,} of the {len(ours):,} samples of {first.samples_label} and has "
        f"{more:,} others, e.g. family {odd[0]!r}, individual {odd[1]!r}. Files of one cohort hold the same samples, "
        "by FID and IID, in any order: keep those that all have."
    )


def _ids(fam: FamTable) -> list[tuple[str, str]]:
    return list(zip(fam.fids.tolist(), fam.iids.tolist(), strict=True))


def _held_twice(variants: BimTable, part_of: IntArray, files: Sequence[GenotypeFile]) -> list[str]:
    """Variants that more than one file holds: by place and alleles, or by ID and alleles where they have no place."""
    names, codes = contig_codes(variants.contigs)
    common = common_names(names)
    is_placed = variants.starts != NO_POSITION
    is_swapped = variants.counted > variants.other
    table = pd.DataFrame(
        {
            "contig": np.array([common[name] for name in names], dtype=object)[codes],
            "start": variants.starts,
            "name": np.where(is_placed, "", variants.ids),
            "one": np.where(is_swapped, variants.other, variants.counted),
            "two": np.where(is_swapped, variants.counted, variants.other),
            "part": part_of,
        }
    )
    keys = ["contig", "start", "name", "one", "two"]
    each = table.drop_duplicates([*keys, "part"])
    again = each[each.duplicated(keys)]
    if again.empty:
        return []
    row = int(again.index[0])
    same = (table[keys] == table[keys].iloc[row]).all(axis=1)
    parts = np.unique(part_of[same.to_numpy()])[:2]
    one, other = (files[part].variants_label for part in parts.tolist())
    place = f"{variants.contigs[row]}:{variants.starts[row] + 1}" if is_placed[row] else variants.ids[row]
    more = f" And {len(again) - 1:,} more." if len(again) > 1 else ""
    return [
        f"{one}, {other}: both hold the variant {place} {variants.counted[row]}/{variants.other[row]}. "
        f"A variant is counted once: name the files of separate chromosomes.{more}"
    ]
