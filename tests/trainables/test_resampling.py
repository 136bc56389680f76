"""Classes made equally common, on training samples alone."""

from dataclasses import replace

import numpy as np
import pytest

from genotune.settings import build
from genotune.store import GenotypeOutline
from genotune.trainables.boosted_trees_genotypes import GenotypeTrees
from genotune.trainables.resampling import Adasyn, AsTheyAre, Over, Smote, Under, resample
from genotune.trainables.trainable import FitError, FitPlan
from genotype_builders import build_genotypes, split_samples

SAMPLES = np.arange(10, 110)
CLASSES = (np.arange(100) % 5 == 0).astype(np.float64)
ROWS = np.random.default_rng(0).integers(0, 3, (200, 8)).astype(np.float32)


def rows(samples):
    return ROWS[samples]


def test_samples_are_drawn_again_or_left_out_until_classes_are_equal():
    over = resample(Over(), SAMPLES, CLASSES, rows=rows, seed=1)
    assert len(over.samples) == 160
    assert (CLASSES[over.samples - 10] == 1).sum() == 80
    assert set(over.samples) == set(SAMPLES)
    under = resample(Under(), SAMPLES, CLASSES, rows=rows, seed=1)
    assert len(under.samples) == len(set(under.samples)) == 40
    assert (CLASSES[under.samples - 10] == 1).sum() == 20
    assert resample(AsTheyAre(), SAMPLES, CLASSES, rows=rows, seed=1).samples is SAMPLES


@pytest.mark.parametrize("kind", [Smote, Adasyn])
def test_samples_of_the_rarer_class_are_made_up_between_its_own(kind):
    found = resample(kind(k=3), SAMPLES, CLASSES, rows=rows, seed=1)
    assert found.samples is SAMPLES
    assert 50 < len(found.made_up) < 70
    assert found.made_up_class == 1.0
    cases = ROWS[SAMPLES[CLASSES == 1]]
    for made in found.made_up:
        on_a_line = min(
            np.linalg.norm(made - a) + np.linalg.norm(made - b) - np.linalg.norm(a - b) for a in cases for b in cases
        )
        assert on_a_line < 1e-5
    other = resample(kind(k=3), SAMPLES, 1 - CLASSES, rows=rows, seed=1)
    assert other.made_up_class == 0.0


@pytest.mark.parametrize(
    ("chosen", "words"), [(Smote(k=20), "smote needs 21 .* has 20"), (Over(), "over needs 1 .* 0")]
)
def test_too_few_of_a_class_are_the_users_error(chosen, words):
    classes = CLASSES if chosen.kind == "smote" else np.zeros(100)
    with pytest.raises(FitError, match=words):
        resample(chosen, SAMPLES, classes, rows=rows, seed=1)


@pytest.mark.parametrize("kind", ["over", "under", "smote", "adasyn"])
@pytest.mark.parametrize("covariates", [0, 2])
def test_trees_learn_from_resampled_samples_and_from_no_others(kind, covariates):
    store = build_genotypes(300, 20, kind="binary", covariates=covariates, missing=0.05)
    store = replace(store, phenotype=store.phenotype * (np.arange(300) % 4 == 0))
    settings = build(GenotypeTrees, {"family": "boosted_trees", "rounds_per_epoch": 10, "resample": kind})
    plan = FitPlan(seed=2, max_epochs=2)

    def fit(store, settings=settings):
        return settings.fit(store, split_samples(store), report=lambda _: None, plan=plan)

    model = fit(store)
    held_out = split_samples(store).validation
    plain = fit(store, GenotypeTrees(rounds_per_epoch=10)).predict_samples(store, held_out)
    assert model.predict_samples(store, held_out).mean() > plain.mean() + 0.05
    other = replace(store, phenotype=store.phenotype.copy(), dosage=store.dosage.copy())
    other.phenotype[held_out], other.dosage[held_out] = 1, 2
    asked = store.dosage[:50], store.covariates[:50]
    np.testing.assert_array_equal(fit(other).predict(*asked), model.predict(*asked))


def test_what_can_not_be_resampled_is_refused_before_anything_is_read():
    smote = build(GenotypeTrees, {"family": "boosted_trees", "resample": {"kind": "smote", "k": 3}})
    assert smote.problems(GenotypeOutline(1000, 50_000, "binary", 2, 0)) == []
    [problem] = smote.problems(GenotypeOutline(20_000, 200_000, "binary", 2, 0))
    assert problem.path == ("resample",)
    assert problem.message.startswith("found smote; it holds 200000 features of 20000 samples as floats, 14.9 GiB; at")
    [problem] = smote.problems(GenotypeOutline(100, 50, "count", 0, 0))
    assert problem.message == "found smote; it is for a binary trait, this one is count."
