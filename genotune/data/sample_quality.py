"""Which samples are fit to be learned from: call rate, heterozygosity, and whether X and the table agree on the sex.

Whether a sample stays depends on its own genotypes and on constants that training samples alone give (frequencies of
alleles, mean and spread of heterozygosity), so no validation or test sample has a say in what happens to another.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from genotune.genome.kinship import hard_calls
from genotune.settings import Settings
from genotune.store import MISSING_DOSAGE, DosageArray, IntArray, TextArray, Values

FEWEST_VARIANTS: Final = 100
"""A sample is not judged by fewer: one genotype would decide."""
_FEMALE_BELOW: Final = 0.2
_MALE_ABOVE: Final = 0.8
_MALE: Final = "1"
_FEMALE: Final = "2"


class SampleFilterSettings(Settings):
    """What a sample must have, by up to 10,000 autosomal variants spread evenly over the genome.

    Attributes:
        min_call_rate: share of these variants whose genotype is known.
        max_het_sd: how many standard deviations of the training samples its heterozygosity (F) may lie from their mean;
            null: any.
        sex_check: note: say how many samples' X contradicts their sex in the table; drop: leave them out; off.
    """

    min_call_rate: Annotated[float, Field(ge=0, le=1)] = 0.95
    max_het_sd: Annotated[float, Field(gt=0)] | None = None
    sex_check: Literal["note", "drop", "off"] = "note"


class SampleCounts(NamedTuple):
    """What variants say of each sample.

    Attributes:
        n_variants: that were counted.
        n_varying: of them, those that vary among the training samples; the next two are of these.
        n_called: (sample,) genotypes that are known, of all.
        n_hets: (sample,) heterozygous genotypes.
        expected_hets: (sample,) that Hardy-Weinberg proportions expect of its known genotypes.
    """

    n_variants: int
    n_varying: int
    n_called: IntArray
    n_hets: IntArray
    expected_hets: Values

    @property
    def call_rate(self) -> Values:
        """(sample,) share of genotypes that are known; 1 of no variants."""
        return self.n_called / self.n_variants if self.n_variants else np.ones(len(self.n_called))

    @property
    def inbreeding(self) -> Values:
        """(sample,) F: 1 - heterozygotes / those expected; NaN where none is expected.

        Source: Purcell et al. 2007, Methods (PLINK --het), with heterozygotes for homozygotes, which is the same.
        """
        expected = np.where(self.expected_hets > 0, self.expected_hets, np.nan)
        found: Values = 1 - self.n_hets / expected
        return found


class SampleVerdict(NamedTuple):
    """Which samples are left out, and why.

    Attributes:
        left_out: (left out,) indices, rising.
        counts: how many each filter left out, by its reason; those of two filters by the first.
        notes: for a person, what isn't told by the counts.
    """

    left_out: IntArray
    counts: Mapping[str, int]
    notes: tuple[str, ...]


class _SexCheck(NamedTuple):
    """Samples whose sex is in the table.

    Attributes:
        contradicts: (sample,) whether X says the other sex.
        n_unclear: of whom X says neither.
        n: in all.
    """

    contradicts: NDArray[np.bool_]
    n_unclear: int
    n: int


def count_samples(blocks: Iterable[DosageArray], *, n_samples: int, train: IntArray) -> SampleCounts:
    """What all the blocks of variants say of each sample, against frequencies in training samples.

    Args:
        blocks: (sample, variant) dosages, part by part.
        n_samples: in each block.
        train: indices of the training samples.
    """
    n_variants = n_varying = 0
    n_called, n_hets = np.zeros(n_samples, dtype=np.int64), np.zeros(n_samples, dtype=np.int64)
    expected = np.zeros(n_samples)
    for dosage in blocks:
        calls = hard_calls(dosage)
        is_known = calls != MISSING_DOSAGE
        known = 2 * np.count_nonzero(is_known[train], axis=0)
        copies = np.where(is_known[train], calls[train], 0).sum(axis=0, dtype=np.int64)
        frequency = copies / np.maximum(known, 1)
        varies = (copies > 0) & (copies < known)
        n_variants += calls.shape[1]
        n_varying += int(varies.sum())
        n_called += np.count_nonzero(is_known, axis=1)
        n_hets += np.count_nonzero(calls[:, varies] == 1, axis=1)
        expected += is_known[:, varies] @ (2 * frequency * (1 - frequency))[varies]
    return SampleCounts(n_variants, n_varying, n_called, n_hets, expected)


def judge_samples(
    autosomes: SampleCounts, x: SampleCounts, *, sexes: TextArray, filters: SampleFilterSettings, train: IntArray
) -> SampleVerdict:
    """The samples that the filters leave out.

    Args:
        autosomes: of all samples.
        x: of all samples, on X without its pseudo-autosomal parts.
        sexes: (sample,) '1' male, '2' female, anything else unknown.
        filters: of the spec.
        train: indices of the training samples.
    """
    tests: dict[str, NDArray[np.bool_]] = {}
    notes = []
    if autosomes.n_variants >= FEWEST_VARIANTS:
        tests[f"with a call rate below {filters.min_call_rate:g}"] = autosomes.call_rate < filters.min_call_rate
    if filters.max_het_sd is not None and autosomes.n_varying >= FEWEST_VARIANTS:
        called = train[autosomes.call_rate[train] >= filters.min_call_rate]
        reason = f"with a heterozygosity (F) more than {filters.max_het_sd:g} standard deviations from the mean"
        tests[reason] = _is_outlier(autosomes.inbreeding, called, most=filters.max_het_sd)
    asked = filters.min_call_rate > 0 or filters.max_het_sd is not None
    if asked and autosomes.n_varying < FEWEST_VARIANTS:
        notes.append(
            f"samples are not judged by call rate or heterozygosity: that takes {FEWEST_VARIANTS} autosomal variants, "
            f"and {autosomes.n_varying:,} vary in training samples."
        )
    if filters.sex_check != "off" and x.n_varying >= FEWEST_VARIANTS:
        sex = _check_sex(x.inbreeding, sexes)
        if filters.sex_check == "drop":
            tests["whose X contradicts their sex"] = sex.contradicts
        notes += _sex_notes(sex, filters)
    elif filters.sex_check == "drop":
        notes.append(
            f"sex_check: drop has no effect: {x.n_varying:,} variants on X vary; {FEWEST_VARIANTS} are needed."
        )
    out, counts = np.zeros(len(sexes), dtype=np.bool_), {}
    for reason, fails in tests.items():
        counts[reason] = int(np.count_nonzero(fails & ~out))
        out |= fails
    return SampleVerdict(np.flatnonzero(out), counts, tuple(notes))


def _is_outlier(values: Values, train: IntArray, *, most: float) -> NDArray[np.bool_]:
    """(sample,) whether a value lies too far from the training samples' mean; one that is not known doesn't."""
    known = values[train][np.isfinite(values[train])]
    if len(known) < 2:
        return np.zeros(len(values), dtype=np.bool_)
    return np.asarray(np.abs(values - known.mean()) > most * known.std(ddof=1))


def _check_sex(inbreeding: Values, sexes: TextArray) -> _SexCheck:
    """Of each sample with a sex, what the heterozygosity of its X says.

    Source: PLINK 1.9 documentation, --check-sex: F below 0.2 is a female, above 0.8 a male.
    """
    is_male, is_female = sexes == _MALE, sexes == _FEMALE
    says_female, says_male = inbreeding < _FEMALE_BELOW, inbreeding > _MALE_ABOVE
    known = is_male | is_female
    unclear = known & np.isfinite(inbreeding) & ~says_female & ~says_male
    return _SexCheck(is_male & says_female | is_female & says_male, int(unclear.sum()), int(known.sum()))


def _sex_notes(sex: _SexCheck, filters: SampleFilterSettings) -> list[str]:
    n = int(sex.contradicts.sum())
    if not n and not sex.n_unclear:
        return []
    stay = " They stay; sex_check: drop leaves them out." if n and filters.sex_check == "note" else ""
    return [
        f"sex check: X contradicts the sex in the table in {n:,} of {sex.n:,} samples and is unclear in "
        f"{sex.n_unclear:,} (F below {_FEMALE_BELOW:g} is female, above {_MALE_ABOVE:g} male).{stay}"
    ]
