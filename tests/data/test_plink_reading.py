"""Stores of several folds, read together: the same as one by one, in two passes of the file."""

import tracemalloc
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from data.genotype_file_builders import write_pfileset
from data.plink_builders import write_fileset, write_rows
from data.plink_project import N_SAMPLES, N_VARIANTS, OPEN, family_split

from genotune.data.genotype_file import Decoder
from genotune.data.plink_settings import PlinkSettings
from genotune.data.quality import Quality
from genotune.genome.splits import RandomSplitSettings
from genotune.settings import build

# ray.data 2.60 warns about its own defaults when its context is made.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


@dataclass(frozen=True)
class Counted(Decoder):
    """A decoder that notes which variants it decodes, and of how many samples."""

    inner: Decoder
    decoded: list

    @property
    def is_fractional(self):
        return self.inner.is_fractional

    def decode(self, samples, variants):
        self.decoded.append((len(samples), variants.tolist()))
        return self.inner.decode(samples, variants)


def counted(plan):
    """The plan, and the list in which its decoder notes what it does."""
    decoder = Counted(plan.genotypes.decoder, [])
    return replace(plan, genotypes=replace(plan.genotypes, decoder=decoder)), decoder.decoded


def folds_of(plan, n_folds=3):
    """The split, its folds, and that in which training and validation are one."""
    split = family_split()
    fold = plan.resolve(split)
    whole = replace(fold, train=np.union1d(fold.train, fold.validation))
    return [fold, *plan.folds(fold, split, n_folds=n_folds), whole]


def assert_same(read, alone):
    assert read.notes == alone.notes
    for field in fields(alone.store):
        mine, theirs = getattr(read.store, field.name), getattr(alone.store, field.name)
        pairs = zip(mine, theirs, strict=True) if field.name == "variants" else [(mine, theirs)]
        for one, other in pairs:
            np.testing.assert_array_equal(one, other)
            assert getattr(one, "dtype", None) == getattr(other, "dtype", None)


def with_study(project):
    """Another study of a third of the variants."""
    rows = [(f"rs{i}", 1, 1000 * i + 1001, "A", "G", project.rng.random()) for i in range(0, N_VARIANTS, 3)]
    write_rows(project.folder / "study.tsv", [("SNP", "CHR", "BP", "A1", "A2", "P"), *rows], separator="\t")
    return {"summary_statistics": "study.tsv", "keep_by": "summary"}


@pytest.mark.parametrize("keep", [None, 1, 7])
@pytest.mark.parametrize("trait", ["CD8", "case"])
def test_stores_that_are_read_together_equal_those_read_one_by_one(project, trait, keep):
    plan = project.plan(trait=trait, covariates=["age", "sex"], keep_variants=keep, filters={"min_maf": 0.1})
    folds = folds_of(plan)
    found = list(plan.read_stores_here(folds))
    for read, fold in zip(found, folds, strict=True):
        assert_same(read, plan.read_store_here(fold))
    assert [read.quality for read in found] == [plan.read_store_here(folds[0]).quality, *[Quality()] * 4]
    assert len({tuple(read.store.variants.ids.tolist()) for read in found}) > 2, "each fold has learned something else"


def test_stores_of_another_study_that_are_read_together_equal_those_read_one_by_one(project):
    plan = project.plan(filters=OPEN, keep_variants=5, **with_study(project))
    folds = folds_of(plan)
    for read, fold in zip(plan.read_stores_here(folds), folds, strict=True):
        assert_same(read, plan.read_store_here(fold))


def test_stores_of_fractions_that_are_read_together_equal_those_read_one_by_one(project):
    project.plan()
    copies = project.rng.uniform(0, 2, (N_SAMPLES, N_VARIANTS))
    write_pfileset(project.folder, "doses", np.where(project.dosage < 0, np.nan, copies))
    plan = project.settings(genotypes="doses.pgen", keep_variants=9, match_by="iid").plan(project.folder)
    folds = folds_of(plan)
    for read, fold in zip(plan.read_stores_here(folds), folds, strict=True):
        assert read.store.dosage.dtype == np.uint16
        assert_same(read, plan.read_store_here(fold))


def test_ray_reads_the_stores_of_all_folds_as_they_are_read_without_it(project, monkeypatch, ray_on_two_cpus):
    from genotune.data import plink_datasource

    monkeypatch.setattr(plink_datasource, "_BLOCK_BYTES", 4 * N_SAMPLES)
    plan = project.plan(filters=OPEN, keep_variants=8)
    folds = folds_of(plan)
    for read, here in zip(plan.read_stores(folds), plan.read_stores_here(folds), strict=True):
        assert_same(read, here)


def test_however_many_folds_each_variant_is_decoded_once_for_statistics_and_once_if_any_fold_keeps_it(project):
    plan, decoded = counted(project.plan(filters=OPEN, keep_variants=4))
    folds = folds_of(plan)
    kept = {int(name[2:]) for read in plan.read_stores_here(folds) for name in read.store.variants.ids.tolist()}
    assert 4 < len(kept) < N_VARIANTS
    n_learning = len(np.unique(np.concatenate([fold.train for fold in folds])))
    assert n_learning < N_SAMPLES, "test samples are not even decoded for statistics"
    assert decoded == [(n_learning, list(range(N_VARIANTS))), (N_SAMPLES, sorted(kept))]


def test_a_fold_learns_nothing_from_the_training_samples_of_another(project):
    """What one fold holds out, the others learn from in the same pass."""
    values = {"filters": {"min_maf": 0.1}, "covariates": ["age"], "keep_variants": 12}
    plan = project.plan(**values)
    folds = folds_of(plan)
    before = list(plan.read_stores_here(folds))
    held_out = np.setdiff1d(np.arange(N_SAMPLES), folds[1].train)
    project.dosage[held_out] = project.rng.choice([0, 2, -1], size=(len(held_out), N_VARIANTS))
    for sample in held_out:
        project.columns["CD8"][sample] = 1000 + sample
        project.columns["age"][sample] = -5e6 * sample
    after = list(project.plan(**values).read_stores_here(folds))
    for one, other in zip(before[1].store.variants, after[1].store.variants, strict=True):
        np.testing.assert_array_equal(one, other)
    assert before[1].notes == after[1].notes
    assert before[2].store.variants.ids.tolist() != after[2].store.variants.ids.tolist()


def test_a_store_that_has_been_given_is_not_held_any_more(project):
    import gc
    import weakref

    stores = project.plan(filters=OPEN).read_stores_here(folds_of(project.plan(filters=OPEN)))
    given = weakref.ref(next(stores).store.dosage)
    gc.collect()
    assert given() is None
    assert next(stores).store.n_variants == N_VARIANTS


def peak_above_store(folder, dosage, *, n_folds):
    """Bytes that reading takes at its peak beyond the arrays of the stores, and the tables of the plan."""
    n_samples = len(dosage)
    write_fileset(folder, "x", dosage)
    rng = np.random.default_rng(1)
    write_rows(folder / "t.tsv", [("IID", "y"), *((f"I{i}", rng.normal()) for i in range(n_samples))], separator="\t")
    data = {"kind": "plink", "genotypes": "x.bed", "phenotypes": "t.tsv", "trait": "y", "keep_variants": 500}
    plan = build(PlinkSettings, data).plan(folder)
    split = build(RandomSplitSettings, {"by": "random", "validation": 0.2, "test": 0.2})
    fold = plan.resolve(split)
    folds = [fold, *(plan.folds(fold, split, n_folds=n_folds) if n_folds else [])]
    next(plan.read_stores_here(folds))  # what this imports is not counted
    tracemalloc.start()
    stores = list(plan.read_stores_here(folds))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - sum(read.store.dosage.nbytes for read in stores)


@pytest.mark.slow
@pytest.mark.parametrize("n_folds", [0, 3])
def test_memory_beside_what_is_kept_does_not_grow_with_the_genotypes_of_the_file(tmp_path, n_folds):
    """What may grow are the statistics of each variant: 48 bytes a set, at times twice that; genotypes take 3,000."""
    few = np.random.default_rng(0).binomial(2, 0.3, (3000, 5000)).astype(np.int8)
    peak = {times: peak_above_store(tmp_path, np.tile(few, times), n_folds=n_folds) for times in (1, 2, 4)}
    assert peak[4] - peak[1] < 0.2 * 3 * few.nbytes, peak
    assert peak[4] < 100_000_000
