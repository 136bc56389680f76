"""What a family says may change while a fit runs: it does, and as if the fit had never stopped for it."""

import numpy as np
import pytest
from trainables.test_trainable import CODE, GENOTYPES, N_EPOCHS, SMALL, TRACKS, id_of, predict_some

from genotune.store import Splits
from genotune.trainables import FAMILIES, build_trainable, settings_of
from genotune.trainables.trainable import FitPlan
from genotype_builders import build_genotypes

# Another value than that of SMALL, or than the default.
OTHER = {
    "learning_rate": 0.02,
    "weight_decay": 5.0,
    "clip_norm": 0.01,
    "jitter_bp": 64,
    "dropout": 0.5,
    "batch_size": 20,
    "max_depth": 2,
    "min_child_weight": 40.0,
    "subsample": 0.4,
    "colsample_bytree": 0.3,
    "reg_lambda": 50.0,
    "reg_alpha": 2.0,
    "gamma": 1e6,
}
CHANGING = [
    (family, columns)
    for family in FAMILIES
    for columns in (TRACKS, GENOTYPES)
    if (kind := settings_of(family, columns)) is not None and kind.changeable
]
pytestmark = pytest.mark.parametrize("pair", CHANGING, ids=id_of)


@pytest.fixture
def data(pair, store, splits):
    if pair[1] == TRACKS:
        return store, splits
    return build_genotypes(150, 40, covariates=1, missing=0.02), Splits(np.arange(100), np.arange(100, 150))


def fit(pair, data, *, changed=None, report=lambda progress: 0.5, resume=None, **values):
    """The predictions of a fit with the small settings, some of them changed."""
    trainable = build_trainable(pair[0], {**SMALL[pair], **values, **(changed or {})}, pair[1])
    plan = FitPlan(seed=1, max_epochs=N_EPOCHS, code=CODE)
    return predict_some(trainable.fit(*data, report=report, plan=plan, resume=resume))


def saving(folder, epoch):
    def report(progress):
        if progress.epoch == epoch:
            progress.save_state(folder, value=0.5)
        return 0.5

    return report


def test_each_of_them_has_an_effect_on_a_fit_that_resumes(pair, data, tmp_path):
    kind = settings_of(*pair)
    assert kind.changeable <= kind.model_fields.keys()
    whole = fit(pair, data, report=saving(tmp_path, 1))
    np.testing.assert_array_equal(fit(pair, data, resume=tmp_path), whole)
    for name in kind.changeable:
        assert not np.array_equal(fit(pair, data, changed={name: OTHER[name]}, resume=tmp_path), whole), name


def test_a_fit_that_resumes_with_other_values_is_the_uninterrupted_one_in_which_they_change(pair, data, tmp_path):
    """The live fit is reached into at the end of its first epoch: settings, optimiser, layers, booster."""
    # Trees that draw make a booster from their settings at each epoch, which can't be reached into.
    quiet = {"subsample": 1.0, "colsample_bytree": 1.0} if pair[0] == "boosted_trees" else {}
    changed = {name: OTHER[name] for name in settings_of(*pair).changeable if name not in quiet}
    fit(pair, data, report=saving(tmp_path, 1), **quiet)
    resumed = fit(pair, data, changed=changed, resume=tmp_path, **quiet)

    def change(progress):
        if progress.epoch == 1:
            change_live(progress, changed)
        return 0.5

    np.testing.assert_array_equal(resumed, fit(pair, data, report=change, **quiet))


def change_live(progress, changed):
    if hasattr(progress.model, "booster"):
        progress.model.booster.set_param(changed)
        return
    loop = progress.save_state.func.__self__
    loop.settings.__dict__.update(changed)
    for group in loop.optimiser.param_groups:
        # GenotypeCNN's rate is its optimiser's; the others set that of each step.
        group["lr"] = changed["learning_rate"]
        group["weight_decay"] = changed["weight_decay"] if group["weight_decay"] else 0.0
    for layer in loop.network.modules():
        if "dropout" in changed and type(layer).__name__.startswith("Dropout"):
            layer.p = changed["dropout"]
