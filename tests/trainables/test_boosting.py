"""The loop over rounds and epochs, held to XGBoost's own."""

import gc
import json
import math
import weakref
from pathlib import Path

import numpy as np
import pytest
import xgboost

from genotune.errors import ResourceError
from genotune.trainables.boosted_trees_genotypes import GenotypeTrees
from genotune.trainables.boosting import Part, Task, binned, boost, n_learned, predict_rows
from genotune.trainables.trainable import FitPlan
from genotype_builders import build_genotypes, split_samples

PLAN = FitPlan(seed=1, max_epochs=3)
RNG = np.random.default_rng(0)
ROWS = RNG.integers(0, 3, (200, 6)).astype(np.int8)
TARGETS = (ROWS[:, 0] + RNG.normal(0, 0.2, 200)).astype(np.float32)


def matrix(part_rows=200):
    def parts():
        for first in range(0, 200, part_rows):
            yield Part(ROWS[first : first + part_rows], TARGETS[first : first + part_rows])

    return binned(parts, missing=-1, max_bin=256, n_threads=1)


def run(store, *, settings=None, key=(), make=matrix, report=lambda progress: None, plan=PLAN, resume=None):
    task = Task(store, key, make, {"objective": "reg:squarederror"}, lambda booster: booster)
    settings = settings or GenotypeTrees(rounds_per_epoch=4)
    return boost(settings, task, report=report, plan=plan, resume=resume)


def trees(booster):
    return booster.get_dump(dump_format="json", with_stats=True)


def test_epochs_of_rounds_are_xgboosts_own_training(store):
    settings = GenotypeTrees(
        rounds_per_epoch=4,
        max_depth=2,
        learning_rate=0.3,
        min_child_weight=5,
        reg_lambda=2.0,
        reg_alpha=0.1,
        gamma=0.01,
        max_bin=2,
    )
    params = {
        "tree_method": "hist",
        "max_depth": 2,
        "learning_rate": 0.3,
        "min_child_weight": 5,
        "reg_lambda": 2.0,
        "reg_alpha": 0.1,
        "gamma": 0.01,
        "max_bin": 2,
        "nthread": 1,
    }
    whole = xgboost.QuantileDMatrix(ROWS, label=TARGETS, missing=-1, max_bin=2, nthread=1)
    oracle = xgboost.train(params, whole, num_boost_round=12)

    def make():
        return binned(lambda: iter([Part(ROWS, TARGETS)]), missing=-1, max_bin=2, n_threads=1)

    assert trees(run(store, settings=settings, make=make)) == trees(oracle)


@pytest.mark.parametrize("part_rows", [1, 7, 64])
def test_examples_handed_over_in_parts_are_those_handed_over_at_once(part_rows, make_store):
    in_parts = run(make_store([500]), make=lambda: matrix(part_rows))
    np.testing.assert_array_equal(in_parts.inplace_predict(ROWS), run(make_store([500])).inplace_predict(ROWS))


def test_the_reported_loss_is_the_root_of_the_mean_squared_error(store):
    seen = []

    def report(progress):
        errors = progress.model.inplace_predict(ROWS) - TARGETS
        seen.append((progress.metrics["train_loss"], progress.metrics["rounds"], np.sqrt(np.mean(errors**2))))

    run(store, report=report)
    assert [rounds for _, rounds, _ in seen] == [4.0, 8.0, 12.0]
    for reported, _, expected in seen:
        assert reported == pytest.approx(expected, rel=1e-5)
    assert seen[0][0] > seen[1][0] > seen[2][0]


@pytest.mark.parametrize("drawn", [{}, {"subsample": 0.7, "colsample_bytree": 0.5}, {"subsample": 0.6}])
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_resumed_fit_grows_the_trees_of_the_uninterrupted_one(store, tmp_path, drawn, epoch):
    settings = GenotypeTrees(rounds_per_epoch=4, **drawn)

    def report(progress):
        if progress.epoch == epoch:
            progress.save_state(tmp_path)

    whole = run(store, settings=settings, report=report)
    seen = []
    resumed = run(store, settings=settings, report=lambda progress: seen.append(progress.epoch), resume=tmp_path)
    assert seen == list(range(epoch + 1, 4))
    assert resumed.save_raw("ubj") == whole.save_raw("ubj")


def test_another_seed_draws_other_examples_and_another_epoch_too(store):
    settings = GenotypeTrees(rounds_per_epoch=1, subsample=0.5, learning_rate=1e-6)
    one, again, other = (run(store, settings=settings, plan=PLAN._replace(seed=seed)) for seed in (1, 1, 2))
    assert trees(one) == trees(again)
    assert trees(one) != trees(other)
    # So slow a learner grows the same tree in every round, unless it sees other examples.
    assert len(set(trees(one))) == 3
    still = run(store, settings=settings.model_copy(update={"subsample": 1.0}))
    assert len({json.loads(tree)["split_condition"] for tree in trees(still)}) == 1


def test_a_state_is_trees_and_text(store, tmp_path):
    values = iter([0.5, 0.4, math.nan])

    def report(progress):
        value = next(values)
        progress.save_state(tmp_path, value=value)
        return value

    run(store, report=report)
    assert {path.name for path in tmp_path.iterdir()} == {"state.ubj", "state.json"}
    assert json.loads((tmp_path / "state.json").read_text()) == {"epoch": 3, "best": 0.5, "stale": 2}
    assert xgboost.Booster(model_file=str(tmp_path / "state.ubj")).num_boosted_rounds() == 12


@pytest.mark.parametrize(
    ("values", "n_epochs"),
    [
        ([0.5, 0.4, 0.4, 0.9, 0.9], 3),
        ([0.5, 0.5, 0.6, 0.5, 0.6], 5),
        ([math.nan, math.nan, 0.5, 0.5, 0.5], 2),
        ([None, None, None, None, None], 5),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 5),
    ],
)
def test_the_fit_ends_when_the_objective_has_not_improved_for_patience_epochs(store, values, n_epochs):
    seen = []

    def report(progress):
        seen.append(progress.epoch)
        return values[progress.epoch - 1]

    settings = GenotypeTrees(rounds_per_epoch=1, patience=2)
    run(store, settings=settings, report=report, plan=PLAN._replace(max_epochs=5))
    assert seen == list(range(1, n_epochs + 1))


def test_a_resumed_fit_knows_how_long_it_has_waited(store, tmp_path):
    def report(progress):
        value = 1.0 - progress.epoch
        if progress.epoch == 2:
            progress.save_state(tmp_path, value=value)
        return value

    settings = GenotypeTrees(rounds_per_epoch=1, patience=2)
    whole = run(store, settings=settings, report=report, plan=PLAN._replace(max_epochs=9))
    resumed = run(store, settings=settings, report=report, plan=PLAN._replace(max_epochs=9), resume=tmp_path)
    assert whole.num_boosted_rounds() == resumed.num_boosted_rounds() == 3


def test_training_data_are_binned_once_for_a_key_and_a_width_of_bins(make_store):
    made, store = [], make_store([500])

    def make(max_bin):
        made.append(max_bin)
        return binned(lambda: iter([Part(ROWS, TARGETS)]), missing=-1, max_bin=max_bin, n_threads=1)

    for key, max_bin in (("a", 16), ("a", 16), ("b", 16), ("a", 32), ("a", 32)):
        settings = GenotypeTrees(rounds_per_epoch=1, max_bin=max_bin)
        run(store, settings=settings, key=(key,), make=lambda max_bin=max_bin: make(max_bin))
    assert made == [16, 16, 32]


def test_binned_data_do_not_keep_their_store_alive():
    store = build_genotypes(60, 5)
    GenotypeTrees(rounds_per_epoch=1).fit(store, split_samples(store), report=lambda progress: None, plan=PLAN)
    alive = weakref.ref(store)
    del store
    gc.collect()
    assert alive() is None


def test_a_fault_in_a_part_is_passed_on(make_store):
    def parts():
        raise OSError("the disk is gone")
        yield

    with pytest.raises(OSError, match="the disk is gone"):
        run(make_store([500]), make=lambda: binned(parts, missing=-1, max_bin=256, n_threads=1))


def test_no_gpu_is_said_and_the_fit_does_not_go_on_without(store):
    if any(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("there is a GPU")
    with pytest.raises(ResourceError, match=r"finds no CUDA device here|was built without CUDA"):
        run(store, plan=PLAN._replace(device="cuda"))


@pytest.mark.gpu
def test_a_gpu_grows_trees_that_predict_as_a_cpu_does(make_store):
    on_gpu = run(make_store([500]), plan=PLAN._replace(device="cuda"))
    on_cpu = run(make_store([500])).inplace_predict(ROWS)
    np.testing.assert_allclose(predict_rows(on_gpu, ROWS, missing=-1, device="cuda", n_threads=1), on_cpu, rtol=1e-3)
    on_gpu.set_param({"device": "cpu"})
    np.testing.assert_allclose(predict_rows(on_gpu, ROWS, missing=-1, device="cpu", n_threads=1), on_cpu, rtol=1e-3)


def test_predictions_by_either_way_are_the_same(store):
    booster = run(store)
    rows = np.where(RNG.random(ROWS.shape) < 0.2, -1, ROWS).astype(np.int8)
    in_place, by_matrix = (
        predict_rows(booster, rows, missing=-1, device=device, n_threads=1) for device in ("cpu", "other")
    )
    np.testing.assert_array_equal(in_place, by_matrix)


@pytest.mark.parametrize(("alpha", "n_kept"), [(0.0, 6), (1e6, 0)])
def test_of_a_linear_booster_the_bias_and_the_weights_that_a_penalty_left_are_counted(alpha, n_kept):
    data = xgboost.DMatrix(ROWS, TARGETS)
    booster = xgboost.train({"booster": "gblinear", "updater": "coord_descent", "alpha": alpha}, data, 5)
    assert n_learned(booster) == 1 + n_kept


def test_the_nodes_of_all_trees_are_counted_splits_and_leaves():
    booster = xgboost.train({"max_depth": 1}, xgboost.DMatrix(ROWS, TARGETS), 4)
    assert n_learned(booster) == 4 * 3
