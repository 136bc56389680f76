"""How boosted trees learn: the loop over epochs, and the state from which it goes on exactly.

XGBoost's random streams can't be saved, nor seeded anew within a booster's life (as of 3.2 `seed` and
`seed_per_iteration` have no effect after its first round). So where something is drawn each epoch begins with a booster
made from the trees so far and seeded by (seed, epoch): a fit that resumes at epoch k gives, bit for bit on a CPU, what
the uninterrupted one gives. It costs as much as a few rounds.
"""

import json
import math
import time
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import xgboost
from numpy.typing import NDArray

from genotune.errors import ResourceError
from genotune.store import FloatArray, Store
from genotune.trainables.boosted_trees import OF_EACH_TREE, BoostedTrees
from genotune.trainables.kept import Kept
from genotune.trainables.model import Model
from genotune.trainables.trainable import FitPlan, Progress, Report

Rows = NDArray[Any]
"""(example, feature), of any type of number."""

MATRICES: Final = Kept[xgboost.DMatrix](most=2)
"""Binned training data; to make them again takes longer than many a fit."""

_TREES: Final = "state.ubj"
_REST: Final = "state.json"
_MODEL: Final = "model.ubj"


class Part(NamedTuple):
    """Some of the examples: features (example, feature), targets (example,) or (example, target), weights (example,).

    Without weights each counts the same.
    """

    rows: Rows
    targets: FloatArray
    weights: FloatArray | None = None


class _Parts(xgboost.DataIter):
    """Hands the parts to XGBoost, as often as it asks for them."""

    def __init__(self, parts: Callable[[], Iterator[Part]]) -> None:
        super().__init__()
        self._parts, self._left = parts, parts()

    def reset(self) -> None:
        """Begin again."""
        self._left = self._parts()

    def next(self, input_data: Callable[..., Any]) -> bool:
        """Hand over the next part; whether there was one."""
        part = next(self._left, None)
        if part is not None:
            input_data(data=part.rows, label=part.targets, weight=part.weights)
        return part is not None


def binned(
    parts: Callable[[], Iterator[Part]], *, missing: float, max_bin: int, n_threads: int
) -> xgboost.QuantileDMatrix:
    """The examples, each feature in at most `max_bin` bins.

    Args:
        parts: gives all examples, one bounded part at a time; called several times.
        missing: what stands for a missing value in the rows.
        max_bin: of a feature.
        n_threads: CPU threads at most.
    """
    return xgboost.QuantileDMatrix(_Parts(parts), missing=missing, max_bin=max_bin, nthread=n_threads)


class _State(NamedTuple):
    """How far a fit has come: trees as UBJSON, epochs done, the objective's best value and epochs since it."""

    trees: bytes | None = None
    epoch: int = 0
    best: float | None = None
    stale: int = 0

    def after(self, value: float | None) -> "_State":
        """With one more value of the objective; None (not measured) changes nothing, NaN is no improvement."""
        if value is None:
            return self
        if math.isfinite(value) and (self.best is None or value > self.best):
            return self._replace(best=value, stale=0)
        return self._replace(stale=self.stale + 1)

    def save(self, folder: Path, *, value: float | None = None) -> None:
        """Write the state to a folder, the epoch's own value taken in."""
        assert self.trees is not None
        (folder / _TREES).write_bytes(self.trees)
        after = self.after(value)
        (folder / _REST).write_text(json.dumps({"epoch": after.epoch, "best": after.best, "stale": after.stale}))

    @classmethod
    def load(cls, folder: Path) -> "_State":
        """The state that `save` wrote."""
        return cls((folder / _TREES).read_bytes(), **json.loads((folder / _REST).read_text()))


class Task(NamedTuple):
    """What is to be learned.

    Attributes:
        store: the data.
        key: what the training data depend on, beside the store and the settings of all trees.
        bin: gives the training data, binned.
        objective: XGBoost's parameters of the objective, and those that are of this kind of data alone.
        as_model: of trees.
        draws: whether something is drawn in each epoch, whatever the settings of all trees say.
    """

    store: Store
    key: tuple[Hashable, ...]
    bin: Callable[[], xgboost.DMatrix]
    objective: Mapping[str, Any]
    as_model: Callable[[xgboost.Booster], Model]
    draws: bool = False


def boost(settings: BoostedTrees[Any, Any], task: Task, *, report: Report, plan: FitPlan, resume: Path | None) -> Model:
    """The model of the last epoch; see `Trainable.fit`.

    Raises:
        ResourceError: the plan asks for CUDA, and XGBoost finds none.
    """
    epochs = boosting_epochs(settings, task, plan=plan, resume=resume)
    value: float | None = None
    while True:
        try:
            progress = epochs.send(value)
        except StopIteration as ended:
            model: Model = ended.value
            return model
        value = report(progress)


def boosting_epochs(
    settings: BoostedTrees[Any, Any], task: Task, *, plan: FitPlan, resume: Path | None
) -> Generator[Progress, float | None, Model]:
    """The same, waiting at the end of each epoch for the objective's value."""
    _check_device(plan.device)
    params = {**_params(settings, plan=plan), **task.objective}
    state = _State.load(resume) if resume else _State()
    if _over(state, settings, plan=plan):
        return task.as_model(_booster(params, state.trees))
    matrix = MATRICES.get(task.store, (*task.key, settings.max_bin, plan.device), make=task.bin)
    booster = _booster(params, state.trees, matrix)
    while not _over(state, settings, plan=plan):
        started_s, epoch = time.perf_counter(), state.epoch + 1
        if task.draws or settings.subsample < 1 or settings.colsample_bytree < 1:
            booster = _booster(params | {"seed": _seed(plan.seed, epoch)}, state.trees, matrix)
        n_rounds = settings.rounds_per_epoch
        for iteration in range(n_rounds * (epoch - 1), n_rounds * epoch):
            booster.update(matrix, iteration)
        metrics = {
            "train_loss": _loss(booster, matrix),
            "rounds": float(booster.num_boosted_rounds()),
            f"{settings.examples}_per_s": n_rounds * matrix.num_row() / (time.perf_counter() - started_s),
        }
        state = state._replace(trees=bytes(booster.save_raw("ubj")), epoch=epoch)
        state = state.after((yield Progress(epoch, task.as_model(booster), metrics, state.save)))
    return task.as_model(booster)


def _over(state: _State, settings: BoostedTrees[Any, Any], *, plan: FitPlan) -> bool:
    """Whether the fit ends here."""
    out_of_patience = settings.patience is not None and state.stale >= settings.patience
    return out_of_patience or state.epoch >= plan.max_epochs


def _seed(seed: int, epoch: int) -> int:
    """Of an epoch's random stream."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint32)[0] >> 1)


def _params(settings: BoostedTrees[Any, Any], *, plan: FitPlan) -> dict[str, Any]:
    """XGBoost's parameters but for the objective and the seed."""
    of_trees = settings.model_dump(include={*OF_EACH_TREE, "max_bin"})
    on = {"device": plan.device, "nthread": plan.n_threads}
    return {"tree_method": "hist", "verbosity": 0, **of_trees, **on}


def _booster(params: Mapping[str, Any], trees: bytes | None, matrix: xgboost.DMatrix | None = None) -> xgboost.Booster:
    """A booster with these trees, none if None, its random stream at the beginning."""
    return xgboost.Booster(
        dict(params), [] if matrix is None else [matrix], model_file=None if trees is None else bytearray(trees)
    )


def _check_device(device: str) -> None:
    """Nothing, if XGBoost can use the device: by itself it would go on on the CPU.

    Raises:
        ResourceError: it can't.
    """
    if device == "cpu":
        return
    if not xgboost.build_info()["USE_CUDA"]:
        raise ResourceError("boosted_trees: this XGBoost was built without CUDA. Install another, or use no GPU.")
    with xgboost.config_context(verbosity=0):
        rows = xgboost.DMatrix(np.zeros((2, 1), dtype=np.float32), label=np.zeros(2), nthread=1)
        booster = xgboost.Booster({"device": device, "nthread": 1}, [rows])
        booster.update(rows, 0)
        used = json.loads(booster.save_config())["learner"]["generic_param"]["device"]
    if used == "cpu":
        raise ResourceError("boosted_trees: XGBoost finds no CUDA device here. Mend the driver, or use no GPU.")


def _loss(booster: xgboost.Booster, matrix: xgboost.DMatrix) -> float:
    """XGBoost's own metric of the objective, on the training data."""
    return float(booster.eval(matrix, "train").rsplit(":", 1)[1])


def predict_rows(
    booster: xgboost.Booster, rows: Rows, *, missing: float, device: str, n_threads: int, in_place: bool = True
) -> FloatArray:
    """(example,) or (example, target) predictions.

    Args:
        booster: the trees.
        rows: (example, feature), one at least.
        missing: what stands for a missing value in the rows.
        device: that the booster is on.
        n_threads: CPU threads at most.
        in_place: whether the booster can read the rows where they lie; a linear one can't.
    """
    if device == "cpu" and in_place:
        predicted: FloatArray = booster.inplace_predict(rows, missing=missing)
        return predicted
    # In place it would warn that the rows don't lie on the device, and do the same.
    on_device: FloatArray = booster.predict(xgboost.DMatrix(rows, missing=missing, nthread=n_threads))
    return on_device


def save_booster(booster: xgboost.Booster, folder: Path) -> None:
    """Write the trees of a model to its folder."""
    (folder / _MODEL).write_bytes(booster.save_raw("ubj"))


def n_learned(booster: xgboost.Booster) -> int:
    """Nodes of all trees; of a linear booster the weights and biases that are not zero."""
    each = booster.get_dump()
    if each and each[0].startswith("bias:"):
        numbers = (line for line in each[0].split() if line not in ("bias:", "weight:"))
        return sum(float(number) != 0 for number in numbers)
    return sum(tree.count("\n") for tree in each)


def load_booster(folder: Path) -> xgboost.Booster:
    """The trees that `save_booster` wrote, on one thread of the CPU."""
    return xgboost.Booster({"nthread": 1}, model_file=bytearray((folder / _MODEL).read_bytes()))
