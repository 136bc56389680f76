"""What a source makes and a trainable reads: a few contiguous arrays, shared by all trials of a node.

All arrays are read-only in a trial: they lie in shared memory. An outline is what is known of a store before that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genotune.columns import COVARIATE, DOSAGE, PHENOTYPE, SEQUENCE, SIGNAL, TargetKind
from genotune.settings import Settings

CodeArray = NDArray[np.uint8]
DosageArray = NDArray[np.int8] | NDArray[np.uint16]
"""Copies of an allele: whole ones in int8, fractions of one in uint16 (see `DOSAGE_STEPS`)."""
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
TextArray = NDArray[np.str_]
Values = NDArray[np.float64]

N_CODE: Final = 4
"""The code of an unknown base."""

MISSING_DOSAGE: Final = -1
"""The code of a genotype that was not called, in int8."""

DOSAGE_STEPS: Final = 1 << 14
"""A copy, in uint16: PLINK 2 stores dosages in such steps, so none of them is rounded."""

MISSING_STEPS: Final = (1 << 16) - 1
"""The code of a genotype that is not known, in uint16."""

LABEL_SHARE: Final = 0.5
"""Share of a bin's bases in a peak from which it is positive. Source: Zhou and Troyanskaya 2015, Online Methods."""

NO_POSITION: Final = -1
"""Stands for the position of a variant that has none."""


def missing_code(dosage: DosageArray) -> int:
    """What stands for an unknown genotype in such an array."""
    return MISSING_DOSAGE if dosage.dtype == np.int8 else MISSING_STEPS


def copies(dosage: DosageArray) -> FloatArray:
    """Dosages as copies of the counted allele, from 0 to 2; NaN where unknown.

    Args:
        dosage: of any shape; a part of the store's, since it gets a float32 for each.
    """
    values = dosage.astype(np.float32)
    if dosage.dtype == np.uint16:
        values /= np.float32(DOSAGE_STEPS)
    values[dosage == missing_code(dosage)] = np.nan
    return values


class Windows(NamedTuple):
    """What a model sees at once: codes (example, base) and signal (example, track, bin) at the store's resolution."""

    codes: CodeArray
    signal: FloatArray


class TrackSplits(NamedTuple):
    """Indices of the tracks to learn from, and of those to validate on."""

    train: IntArray
    validation: IntArray


class Splits(NamedTuple):
    """Indices of the contigs (or samples) that a trial may see. The test split is not among them.

    Attributes:
        tracks: where the tracks are split too; None: all of them are in all splits.
    """

    train: IntArray
    validation: IntArray
    tracks: TrackSplits | None = None


class Peaks(NamedTuple):
    """Intervals where a signal is high, by contig and start.

    Attributes:
        contigs: (peak,) int64, index in the store.
        starts: (peak,) int64, first base on the contig.
        ends: (peak,) int64, past the last base.
        summits: (peak,) int64, base of the highest signal; the middle where a file names none.
    """

    contigs: IntArray
    starts: IntArray
    ends: IntArray
    summits: IntArray


class SequenceOutline(NamedTuple):
    """What is known of a store of tracks before anything is decoded, as far as one split goes.

    Attributes:
        tracks: names.
        contig_lengths: in bp, of the split's contigs.
        kind: of what the tracks hold; see `SequenceStore.kind`.
        n_peaks: of each set of peaks, how many lie on the split's contigs.
    """

    resolution_bp: int
    tracks: tuple[str, ...]
    contig_lengths: tuple[int, ...]
    kind: TargetKind = "signal"
    n_peaks: Mapping[str, int] = {}


class GenotypeOutline(NamedTuple):
    """What is known of a store of genotypes before anything is decoded, as far as one split goes.

    Attributes:
        n_samples: of the split.
        n_variants: that are kept, at most: filters may leave fewer.
        kind: of the trait.
        n_classes: of a binary or multiclass trait; 0 of any other.
        n_covariates: columns of covariates.
        has_summary: whether summary statistics of another study are there.
        n_features: columns that further tables may become: one of a number, one for each level of a category.
    """

    n_samples: int
    n_variants: int
    kind: TargetKind
    n_classes: int
    n_covariates: int
    has_summary: bool = False
    n_features: int = 0


Outline = SequenceOutline | GenotypeOutline


@dataclass(frozen=True, eq=False)
class SequenceStore:
    """The genome and its tracks, contigs end to end.

    Each contig is padded with N to a whole number of bins, so bin i of the store covers the bases
    [i * resolution_bp, (i + 1) * resolution_bp) of `sequence`.

    Attributes:
        sequence: (base,) uint8, A C G T N as 0 1 2 3 4.
        signal: (track, bin) float32, mean signal per base; NaN where the track holds no value
            (under `missing: nan`) or the bin is excluded. The last bin of a contig is the mean of the bases it has.
        offsets: (contig + 1,) int64, first bin of each contig, and the number of bins.
        lengths: (contig,) int64, length of each contig in bp, without padding.
        contigs: names, in the order of the reference.
        tracks: names, in the order of the spec.
        resolution_bp: width of a bin.
        kind: 'signal'; 'binary': `signal` holds the share of a bin's bases that lie in a peak of each set, and a bin is
            positive from `LABEL_SHARE` on; 'multiclass': the same, a bin's class being the set with the largest share,
            or none of them.
        strand_pairs: indices of two tracks that are the two strands of one signal.
        transforms: of each track, how a model sees it unless its family says otherwise; none of any if empty.
        peaks: sets of peaks, by name.
    """

    columns: ClassVar[frozenset[str]] = frozenset({SEQUENCE, SIGNAL})

    sequence: CodeArray
    signal: FloatArray
    offsets: IntArray
    lengths: IntArray
    contigs: tuple[str, ...]
    tracks: tuple[str, ...]
    resolution_bp: int
    kind: TargetKind = "signal"
    strand_pairs: tuple[tuple[int, int], ...] = ()
    transforms: tuple[tuple[Settings, ...], ...] = ()
    peaks: Mapping[str, Peaks] = field(default_factory=dict)

    @property
    def other_strand(self) -> IntArray:
        """(track,) index of the track that a track becomes on the other strand: itself unless it is one of a pair."""
        others = np.arange(len(self.tracks))
        for plus, minus in self.strand_pairs:
            others[[plus, minus]] = minus, plus
        return others

    def with_tracks(self, chosen: IntArray) -> "SequenceStore":
        """The same genome with some of the tracks; nothing is copied if they lie next to each other.

        Args:
            chosen: (track,) indices, rising; both strands of a pair or neither.
        """
        place = {int(track): index for index, track in enumerate(chosen)}
        is_run = len(chosen) > 0 and int(chosen[-1]) - int(chosen[0]) == len(chosen) - 1
        rows = slice(int(chosen[0]), int(chosen[-1]) + 1) if is_run else chosen
        return replace(
            self,
            signal=self.signal[rows],
            tracks=tuple(self.tracks[track] for track in chosen),
            strand_pairs=tuple((place[a], place[b]) for a, b in self.strand_pairs if a in place),
            transforms=tuple(self.transforms[track] for track in chosen) if self.transforms else (),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.sequence.nbytes + self.signal.nbytes + self.offsets.nbytes + self.lengths.nbytes

    def n_bins(self, contig: int) -> int:
        """Number of bins of a contig."""
        return int(self.offsets[contig + 1] - self.offsets[contig])

    def contig_sequence(self, contig: int) -> CodeArray:
        """(base,) codes of one contig, padded with N to whole bins; a view."""
        first, last = self.offsets[contig], self.offsets[contig + 1]
        return self.sequence[first * self.resolution_bp : last * self.resolution_bp]

    def contig_signal(self, contig: int) -> FloatArray:
        """(track, bin) signal of one contig; a view."""
        return self.signal[:, self.offsets[contig] : self.offsets[contig + 1]]

    def tile_starts(self, contigs: IntArray, *, length_bp: int, stride_bp: int) -> IntArray:
        """First bases (in the store's sequence) of windows laid every `stride_bp` over the contigs.

        Windows begin at whole bins and lie within their contig, without its padding; a contig shorter than a window has
        none.

        Args:
            contigs: (c,) indices.
            length_bp: window length.
            stride_bp: distance between starts, a whole number of bins.

        Returns:
            (example,) int64, in order of the contigs.
        """
        firsts = self.offsets[contigs] * self.resolution_bp
        ends = firsts + self.lengths[contigs] - length_bp + 1
        starts = [np.arange(first, end, stride_bp, dtype=np.int64) for first, end in zip(firsts, ends, strict=True)]
        return np.concatenate(starts) if starts else np.empty(0, dtype=np.int64)

    def gather(self, starts: IntArray, *, length_bp: int) -> Windows:
        """Codes and signal of the windows that begin at the given bases.

        The codes are those of the window, to the base. The signal is that of the stored bins from the one whose start
        is nearest to the window's: at most half a bin away.

        Args:
            starts: (example,) first bases, in the store's sequence; the window lies within its contig.
            length_bp: window length, a whole number of bins.

        Returns:
            codes (example, base) and signal (example, track, bin), copies.
        """
        n_bins = length_bp // self.resolution_bp
        bins = (starts + self.resolution_bp // 2) // self.resolution_bp
        codes = _runs(self.sequence, length_bp)[starts].view(np.uint8)
        signal = np.ascontiguousarray(_runs(self.signal, n_bins).T[bins]).view(np.float32)
        return Windows(codes.reshape(len(starts), length_bp), signal.reshape(len(starts), len(self.tracks), n_bins))


def _runs(values: CodeArray | FloatArray, length: int) -> NDArray[np.void]:
    """(..., first) each `length` values in a row of the last axis as one item, a view.

    An item is copied as a whole, which is up to twice as fast as a look-up in `sliding_window_view`, value by value.
    """
    shape = (*values.shape[:-1], values.shape[-1] - length + 1)
    return np.ndarray(shape, dtype=f"V{length * values.itemsize}", buffer=values.data, strides=values.strides)


class Variants(NamedTuple):
    """Which variants the columns of a dosage array are.

    Attributes:
        ids: (variant,) as in the fileset.
        contigs: (variant,) names.
        starts: (variant,) 0-based first base, `NO_POSITION` where the fileset gives none.
        counted: (variant,) the allele whose copies are counted.
        other: (variant,) the other allele.
        frequency: (variant,) float32, of the counted allele among called genotypes of training samples.
    """

    ids: TextArray
    contigs: TextArray
    starts: IntArray
    counted: TextArray
    other: TextArray
    frequency: FloatArray

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for array in self)

    @property
    def names(self) -> tuple[str, ...]:
        """Of each, 'id_counted allele', as PLINK 2 writes it; with its place too where that isn't unique."""
        short = [f"{name}_{allele}" for name, allele in zip(self.ids, self.counted, strict=True)]
        if len({*short}) == len(short):
            return tuple(short)
        places = zip(self.contigs, self.starts + 1, self.other, strict=True)
        return tuple(
            f"{contig}:{position}:{other}:{name}" for name, (contig, position, other) in zip(short, places, strict=True)
        )

    def first(self, n: int) -> "Variants":
        """The first n of them."""
        return self._replace(**{name: array[:n] for name, array in self._asdict().items()})

    def take(self, places: IntArray) -> "Variants":
        """Those at the given places, in that order."""
        return self._replace(**{name: array[places] for name, array in self._asdict().items()})

    def places_of(self, wanted: "Variants") -> IntArray:
        """(variant,) where each of the wanted ones stands here, by its place, alleles and ID; -1 where it doesn't."""
        if len(wanted.ids) <= len(self.ids) and all(
            np.array_equal(mine[: len(theirs)], theirs) for mine, theirs in zip(self[:5], wanted[:5], strict=True)
        ):
            return np.arange(len(wanted.ids))
        place = {key: index for index, key in enumerate(self._keys())}
        return np.array([place.get(key, -1) for key in wanted._keys()], dtype=np.int64)

    def _keys(self) -> Iterator[tuple[object, ...]]:
        return zip(*(array.tolist() for array in self[:5]), strict=True)


class TableColumn(NamedTuple):
    """A column of a further table of samples.

    Attributes:
        name: 'table:column'.
        levels: of a category, in order; a value is the index of its level, or their number if it is none of these. A
            column of numbers has none.
    """

    name: str
    levels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class GenotypeStore:
    """Samples, their genotypes and the trait to predict.

    Attributes:
        dosage: (sample, variant) int8, copies of the counted allele, `MISSING_DOSAGE` where not called. The variants
            most associated with the trait on training samples come first (or in the study of `summary_log10_p`, if
            the source ranks by that), so that the best n are a prefix.
        phenotype: (sample,) float64; of a binary or multiclass trait the index of the class.
        covariates: (sample, covariate) float32; NaN where unknown, if they are to be filled in.
        samples: (sample, 2) family and individual ID.
        variants: which variants the columns of `dosage` are.
        trait: its name.
        kind: of the trait.
        classes: names of the classes of a binary or multiclass trait, in order; none of any other.
        covariate_names: of the covariates.
        summary_log10_p: (variant,) float64, of each variant's association in another study, NaN where that lacks it;
            None: there is no such study.
        features: (sample, column) float32 of further tables, NaN where unknown; None: there are no such tables.
        table_columns: what the columns of `features` are.
        fills_covariates: whether unknown covariates are filled in from the training samples.
        n_shrunk: so many covariates, the last ones, were columns of tables before these were prepared for a family: a
            linear family shrinks them as it does variants.
        twin: a store with the same dosages whose trait is known of the same samples; see `keeper`.
    """

    columns: ClassVar[frozenset[str]] = frozenset({DOSAGE, PHENOTYPE, COVARIATE})

    dosage: DosageArray
    phenotype: Values
    covariates: FloatArray
    samples: TextArray
    variants: Variants
    trait: str
    kind: TargetKind
    classes: tuple[str, ...]
    covariate_names: tuple[str, ...]
    summary_log10_p: Values | None = None
    features: FloatArray | None = None
    table_columns: tuple[TableColumn, ...] = ()
    fills_covariates: bool = False
    n_shrunk: int = 0
    twin: "GenotypeStore | None" = None

    @property
    def keeper(self) -> "GenotypeStore":
        """The store under which a process keeps what is made of dosages alone: one for several traits if it can be."""
        return self.twin if self.twin is not None and self.twin.dosage is self.dosage else self

    def known(self, samples: IntArray) -> IntArray:
        """Those of the samples whose trait is known; of a store of one trait all of them."""
        return samples[~np.isnan(self.phenotype[samples])]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        arrays = (self.dosage, self.phenotype, self.covariates, self.samples, self.summary_log10_p, self.features)
        return sum(array.nbytes for array in arrays if array is not None) + self.variants.nbytes

    @property
    def n_fixed(self) -> int:
        """Covariates that no family shrinks: the first ones."""
        return len(self.covariate_names) - self.n_shrunk

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return int(self.dosage.shape[0])

    @property
    def n_variants(self) -> int:
        """Number of variants."""
        return int(self.dosage.shape[1])


@dataclass(frozen=True, eq=False)
class TraitsStore:
    """Samples, their genotypes and several traits of one kind, which are the tasks of one model.

    Attributes:
        each: a store of each trait. They share all arrays but `phenotype`, which is NaN where the trait is not known;
            each sample has one of the traits at least.
    """

    columns: ClassVar[frozenset[str]] = GenotypeStore.columns

    each: tuple[GenotypeStore, ...]

    @classmethod
    def of(cls, stores: Sequence[GenotypeStore]) -> "TraitsStore":
        """One store of several with the same samples and genotypes; those known of the same samples become twins."""
        first_with: dict[bytes, GenotypeStore] = {}
        each = []
        for store in stores:
            twin = first_with.setdefault(np.isnan(store.phenotype).tobytes(), store)
            each.append(store if twin is store else replace(store, twin=twin))
        return cls(tuple(each))

    @property
    def genotypes(self) -> GenotypeStore:
        """The first of them, for all that doesn't depend on the trait."""
        return self.each[0]

    @property
    def dosage(self) -> DosageArray:
        """(sample, variant) as in each of them."""
        return self.genotypes.dosage

    @property
    def covariates(self) -> FloatArray:
        """(sample, covariate) as in each of them."""
        return self.genotypes.covariates

    @property
    def variants(self) -> Variants:
        """Which variants the columns of `dosage` are."""
        return self.genotypes.variants

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.genotypes.nbytes + sum(store.phenotype.nbytes for store in self.each[1:])


Store = SequenceStore | GenotypeStore | TraitsStore
