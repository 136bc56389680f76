"""The tables of a winner on genotypes: what is in them, of which samples, and by which model."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from builders import SPEC as TRACKS_SPEC
from genotune.errors import SpecError
from genotune.genome.fold import Fold
from genotune.journal import Journal
from genotune.plan import make_plan
from genotune.spec import read_spec
from genotune.store import SequenceStore, Splits
from genotune.trainables import build_trainable
from genotune.trainables.importance import importance_of_effects
from genotune.trainables.trainable import FitPlan
from genotune.winner_tables import HeldOut, calibration_text, top_features, write_predictions, write_winner_tables
from genotype_builders import build_genotypes, build_variants

FOLD = Fold(np.arange(120), np.arange(120, 160), np.arange(160, 200))


def held_out(observed, predicted, *, split="test", trait="height", classes=()):
    ids = np.array([[f"F{row}", f"I{row}"] for row in range(len(observed))])
    values = np.asarray(observed, dtype=np.float64), np.asarray(predicted, dtype=np.float32)
    return HeldOut(split, trait, classes, ids, *values)


def predictions_of(path, *each):
    write_predictions(path / "p.tsv", each)
    return (path / "p.tsv").read_text()


def test_the_reliability_table_by_hand():
    text = calibration_text(
        [held_out([0, 1, 1], [0.05, 0.05, 0.95], split="validation"), held_out([1], [0.3125], split="test")]
    )
    lines = text.splitlines()
    assert lines[0] == "split\tfrom\tto\tn\tpredicted\tobserved"
    assert len(lines) == 1 + 2 * 10
    assert lines[1] == "validation\t0\t0.1\t2\t0.05\t0.5"
    assert lines[2] == "validation\t0.1\t0.2\t0\t\t"
    assert lines[10] == "validation\t0.9\t1\t1\t0.95\t1"
    assert lines[14] == "test\t0.3\t0.4\t1\t0.3125\t1"


def test_predictions_of_a_number(tmp_path):
    assert predictions_of(tmp_path, held_out([1.25, -9.5], [1.5, -8])) == (
        "FID\tIID\tsplit\tobserved\tpredicted\nF0\tI0\ttest\t1.25\t1.5\nF1\tI1\ttest\t-9.5\t-8\n"
    )


def test_predictions_of_two_classes(tmp_path):
    assert predictions_of(tmp_path, held_out([1, 0], [0.25, 0.75], classes=("no", "yes"))) == (
        "FID\tIID\tsplit\tobserved\tpredicted\tpredicted=no\tpredicted=yes\n"
        "F0\tI0\ttest\tyes\tno\t0.75\t0.25\nF1\tI1\ttest\tno\tyes\t0.25\t0.75\n"
    )


def test_predictions_of_three_classes(tmp_path):
    one = held_out([2, 0], [[0.25, 0.25, 0.5], [0, 1, 0]], classes=("a", "b", "c"))
    assert predictions_of(tmp_path, one) == (
        "FID\tIID\tsplit\tobserved\tpredicted\tpredicted=a\tpredicted=b\tpredicted=c\n"
        "F0\tI0\ttest\tc\tc\t0.25\t0.25\t0.5\nF1\tI1\ttest\ta\tb\t0\t1\t0\n"
    )


def test_of_several_traits_each_has_rows_of_its_own_and_probabilities_of_its_classes(tmp_path):
    sick = held_out([1], [0.75], trait="sick", classes=("no", "yes"))
    late = held_out([0, 1], [0.25, 0.625], trait="late", classes=("no", "2"))
    assert predictions_of(tmp_path, sick, late) == (
        "FID\tIID\tsplit\ttrait\tobserved\tpredicted\tpredicted=no\tpredicted=yes\tpredicted=2\n"
        "F0\tI0\ttest\tsick\tyes\tyes\t0.25\t0.75\t\n"
        "F0\tI0\ttest\tlate\tno\tno\t0.75\t\t0.25\n"
        "F1\tI1\ttest\tlate\t2\t2\t0.375\t\t0.625\n"
    )
    lines = calibration_text([sick, late]).splitlines()
    assert lines[0] == "trait\tsplit\tfrom\tto\tn\tpredicted\tobserved"
    assert lines[8] == "sick\ttest\t0.7\t0.8\t1\t0.75\t1"
    assert lines[13] == "late\ttest\t0.2\t0.3\t1\t0.25\t0"


@pytest.mark.parametrize(
    ("variants", "covariates", "ids"),
    [
        ([0, 3, -9, 1, 2, 4, 5], [7.0], ["rs2", "rs6", "rs5", "rs1", "rs4"]),
        ([0, 0, 0.5, 0, 0, 0, 0], [7.0], ["rs2"]),
        ([0] * 7, [7.0], ["age"]),
        ([0] * 7, [0.0], []),
    ],
)
def test_what_is_told_first_is_of_one_kind(variants, covariates, ids):
    found = importance_of_effects(
        build_variants(7),
        ("age",),
        of_variants=np.array(variants, dtype=float)[:, None],
        of_covariates=np.array(covariates)[:, None],
        measure="effect",
    )
    assert [row["id"] for row in top_features(found)] == ids


def plan_of(*, predictions=True, trial_folds=()):
    settings = SimpleNamespace(evaluation=SimpleNamespace(predictions=predictions))
    return SimpleNamespace(fold=FOLD, trial_folds=list(trial_folds), spec=SimpleNamespace(settings=settings))


def fit(store, train, folder, **params):
    trainable = build_trainable("elastic_net", params, store.columns)
    model = trainable.fit(
        store, Splits(train, FOLD.validation), report=lambda _: None, plan=FitPlan(seed=1, max_epochs=1)
    )
    folder.mkdir(parents=True)
    model.save(folder)
    return model


@pytest.fixture
def sweep(tmp_path):
    """A journal whose winner is trial 4; gives it with the model of its checkpoint."""
    store = build_genotypes(200, 30, kind="binary")
    chosen = fit(store, FOLD.train, tmp_path / "trials" / "t4" / "model")
    with Journal(tmp_path) as journal:
        journal.append("winner", trial=4, epoch=1, value=0.5, checkpoint="t4")
        yield SimpleNamespace(journal=journal, store=store, chosen=chosen, folder=tmp_path)


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_tables_lie_in_the_sweep_and_importance_beside_the_model(sweep):
    write_winner_tables(plan_of(), sweep.journal, store=sweep.store, final=sweep.store)
    text = (sweep.folder / "importance.tsv").read_text()
    assert text == sweep.chosen.importance().table_text()
    assert (sweep.folder / "trials" / "t4" / "model" / "importance.tsv").read_text() == text
    told = sweep.journal.state.tables
    assert (told["trial"], told["files"]) == (4, ["importance.tsv", "calibration.tsv"])
    assert [row["id"] for row in told["top"]] == [row["id"] for row in read(sweep.folder / "importance.tsv")[:5]]
    found = read(sweep.folder / "predictions.tsv")
    members = np.concatenate([FOLD.validation, FOLD.test])
    assert [(row["FID"], row["IID"]) for row in found] == list(map(tuple, sweep.store.samples[members].tolist()))
    assert [row["split"] for row in found] == ["validation"] * 40 + ["test"] * 40
    assert [sweep.store.classes.index(row["observed"]) for row in found] == sweep.store.phenotype[members].tolist()
    second = [float(row[f"predicted={sweep.store.classes[1]}"]) for row in found]
    assert second == pytest.approx(sweep.chosen.predict_samples(sweep.store, members).tolist(), rel=1e-6)
    counts = [(row["split"], int(row["n"])) for row in read(sweep.folder / "calibration.tsv")]
    assert [sum(n for split, n in counts if split == one) for one in ("validation", "test")] == [40, 40]


def test_nothing_is_said_twice(sweep):
    for _ in range(2):
        write_winner_tables(plan_of(), sweep.journal, store=sweep.store, final=sweep.store)
    assert [event.kind for event in sweep.journal.events()].count("tables") == 1


def test_predictions_are_written_only_where_a_person_asks(sweep):
    write_winner_tables(plan_of(predictions=False), sweep.journal, store=sweep.store, final=sweep.store)
    assert not (sweep.folder / "predictions.tsv").exists()
    assert (sweep.folder / "calibration.tsv").exists()


def test_a_winner_that_was_fitted_on_validation_too_predicts_test_alone(sweep):
    everyone = np.concatenate([FOLD.train, FOLD.validation])
    final = fit(sweep.store, everyone, sweep.folder / "refitted" / "model", penalty=0.02)
    sweep.journal.append("refitted", trial=4, epoch=1, model="refitted/model")
    write_winner_tables(plan_of(), sweep.journal, store=sweep.store, final=sweep.store)
    assert (sweep.folder / "refitted" / "model" / "importance.tsv").read_text() == final.importance().table_text()
    assert not (sweep.folder / "trials" / "t4" / "model" / "importance.tsv").exists()
    found = read(sweep.folder / "predictions.tsv")
    second = np.array([float(row[f"predicted={sweep.store.classes[1]}"]) for row in found])
    np.testing.assert_allclose(second[:40], sweep.chosen.predict_samples(sweep.store, FOLD.validation), rtol=1e-6)
    np.testing.assert_allclose(second[40:], final.predict_samples(sweep.store, FOLD.test), rtol=1e-6)
    assert np.abs(final.predict_samples(sweep.store, FOLD.validation) - second[:40]).max() > 0.01


def test_after_trials_on_folds_there_is_no_model_that_can_be_asked_of_validation(sweep):
    write_winner_tables(plan_of(trial_folds=[FOLD]), sweep.journal, store=sweep.store, final=sweep.store)
    for name in ("predictions.tsv", "calibration.tsv"):
        assert {row["split"] for row in read(sweep.folder / name)} == {"test"}


def test_on_tracks_there_are_no_such_tables_and_asking_for_predictions_is_refused(tmp_path, tiny):
    with Journal(tmp_path) as journal:
        tracks = SequenceStore(*(np.empty(0) for _ in range(4)), (), (), 16)
        write_winner_tables(plan_of(), journal, store=tracks, final=tracks)
        assert [*journal.events()] == []
    tiny.write_text(TRACKS_SPEC + "evaluation: {predictions: true}\n")
    message = r"tiny\.yaml:\d+: evaluation\.predictions: found true; predictions by sample are those of genotypes"
    with pytest.raises(SpecError, match=message):
        make_plan(read_spec(tiny))
