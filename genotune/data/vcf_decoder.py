"""Genotypes of a VCF or BCF, decoded by pysam: copies of the alternate allele, from GT or from DS.

Source of the fields: VCF specification 4.3, genotype fields; of what haploid and missing ones count: PLINK 2, --vcf.
"""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from genotune.data.files import InputFile
from genotune.data.genotype_file import Decoder, as_steps
from genotune.errors import DataError
from genotune.store import DOSAGE_STEPS, MISSING_DOSAGE, DosageArray, IntArray

_FAR: Final = 1000
"""Records between two that are wanted, from which on it is quicker to look up the second in the index."""

_ALLELES: Final[Mapping[str, int | None]] = {".": None, "0": 0, "1": 1}
_HAPLOID: Final = ("0", "1")
_COPIES: Final[Mapping[str, int]] = {
    **{one: MISSING_DOSAGE if n is None else 2 * n for one, n in _ALLELES.items()},
    **{
        f"{one}{phase}{two}": MISSING_DOSAGE if n is None or m is None else n + m
        for phase in "/|"
        for (one, n), (two, m) in itertools.product(_ALLELES.items(), repeat=2)
    },
}
"""Copies of the alternate allele in a genotype, as it is written. One of which half is missing is missing."""


class Places(NamedTuple):
    """Where the variants of a file stand.

    Attributes:
        records: (variant,) number of its record in the file, from 0.
        contigs: (variant,) index of its contig's name.
        names: of the contigs.
        starts: (variant,) 0-based.
        ranks: (variant,) how many records before it have the same contig and start.
    """

    records: IntArray
    contigs: IntArray
    names: tuple[str, ...]
    starts: IntArray
    ranks: IntArray


@dataclass(frozen=True, eq=False)
class VcfDecoder(Decoder):
    """Decodes a VCF or BCF: by regions where it has an index, else from its start.

    Attributes:
        vcf: the file.
        samples: names of all of them, in the order of the file.
        places: of its variants.
        is_fractional: DS is read, and GT only where it is missing; else GT.
        is_sequential: it has no index.
    """

    vcf: InputFile
    samples: tuple[str, ...]
    places: Places
    is_fractional: bool = False
    is_sequential: bool = False

    def decode(self, samples: IntArray, variants: IntArray) -> DosageArray:
        """See `Decoder.decode`."""
        [dosage] = self.decode_in_turn(samples, [variants])
        return dosage

    def decode_in_turn(self, samples: IntArray, blocks: Sequence[IntArray]) -> Iterator[DosageArray]:
        """See `Decoder.decode_in_turn`."""
        rising, column = np.unique(samples, return_inverse=True)
        names = [self.samples[sample] for sample in rising]
        source = _Source(self.vcf, names)
        with contextlib.closing(source), _faults(self.vcf):
            for block in blocks:
                order = np.argsort(self.places.records[block], kind="stable")
                dosage = np.empty((len(block), len(rising)), dtype=self.dtype)
                records = self._records(source, block[order])
                for row, record in zip(order, records, strict=True):
                    dosage[row] = self._read(record)
                yield dosage[:, column].T

    def _records(self, source: "_Source", variants: IntArray) -> Iterable[Any]:
        """The records of variants in the order of the file."""
        if self.is_sequential:
            return source.in_turn(self.places.records[variants].tolist())
        gaps = (np.diff(self.places.records[variants]) > _FAR) | (np.diff(self.places.contigs[variants]) != 0)
        stretches = np.split(variants, np.flatnonzero(gaps) + 1) if len(variants) else []
        return itertools.chain.from_iterable(self._fetched(source, stretch) for stretch in stretches)

    def _fetched(self, source: "_Source", variants: IntArray) -> Iterator[Any]:
        """The records of variants that lie near each other, by the index."""
        places = self.places
        wanted = list(zip(places.starts[variants].tolist(), places.ranks[variants].tolist(), strict=True))
        name, first, rank, n_found = places.names[places.contigs[variants[0]]], wanted[0][0], -1, 0
        at = -1
        for record in source.fetch(name, max(first, 0), wanted[-1][0] + 1):
            if record.start < first:
                continue
            rank = rank + 1 if record.start == at else 0
            at = record.start
            if n_found < len(wanted) and wanted[n_found] == (at, rank):
                n_found += 1
                yield record
        if n_found < len(wanted):
            place = f"{name}:{wanted[n_found][0] + 1}"
            raise DataError(
                f"{self.vcf.label}: its index leads to no record at {place}; it is of another file or an older one. "
                f"Make it again: bcftools index -f {self.vcf.label}"
            )

    def _read(self, record: Any) -> DosageArray:
        """(sample,) dosages of a record."""
        # As text: pysam's own objects of samples take four times as long.
        _, _, _, _, _, _, _, _, form, *cells = str(record).rstrip("\n").split("\t")
        fields = form.split(":")
        # Where there are genotypes, they come first.
        has_calls = fields[0] == "GT"
        calls = [cell.partition(":")[0] for cell in cells] if len(fields) > 1 else cells
        try:
            codes = [_COPIES[call] for call in calls] if has_calls else [MISSING_DOSAGE] * len(cells)
        except KeyError as error:
            raise DataError(
                f"{self.vcf.label}: {_name(record)}: the genotype {error.args[0]}; those of one or two alleles, each "
                "0 or 1, can be read. Leave the variant out."
            ) from error
        copies: DosageArray = np.array(codes, dtype=np.int8)
        if not self.is_fractional:
            return copies
        if "DS" not in fields:
            return as_steps(copies)
        most = np.array([1 if has_calls and call in _HAPLOID else 2 for call in calls])
        values = np.array([_number(cell, fields.index("DS")) for cell in cells])
        with np.errstate(invalid="ignore"):
            strange = np.flatnonzero(~np.isnan(values) & ~((values >= 0) & (values <= most)))
        if len(strange):
            shown, name = values[strange[0]], record.samples[int(strange[0])].name
            raise DataError(
                f"{self.vcf.label}: {_name(record)}: DS {shown:g} of {name}; a dosage lies between 0 and 2 (0 and 1 "
                "where a genotype has one allele)."
            )
        steps, known = as_steps(copies), ~np.isnan(values)
        steps[known] = np.rint(values * (2 // most) * DOSAGE_STEPS)[known]
        return steps


class _Source:
    """A file that is open, as far as it has been read."""

    def __init__(self, vcf: InputFile, samples: list[str]) -> None:
        self._vcf, self._samples = vcf, samples
        self._file: Any = None
        self._numbered: Iterator[tuple[int, Any]] = iter(())
        self._at = -1

    def in_turn(self, numbers: list[int]) -> Iterator[Any]:
        """The records of these numbers, which rise; begins again where they lie before the last one."""
        if self._file is None or (numbers and numbers[0] <= self._at):
            self._open()
            self._numbered, self._at = enumerate(self._file), -1
        for number in numbers:
            yield self._next(number)

    def _next(self, number: int) -> Any:
        """The record of a number that isn't passed yet."""
        for at, record in self._numbered:
            self._at = at
            if at == number:
                return record
        raise DataError(
            f"{self._vcf.label}: ends before record {number + 1} of those that were planned. Copy it again."
        )

    def fetch(self, contig: str, start: int, end: int) -> Iterable[Any]:
        """The records that overlap an interval."""
        if self._file is None:
            self._open()
        fetched: Iterable[Any] = self._file.fetch(contig, start, end)
        return fetched

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        self.close()
        self._file = open_quietly(self._vcf)
        self._file.subset_samples(self._samples)


def open_quietly(vcf: InputFile, *, drop_samples: bool = False) -> Any:
    """The file, by pysam; htslib's own messages are kept from the terminal."""
    import pysam

    pysam.set_verbosity(0)
    return pysam.VariantFile(str(vcf.path), drop_samples=drop_samples)


@contextlib.contextmanager
def _faults(vcf: InputFile) -> Iterator[None]:
    """What pysam says becomes an error that names the file."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise DataError(f"{vcf.label}: can't be decoded: {error}. Copy it again.") from error


def _number(cell: str, field: int) -> float:
    """One field of a sample, NaN where it is missing; fields at the end may be left out."""
    parts = cell.split(":", field + 1)
    return np.nan if len(parts) <= field or parts[field] == "." else float(parts[field])


def _name(record: Any) -> str:
    return f"{record.contig}:{record.pos}:{record.ref}:{','.join(record.alts or ('.',))}"
