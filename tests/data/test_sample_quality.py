"""Call rate, heterozygosity and sex of samples, by hand and by PLINK 2."""

import csv
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from bed_reader import open_bed

from genotune.data.sample_quality import SampleFilterSettings, count_samples, judge_samples
from genotune.settings import build
from genotune.store import DOSAGE_STEPS, MISSING_STEPS

PLINK = shutil.which("plink2")
MICE = Path(__file__).parents[2] / "search_spaces" / "demo" / "mouse_hs1940" / "mouse_hs1940"
N, V = 40, 400
TRAIN = np.arange(0, N, 2)


def draw(*, seed=0, n_variants=V, frequency=0.4):
    return np.random.default_rng(seed).binomial(2, frequency, (N, n_variants)).astype(np.int8)


def count(dosage, *, train=TRAIN, n_blocks=3):
    return count_samples(np.array_split(dosage, n_blocks, axis=1), n_samples=len(dosage), train=train)


def judge(dosage, x=None, *, sexes=None, **filters):
    x = np.empty((N, 0), dtype=np.int8) if x is None else x
    sexes = np.full(N, "0") if sexes is None else np.array(sexes)
    return judge_samples(
        count(dosage), count(x), sexes=sexes, filters=build(SampleFilterSettings, filters), train=TRAIN
    )


def test_counts_by_hand():
    """Training samples 0 and 1: frequencies 3/4, 1/2 (one missing), and 1, which doesn't vary."""
    dosage = np.array([[2, 1, 2], [1, -1, 2], [1, 1, -1], [-1, 1, 1]], dtype=np.int8)
    found = count(dosage, train=np.array([0, 1]), n_blocks=2)
    assert (found.n_variants, found.n_varying) == (3, 2)
    assert found.n_called.tolist() == [3, 2, 2, 2]
    assert found.n_hets.tolist() == [1, 1, 2, 1]
    np.testing.assert_allclose(found.expected_hets, [0.375 + 0.5, 0.375, 0.375 + 0.5, 0.5])
    np.testing.assert_allclose(found.call_rate, [1, 2 / 3, 2 / 3, 2 / 3])
    np.testing.assert_allclose(found.inbreeding, [1 - 1 / 0.875, 1 - 1 / 0.375, 1 - 2 / 0.875, 1 - 1 / 0.5])


def test_fractions_of_copies_count_as_their_hard_calls():
    dosage = draw()
    dosage[3, :9] = -1
    fractions = np.where(dosage < 0, MISSING_STEPS, dosage.astype(np.int64) * DOSAGE_STEPS).astype(np.uint16)
    for one, other in zip(count(dosage), count(fractions), strict=True):
        np.testing.assert_array_equal(one, other)


def test_samples_with_a_low_call_rate_are_left_out_and_counted():
    dosage = draw()
    dosage[5, :21] = -1
    dosage[6, :20] = -1
    verdict = judge(dosage)
    assert verdict.left_out.tolist() == [5]
    assert verdict.counts == {"with a call rate below 0.95": 1}
    assert verdict.notes == ()
    assert judge(dosage, min_call_rate=0.9).left_out.tolist() == []


def test_samples_with_too_many_or_too_few_heterozygotes_are_left_out():
    dosage = draw()
    dosage[7] = 1
    dosage[8] = 2 * (dosage[8] > 0)
    assert judge(dosage).left_out.tolist() == []
    verdict = judge(dosage, max_het_sd=3)
    assert 7 in verdict.left_out
    assert verdict.counts["with a heterozygosity (F) more than 3 standard deviations from the mean"] == len(
        verdict.left_out
    )


def test_a_badly_called_training_sample_does_not_widen_what_is_allowed():
    dosage = draw()
    dosage[0] = 1
    dosage[0, :40] = -1
    assert judge(dosage, max_het_sd=4).counts == {
        "with a call rate below 0.95": 1,
        "with a heterozygosity (F) more than 4 standard deviations from the mean": 0,
    }
    dosage[9] = 2 * (dosage[9] > 0)
    assert judge(dosage, max_het_sd=4).left_out.tolist() == [0, 9]


@pytest.mark.parametrize("seed", range(5))
def test_what_happens_to_a_sample_depends_on_no_other_outside_training(seed):
    """The verdict on each sample stays as other validation and test samples become anything at all."""
    rng = np.random.default_rng(seed)
    dosage = draw(seed=seed)
    dosage[rng.random(dosage.shape) < 0.05] = -1
    before = judge(dosage, max_het_sd=1.5, min_call_rate=0.94)
    held_out = np.setdiff1d(np.arange(N), TRAIN)
    changed = dosage.copy()
    others = held_out[1:]
    changed[others] = rng.choice([-1, 0, 1, 2], (len(others), V), p=[0.5, 0.1, 0.3, 0.1])
    after = judge(changed, max_het_sd=1.5, min_call_rate=0.94)
    same = np.append(TRAIN, held_out[0])
    assert 0 < len(before.left_out) < N
    assert np.isin(same, before.left_out).tolist() == np.isin(same, after.left_out).tolist()
    assert before.left_out.tolist() != after.left_out.tolist()


def test_a_sample_is_not_judged_by_a_few_variants():
    dosage = draw(n_variants=99)
    dosage[5] = -1
    verdict = judge(dosage)
    assert verdict.left_out.tolist() == []
    assert verdict.notes == (
        "samples are not judged by call rate or heterozygosity: that takes 100 autosomal variants, and 99 vary in "
        "training samples.",
    )
    assert judge(dosage, min_call_rate=0).notes == ()


def sexed():
    """Males (even) have no heterozygote; sample 2 is one called female, 3 the reverse, 4 unclear, 6 of unknown sex."""
    x = draw(seed=1, n_variants=200)
    sexes = ["1", "2"] * (N // 2)
    x[::2] = 2 * (x[::2] > 0)
    sexes[2], sexes[3], sexes[6] = "2", "1", "0"
    x[4, :40] = 1
    return x, sexes


def test_the_sex_that_x_tells_is_held_against_the_table():
    x, sexes = sexed()
    verdict = judge(draw(), x, sexes=sexes)
    assert verdict.left_out.tolist() == []
    assert verdict.notes == (
        "sex check: X contradicts the sex in the table in 2 of 39 samples and is unclear in 1 (F below 0.2 is female, "
        "above 0.8 male). They stay; sex_check: drop leaves them out.",
    )
    dropped = judge(draw(), x, sexes=sexes, sex_check="drop")
    assert dropped.left_out.tolist() == [2, 3]
    assert dropped.counts["whose X contradicts their sex"] == 2
    assert judge(draw(), x, sexes=sexes, sex_check="off").notes == ()


def test_without_x_a_sex_check_that_was_asked_for_says_so():
    assert judge(draw(), sex_check="drop").notes == (
        "sex_check: drop has no effect: 0 variants on X vary; 100 are needed.",
    )
    assert judge(draw()).notes == ()


@pytest.mark.slow
@pytest.mark.skipif(PLINK is None, reason="needs plink2")
def test_heterozygosity_is_that_of_plink_with_the_frequencies_of_training_mice(tmp_path):
    with open_bed(MICE.with_suffix(".bed")) as bed:
        placed = bed.bp_position > 0
        dosage = bed.read(index=np.s_[:, placed], dtype="int8")
        ids = list(zip(bed.fid.tolist(), bed.iid.tolist(), strict=True))
    train = np.arange(0, len(ids), 3)
    (tmp_path / "train.txt").write_text("".join("\t".join(ids[row]) + "\n" for row in train))

    def plink(*arguments):
        command = [PLINK, "--bfile", MICE, "--chr-set", "19", "--threads", "1", *arguments, "--out", tmp_path / "mice"]
        subprocess.run([*map(str, command)], check=True, capture_output=True, timeout=120)

    plink("--keep", tmp_path / "train.txt", "--freq")
    with (tmp_path / "mice.afreq").open(newline="") as text:
        rows = csv.DictReader(text, delimiter="\t")
        varying = [row["ID"] for row in rows if 0 < float(row["ALT_FREQS"]) < 1]
    (tmp_path / "varying.txt").write_text("\n".join(varying))
    plink("--extract", tmp_path / "varying.txt", "--read-freq", tmp_path / "mice.afreq", "--het")
    with (tmp_path / "mice.het").open(newline="") as text:
        expected = [float(row["F"]) for row in csv.DictReader(text, delimiter="\t")]
    found = count_samples(np.array_split(dosage, 5, axis=1), n_samples=len(ids), train=train).inbreeding
    np.testing.assert_allclose(found, expected, atol=2e-6)
