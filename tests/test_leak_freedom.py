"""Nothing that is fitted knows a held-out sample: from files over vetting, folds and preparation to a model's bytes.

The genotypes, traits and covariates of all validation and test samples are dealt out anew among them, and turned round
so that no mean or count stays what it was either; what was learned from the training samples has to stay, bit for bit.
"""

from typing import NamedTuple

import numpy as np
import pytest
from data.plink_builders import write_fileset, write_rows

from genotune.data.plink_settings import PlinkSettings
from genotune.genome.fold import Fold
from genotune.genome.splits import FamilySplitSettings
from genotune.settings import build
from genotune.store import GenotypeStore
from genotune.trainables import FAMILIES, build_trainable, settings_of
from genotune.trainables.preparation import Preparation
from genotune.trainables.prepared import fit_prepared
from genotune.trainables.trainable import FitPlan

N, V, N_X = 180, 240, 110
SMALL = {
    "boosted_trees": {"rounds_per_epoch": 5, "max_depth": 2, "subsample": 0.8},
    "ridge": {},
    "elastic_net": {"penalty": 0.3},
    "genotype_cnn": {"channels": 4, "n_blocks": 1, "kernel_width": 3, "pool": 1},
    "covariates_only": {},
}
GENOMIC = [family for family in SMALL if family != "covariates_only"]
PREPARATIONS = {
    "filters": {"min_maf": 0.25, "min_call_rate": 0.95, "min_hwe_p": 0.05},
    "prune": {"prune": {"r2": 0.3, "window_variants": 20}, "rank_by": "association"},
    "max_p": {"max_p": 0.2},
    "clump": {"clump": {"r2": 0.2, "window_bp": 100_000}},
    "summary": {"rank_by": "summary", "max_p": 0.5},
    "trees": {"rank_by": {"kind": "trees", "rounds": 5}},
    "mean": {"impute": "mean"},
    "mode": {"impute": "mode"},
    "components": {"components": 3},
    "residuals": {"components": 2, "adjust": "residuals", "impute": "mean"},
    "tables": {"tables": {"numbers": "mean", "categories": "level"}},
}
"""Each setting of `prepare` at least once."""

PLACES = ("the sweep", "a fold of it")


class Cohort:
    """Sixty families of three: autosomes, X, two traits, covariates, another study, and a table of measurements."""

    def __init__(self, folder):
        self.folder = folder
        rng = np.random.default_rng(11)
        dosage = rng.binomial(2, rng.uniform(0.2, 0.5, V), (N, V)).astype(np.int8)
        copied = rng.random((N, V // 2)) < 0.9
        dosage[:, 1::2] = np.where(copied, dosage[:, ::2], dosage[:, 1::2])  # neighbours in disequilibrium
        sexes = np.arange(N) % 2 + 1
        x = rng.binomial(2, 0.4, (N, N_X))
        x[sexes == 1] = 2 * (x[sexes == 1] > 0)
        value = dosage[:, [0, 40, 80, 120]] @ np.array([1.0, -0.9, 0.8, 0.7]) + rng.normal(scale=0.7, size=N)
        dosage[rng.random(dosage.shape) < 0.02] = -1
        dosage[[5, 70, 121], :30] = -1  # badly called: vetting leaves them out, wherever they are
        sexes[[20, 90]] = 3 - sexes[[20, 90]]
        self.fam = [(f"F{i // 3}", f"I{i}", 0, 0, sexes[i], -9) for i in range(N)]
        self.bim = [(i % 22 + 1, f"rs{i}", 0, 1000 * (i // 22) + 1, "A", "G") for i in range(V)]
        self.bim += [("X", f"x{i}", 0, 1000 * i + 1, "A", "G") for i in range(N_X)]
        self.dosage = np.concatenate([dosage, x], axis=1).astype(np.int8)
        self.table = {
            "weight": value.round(3).tolist(),
            "case": (value > np.quantile(value, 0.7)).astype(int).tolist(),
            "age": rng.normal(50, 10, N).round(1).tolist(),
            "site": rng.choice(["north", "south", "west"], N).tolist(),
        }
        measured = np.where(rng.random((N, 3)) < 0.1, np.nan, rng.normal(5, 2, (N, 3)).round(2) + value[:, None])
        self.measured = {f"GENE{i}": column.tolist() for i, column in enumerate(measured.T)}
        self.measured["tissue"] = rng.choice(["blood", "liver", "NA"], N, p=[0.6, 0.3, 0.1]).tolist()
        study = [("SNP", "CHR", "BP", "A1", "A2", "P")]
        study += [
            (row[1], row[0], row[3], row[4], row[5], f"{p:.3g}")
            for row, p in zip(self.bim, rng.random(V), strict=False)
        ]
        write_rows(folder / "study.tsv", study, separator="\t")

    def deal(self, held_out):
        """All that is known of these samples, dealt out anew among them and turned round."""
        rng = np.random.default_rng(2)
        dealt = self.dosage[rng.permutation(held_out)]
        self.dosage[held_out] = np.where(dealt < 0, dealt, 2 - dealt)
        turned = {"weight": lambda cell: -3 * cell, "case": lambda cell: 1 - cell, "age": lambda cell: cell + 100}
        turned |= {name: turned["weight"] for name in self.measured if name != "tissue"}
        for name, cells in [*self.table.items(), *self.measured.items()]:
            known = [cells[sample] for sample in rng.permutation(held_out)]
            for sample, cell in zip(held_out.tolist(), known, strict=True):
                cells[sample] = turned.get(name, str)(cell)

    def learn(self, trait, place):
        """What training samples are, and the store of them."""
        write_fileset(self.folder, "people", self.dosage, fam=self.fam, bim=self.bim)
        ids = {"FID": [row[0] for row in self.fam], "IID": [row[1] for row in self.fam]}
        for name, own in (("people.tsv", self.table), ("measured.tsv", self.measured)):
            columns = ids | own
            rows = [tuple(columns), *zip(*columns.values(), strict=True)]
            write_rows(self.folder / name, rows, separator="\t")
        data = {
            "kind": "plink",
            "genotypes": "people.bed",
            "phenotypes": "people.tsv",
            "trait": trait,
            "covariates": ["age", "site"],
            "filters": {"min_maf": 0.05, "min_call_rate": 0.9, "min_hwe_p": 1e-6},
            "keep_variants": 150,
            "summary_statistics": "study.tsv",
            "tables": {"measured": {"path": "measured.tsv", "missing": ["nan", "NA"]}},
            "sample_filters": {"min_call_rate": 0.95, "max_het_sd": 2.5, "sex_check": "drop"},
            "drop_duplicates": True,
        }
        plan = build(PlinkSettings, data).plan(self.folder)
        split = build(FamilySplitSettings, {"by": "family", "validation": 0.2, "test": 0.2, "seed": 4})
        fold = plan.resolve(split)
        folds = plan.folds(fold, split, n_folds=3)
        whole = fold if place == "the sweep" else folds[1]
        left_out = plan.vet(whole, []).left_out
        vetted = whole.without(left_out)
        return Learned(whole, vetted, np.intersect1d(left_out, whole.train), plan.read_store_here(vetted).store)


class Learned(NamedTuple):
    """A fold before and after vetting, who was taken out of its training samples, and the store."""

    whole: Fold
    fold: Fold
    taken: np.ndarray
    store: GenotypeStore


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """What is learned of a trait in a place, with the held-out samples as they are and dealt out anew; made once."""
    made = {}

    def both(trait, place):
        if (trait, place) not in made:
            cohort = Cohort(tmp_path_factory.mktemp("people"))
            before = cohort.learn(trait, place)
            cohort.deal(np.sort(np.concatenate([before.whole.validation, before.whole.test])))
            made[trait, place] = before, cohort.learn(trait, place)
        return made[trait, place]

    return both


def saved(family, learned, folder, **params):
    """The bytes of each file of a fitted model."""
    trainable = build_trainable(family, {**SMALL[family], **params}, GenotypeStore.columns)
    plan = FitPlan(seed=3, max_epochs=trainable.own_epochs or 3)
    folder.mkdir()
    fit_prepared(trainable, learned.store, learned.fold.splits, report=lambda _: None, plan=plan).save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_family_and_every_setting_of_prepare_is_here():
    assert set(SMALL) == {name for name in FAMILIES if settings_of(name, GenotypeStore.columns)}
    assert {name for values in PREPARATIONS.values() for name in values} == {*Preparation.model_fields}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("trait", ["weight", "case"])
def test_vetting_and_the_store_tell_training_samples_the_same(learned, trait, place):
    before, after = learned(trait, place)
    assert before.whole.test.tolist() == after.whole.test.tolist()
    assert before.fold.train.tolist() == after.fold.train.tolist()
    assert before.taken.tolist() == after.taken.tolist()
    assert len(before.taken) >= 1, "vetting had something to do"
    held_out = np.concatenate([before.whole.validation, before.whole.test])
    assert (before.store.phenotype[held_out] != after.store.phenotype[held_out]).any()
    mine, theirs = before.store, after.store
    for one, other in zip(mine.variants, theirs.variants, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(mine.summary_log10_p, theirs.summary_log10_p)
    train = before.fold.train
    np.testing.assert_array_equal(mine.dosage[train], theirs.dosage[train])
    np.testing.assert_array_equal(mine.covariates[train], theirs.covariates[train])
    assert (mine.dosage != theirs.dosage).any()


@pytest.mark.parametrize("prepare", PREPARATIONS)
@pytest.mark.parametrize("family", GENOMIC)
@pytest.mark.parametrize("trait", ["weight", "case"])
def test_a_saved_model_is_the_same_to_the_byte_whatever_is_held_out(learned, tmp_path, family, trait, prepare):
    values = PREPARATIONS[prepare]
    if trait == "case":
        values = {name: value for name, value in values.items() if name != "adjust"}
    place = PLACES[[*PREPARATIONS].index(prepare) % 2]
    one, other = (
        saved(family, each, tmp_path / name, n_variants=30, prepare=values)
        for each, name in zip(learned(trait, place), ("before", "after"), strict=True)
    )
    assert one == other


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize("trait", ["weight", "case"])
def test_without_preparation_it_is_the_same_too(learned, tmp_path, family, trait, place):
    params = {"class_weight": "balanced"} if trait == "case" and family != "ridge" else {}
    one, other = (
        saved(family, each, tmp_path / name, **params)
        for each, name in zip(learned(trait, place), ("before", "after"), strict=True)
    )
    assert one == other


@pytest.mark.parametrize("resample", ["over", "under", "smote", "adasyn"])
def test_samples_that_are_made_up_come_from_training_samples_alone(learned, tmp_path, resample):
    one, other = (
        saved("boosted_trees", each, tmp_path / name, resample=resample)
        for each, name in zip(learned("case", "the sweep"), ("before", "after"), strict=True)
    )
    assert one == other


@pytest.mark.parametrize("family", SMALL)
def test_another_training_sample_does_change_the_model(learned, tmp_path, family):
    """Else the bytes would prove nothing."""
    before, _ = learned("weight", "the sweep")
    fewer = before._replace(fold=Fold(before.fold.train[1:], before.fold.validation, before.fold.test))
    assert saved(family, before, tmp_path / "one") != saved(family, fewer, tmp_path / "other")
