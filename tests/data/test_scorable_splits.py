"""What splits of few samples can't teach or judge is told when a sweep is planned, not in its middle."""

import numpy as np
import pytest
from data.plink_project import N_SAMPLES, Project, family_split, fold_of

from genotune.data.scorable_splits import covariate_notes, few_notes, fold_fault, split_faults
from genotune.errors import DataError

FOLD = fold_of(range(12), range(12, 18), range(18, 24))


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_splits_that_cant_be_scored_are_named(project):
    samples = project.plan(trait="case").samples
    assert list(split_faults(samples, FOLD)) == []
    [fault] = split_faults(samples, fold_of(range(12), [12, 13], range(18, 24)))
    assert fault == (
        "validation",
        "validation holds no sample with case 1: its 2 samples can't tell the classes apart",
    )
    [empty] = split_faults(samples, fold_of(range(12), [], range(18, 24)))
    assert empty.words == "validation holds no sample"


def test_a_fold_without_a_class_is_named_and_test_is_of_no_fold(project):
    samples = project.plan(trait="case").samples
    good = fold_of(range(12), range(12, 18), [20, 21])
    assert fold_fault(samples, [good, good]) is None
    assert fold_fault(samples, [good, fold_of(range(12), [12, 13], [20])]) == (
        "of fold 2 of 2, validation holds no sample with case 1: its 2 samples can't tell the classes apart"
    )


def test_folds_that_lack_a_class_are_refused_when_samples_were_left_out(project):
    project.dosage[:] = 1
    plan = project.plan(trait="case")
    fold = plan.resolve(family_split())
    lacking = fold_of(fold.train, [s for s in fold.validation if s // 2 % 2], fold.test)
    assert plan.fold_fault([lacking]) is not None
    with pytest.raises(DataError, match=r"of fold 1 of 1, validation holds no .* Ask for fewer folds, or try another"):
        plan.vet(fold, [lacking])


def test_few_samples_of_a_class_are_told(project):
    samples = project.plan(trait="case").samples
    assert few_notes(samples, FOLD)[1] == (
        "case 1: 6 in train, 2 in validation, 4 in test. So few teach little and judge worse: another seed of the "
        "split may find another winner."
    )
    assert few_notes(project.plan().samples, FOLD) == ()
    (trait,) = samples.traits
    many = samples._replace(traits=(trait._replace(values=np.tile(trait.values, 10)),))
    assert few_notes(many, fold_of(range(120), range(120, 180), range(180, 240))) == ()


def test_covariates_that_only_training_samples_make_useless_are_told(project):
    project.columns["site"] = ["a" if i < 20 else "b" for i in range(N_SAMPLES)]
    plan = project.plan(covariates=["age", "site"])
    [note] = covariate_notes(plan.samples, FOLD)
    assert note.startswith("covariates 'site=b': constant, or a sum of multiples of those before, in the training")
    assert covariate_notes(plan.samples, fold_of(range(8, 24), range(4), range(4, 8))) == ()


def test_more_covariates_than_training_samples_are_a_problem_of_the_spec(project):
    names = [f"PC{i}" for i in range(11)]
    project.columns |= {name: project.rng.normal(size=N_SAMPLES).round(3) for name in names}
    plan = project.plan(covariates=names)
    [problem] = plan.training_problems(FOLD)
    assert problem.path == ("covariates",)
    assert problem.message == (
        "found 11 columns for 12 training samples; they would explain any trait and leave nothing to genotypes. "
        "Remove most of them."
    )
    assert project.plan(covariates=names[:10]).training_problems(FOLD) == []
