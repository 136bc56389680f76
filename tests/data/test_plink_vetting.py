"""Which samples of a fileset are left out before anything is learned, end to end on real files."""

import numpy as np
import pytest
from data.plink_builders import default_fam, write_fileset

from genotune.data.plink_settings import PlinkSettings
from genotune.errors import DataError
from genotune.genome.splits import SplitSettings
from genotune.settings import build
from genotune.store import NO_POSITION

N, V, N_X = 60, 1600, 600
"""Twenty families of three: two parents, and their child."""


class Cohort:
    """A fileset with autosomes and X."""

    def __init__(self, folder):
        self.folder = folder
        rng = np.random.default_rng(3)
        frequency = rng.uniform(0.2, 0.5, V)
        haplotypes = rng.random((N, 2, V)) < frequency
        for child in range(2, N, 3):
            parts = [np.where(rng.random(V) < 0.5, *haplotypes[child - back]) for back in (1, 2)]
            haplotypes[child] = parts
        x = rng.binomial(2, 0.4, (N, N_X))
        x[::2] = 2 * (x[::2] > 0)  # default_fam: the even ones are male
        self.dosage = np.concatenate([haplotypes.sum(axis=1), x], axis=1).astype(np.int8)
        self.bim = [(str(i % 22 + 1), f"rs{i}", 0, 1000 * i + 1, "A", "G") for i in range(V)]
        self.bim += [("X", f"x{i}", 0, 1000 * i + 1, "A", "G") for i in range(N_X)]
        self.fam = [(i // 3, *row[1:5], round(float(rng.normal()), 4)) for i, row in enumerate(default_fam(N))]

    def plan(self, **values):
        write_fileset(self.folder, "cohort", self.dosage, fam=self.fam, bim=self.bim)
        return build(PlinkSettings, {"kind": "plink", "genotypes": "cohort.bed", **values}).plan(self.folder)


@pytest.fixture
def cohort(tmp_path):
    return Cohort(tmp_path)


def split(by="random", **values):
    return build(SplitSettings, {"by": by, "validation": 0.25, "test": 0.25, **values})


def vet(plan, settings=None, *, n_folds=None):
    settings = settings or split()
    fold = plan.resolve(settings)
    folds = [] if n_folds is None else plan.folds(fold, settings, n_folds=n_folds)
    return plan.vet(fold, folds)


def test_a_sound_cohort_loses_nobody_and_kin_in_two_splits_are_told(cohort):
    vetted = vet(cohort.plan())
    assert vetted.left_out.tolist() == []
    [note] = vetted.notes
    assert note.startswith("pairs of kin that lie in two splits, by 1,600 variants: ")
    assert "of first degree. The score" in note
    splits = {"left in train": 30, "left in validation": 15, "left in test": 15}
    counts = {"in all": 60, "with a call rate below 0.95": 0, "left": 60, **splits}
    assert vetted.quality.counts == {"samples": counts}
    names = ["missing rate of samples", "inbreeding of samples (F)", "inbreeding of samples on X (F)"]
    assert [*vetted.quality.histograms] == names
    assert [sum(one.counts) for one in vetted.quality.histograms.values()] == [60] * 3


def test_planning_decodes_nothing_unless_kin_are_asked_for(cohort, monkeypatch):
    plan = cohort.plan()
    monkeypatch.setattr(type(plan), "decode", lambda *_: pytest.fail("decoded"))
    for settings in (split("family"), split("column", column="father"), split()):
        if not plan.split_problems(settings):
            plan.resolve(settings)
            plan.split_notes(settings)
    with pytest.raises(pytest.fail.Exception, match="decoded"):
        plan.split_problems(split("kinship", degree=1))


def test_a_split_by_kinship_parts_no_family(cohort):
    plan, settings = cohort.plan(), split("kinship", degree=1)
    assert plan.split_problems(settings) == []
    assert plan.split_notes(settings)[0] == (
        "1,600 autosomal variants were decoded to tell who is related; pairs of samples: 40 of first degree. Chains of "
        "kin up to the first degree make 20 groups of 60 samples, the largest of 3."
    )
    fold = plan.resolve(settings)
    families = [{*(part // 3).tolist()} for part in fold]
    assert sum(map(len, families)) == 20
    assert vet(plan, settings).notes == ()
    for one in plan.folds(fold, settings, n_folds=3):
        assert not {*(one.train // 3).tolist()} & {*(one.validation // 3).tolist()}


def test_the_second_degree_takes_more_variants_than_these(cohort):
    [problem] = cohort.plan().split_problems(split("kinship"))
    assert problem.message.startswith("found 1,600 common, well called autosomal variants; 2,000 are needed")
    assert "Ask for degree: 1, or split by: column" in problem.message


def test_x_and_unplaced_contigs_tell_nobodys_kin(cohort):
    """A person twice on X alone is no duplicate."""
    cohort.dosage[9, V:] = cohort.dosage[0, V:]
    cohort.bim[0] = ("0", *cohort.bim[0][1:])
    cohort.bim[1] = ("chrUn", *cohort.bim[1][1:])
    plan = cohort.plan()
    assert len(plan.spread("autosome")) == V - 2
    assert len(plan.spread("x")) == N_X
    assert (0, 9) not in {*zip(plan.kin.first.tolist(), plan.kin.second.tolist(), strict=True)}
    assert plan.kin.n_variants == V - 2


def test_the_number_of_autosomes_says_what_a_number_is(cohort):
    assert len(cohort.plan(n_autosomes=19).spread("x")) == len(range(19, V, 22)) + N_X


def parted(plan):
    """Two samples in two splits, neither of them kin of the other."""
    fold = plan.resolve(split())
    return int(fold.train[0]), next(int(i) for i in fold.test if i // 3 != fold.train[0] // 3)


def test_a_person_twice_in_two_splits_is_refused_or_dropped(cohort):
    one, other = parted(cohort.plan())
    cohort.dosage[other] = cohort.dosage[one]
    cohort.dosage[one, :40] = -1
    with pytest.raises(
        DataError, match=rf"^1 pair of samples is in two splits .*I{min(one, other)} and .*I{max(one, other)}\."
    ):
        vet(cohort.plan())
    vetted = vet(cohort.plan(drop_duplicates=True))
    assert vetted.left_out.tolist() == [one]
    assert vetted.notes[0] == "1 of 60 samples are left out: 1 that are another one again (drop_duplicates)."
    assert vetted.quality.counts["samples"]["that are another one again (drop_duplicates)"] == 1


def test_a_person_twice_in_one_split_is_refused_if_the_evaluation_parts_them(cohort):
    fold = cohort.plan().resolve(split())
    one, other = fold.train[:2].tolist()
    cohort.dosage[other] = cohort.dosage[one]
    assert vet(cohort.plan()).left_out.tolist() == []
    with pytest.raises(DataError, match=r"^1 pair of samples is in two splits"):
        vet(cohort.plan(), n_folds=20)


def test_a_sample_that_is_left_out_anyway_is_nobodys_duplicate(cohort):
    one, other = parted(cohort.plan())
    cohort.dosage[other] = cohort.dosage[one]
    cohort.dosage[one, :200] = -1
    vetted = vet(cohort.plan())
    assert vetted.left_out.tolist() == [one]
    assert vetted.notes[0] == "1 of 60 samples are left out: 1 with a call rate below 0.95."


def test_a_sex_that_x_contradicts_is_told_or_left_out(cohort):
    cohort.fam[7] = (*cohort.fam[7][:4], 1, cohort.fam[7][5])
    noted = [note for note in vet(cohort.plan()).notes if note.startswith("sex check: X contradicts")]
    assert noted[0].startswith("sex check: X contradicts the sex in the table in 1 of 60 samples and is unclear in ")
    vetted = vet(cohort.plan(sample_filters={"sex_check": "drop"}))
    assert vetted.left_out.tolist() == [7]
    assert (
        "inbreeding of samples on X (F)" not in vet(cohort.plan(sample_filters={"sex_check": "off"})).quality.histograms
    )


def test_where_a_split_keeps_nobody_a_person_is_told(cohort):
    fold = cohort.plan().resolve(split())
    cohort.dosage[fold.test, :200] = -1
    advice = r"test holds no sample\. Give it more, or loosen data\.sample_filters\."
    message = rf"15 with a call rate below 0\.95\.\n(.*\n)*{advice}$"
    with pytest.raises(DataError, match=message):
        vet(cohort.plan())


def test_who_is_left_out_has_no_say_in_what_is_selected(cohort):
    """The store's frequencies are those of the training samples that stay."""
    fold = cohort.plan().resolve(split())
    cohort.dosage[fold.train[0], :200] = -1
    cohort.dosage[fold.train[0], 200:] = 2
    plan = cohort.plan(filters={"min_maf": 0})
    left = fold.without(plan.vet(fold, []).left_out)
    assert len(left.train) == len(fold.train) - 1
    store = plan.read_store_here(left).store
    expected = np.where(store.dosage < 0, np.nan, store.dosage)[left.train]
    np.testing.assert_allclose(store.variants.frequency, np.nanmean(expected, axis=0) / 2, rtol=1e-6)


def test_no_validation_or_test_sample_changes_whether_another_stays(cohort):
    filters = {"min_call_rate": 0.97, "max_het_sd": 1.5}
    rng = np.random.default_rng(1)
    cohort.dosage[rng.random(cohort.dosage.shape) < 0.03] = -1
    plan = cohort.plan(sample_filters=filters)
    fold = plan.resolve(split())
    before = plan.vet(fold, []).left_out
    others = np.concatenate([fold.validation[1:], fold.test])
    cohort.dosage[others[1::2]] = rng.choice([0, 1, 2], (len(others) // 2, V + N_X), p=[0.2, 0.6, 0.2])
    cohort.dosage[others[0], :400] = -1
    after = cohort.plan(sample_filters=filters).vet(fold, []).left_out
    same = np.append(fold.train, fold.validation[0])
    assert 0 < len(np.intersect1d(before, same)) < len(same)
    assert np.isin(same, before).tolist() == np.isin(same, after).tolist()
    assert before.tolist() != after.tolist()


def test_of_very_many_samples_only_duplicates_are_looked_for(cohort, monkeypatch):
    monkeypatch.setattr("genotune.data.plink.MOST_SAMPLES", 59)
    one, other = parted(cohort.plan())
    [note] = vet(cohort.plan()).notes
    assert note == (
        "kin in two splits were not looked for, only duplicates: above 20,000 samples that takes long. split: {by: "
        "kinship} does it all the same, up to 100,000."
    )
    cohort.dosage[other] = cohort.dosage[one]
    with pytest.raises(DataError, match=r"^1 pair of samples is in two splits"):
        vet(cohort.plan())
    assert len(vet(cohort.plan(drop_duplicates=True)).left_out) == 1
    plan, settings = cohort.plan(drop_duplicates=True), split("kinship", degree=1)
    assert plan.split_problems(settings) == []
    assert not any("not looked for" in note for note in vet(plan, settings).notes)


def test_variants_without_positions_are_enough(cohort):
    cohort.bim = [(*row[:3], 0, *row[4:]) for row in cohort.bim]
    plan = cohort.plan()
    assert {*plan.variants.starts.tolist()} == {NO_POSITION}
    assert plan.kin.n_variants == V
