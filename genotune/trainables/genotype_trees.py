"""Boosted trees on genotypes: the training data of a trait, and the model. Whole dosages go in as they lie."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import xgboost

from genotune.columns import TargetKind
from genotune.store import (
    MISSING_DOSAGE,
    DosageArray,
    FloatArray,
    GenotypeStore,
    IntArray,
    Splits,
    Values,
    Variants,
    copies,
)
from genotune.trainables.boosted_trees_genotypes import GenotypeTrees
from genotune.trainables.boosters import booster_params
from genotune.trainables.boosting import (
    Part,
    Rows,
    Task,
    binned,
    boost,
    boosting_epochs,
    load_booster,
    n_learned,
    predict_rows,
    save_booster,
)
from genotune.trainables.class_weights import sample_weights
from genotune.trainables.genotype_trainable import Epochs
from genotune.trainables.importance import LINEAR_EFFECT, Importance, importance_of_effects
from genotune.trainables.model import (
    GenotypeModel,
    Model,
    Trait,
    read_record,
    read_variants,
    write_record,
    write_variants,
)
from genotune.trainables.resampling import Resampled, resample, room_fault
from genotune.trainables.trainable import FitError, FitPlan, Report

_FORMAT: Final = 1
_TREE_MEASURES: Final[Mapping[str, str]] = {
    "gain_in_all": "total_gain",
    "gain_per_split": "gain",
    "times_used": "weight",
    "cover_per_split": "cover",
}
"""What is told of each feature, and XGBoost's name for it."""
_PART_BYTES: Final = 1 << 25


def fit(
    settings: GenotypeTrees,
    store: GenotypeStore,
    *,
    splits: Splits,
    report: Report,
    plan: FitPlan,
    resume: Path | None,
) -> Model:
    """Learn from the training samples; see `Trainable.fit`."""
    return boost(settings, _task(settings, store, splits, plan=plan), report=report, plan=plan, resume=resume)


def epochs(
    settings: GenotypeTrees, store: GenotypeStore, splits: Splits, *, plan: FitPlan, resume: Path | None
) -> Epochs:
    """The same, waiting at the end of each epoch; see `GenotypeTrainable.epochs`."""
    return boosting_epochs(settings, _task(settings, store, splits, plan=plan), plan=plan, resume=resume)


def _task(settings: GenotypeTrees, store: GenotypeStore, splits: Splits, *, plan: FitPlan) -> Task:
    """What is learned from a store.

    Raises:
        FitError: examples can't be drawn so on this device.
    """
    if settings.sampling_method == "gradient_based" and plan.device == "cpu":
        raise FitError("boosted_trees: sampling_method gradient_based needs a GPU. Give it one, or write uniform.")
    n_variants = min(settings.n_variants or store.n_variants, store.n_variants)
    trait = Trait.of_store(store)
    variants = store.variants.first(n_variants)

    def as_model(booster: xgboost.Booster) -> GenotypeTreesModel:
        return GenotypeTreesModel(
            settings, booster, trait=trait, variants=variants, device=plan.device, n_threads=plan.n_threads
        )

    is_linear, is_resampled = settings.booster.kind == "gblinear", settings.resample.kind != "none"
    return Task(
        store,
        key=(
            n_variants,
            splits.train.tobytes(),
            settings.class_weight,
            is_linear,
            (settings.resample.model_dump_json(), plan.seed) if is_resampled else None,
        ),
        bin=partial(_binned, settings, store, splits.train, variants=variants, plan=plan),
        objective={
            **objective_of(store.kind, n_classes=len(store.classes)),
            **booster_params(settings.booster),
            **({} if is_linear else {"sampling_method": settings.sampling_method}),
        },
        as_model=as_model,
        # Trees are dropped at random; and a linear booster's sums are those of its predictions only at the beginning.
        draws=settings.booster.kind != "gbtree",
    )


def _binned(
    settings: GenotypeTrees, store: GenotypeStore, samples: IntArray, *, variants: Variants, plan: FitPlan
) -> xgboost.DMatrix:
    """The training data, resampled and weighted as the settings say."""
    n_variants = len(variants.ids)

    def called(chosen: IntArray) -> FloatArray:
        return _imputed(store.dosage[chosen, :n_variants], store.covariates[chosen], variants.frequency)

    lesson = resample(settings.resample, samples, store.phenotype[samples], rows=called, seed=plan.seed)
    phenotype = np.append(store.phenotype[lesson.samples], np.full(len(lesson.made_up), lesson.made_up_class))
    weighs = settings.class_weight != "none"
    weights = sample_weights(settings.class_weight, store.kind, phenotype).astype(np.float32) if weighs else None
    parts = partial(_parts, store, lesson, n_variants=n_variants, weights=weights)
    missing = _missing(_rows(store.dosage[:0], store.covariates[:0]))
    if settings.booster.kind != "gblinear":
        return binned(parts, missing=missing, max_bin=settings.max_bin, n_threads=plan.n_threads)
    fault = room_fault(len(phenotype), n_variants + len(store.covariate_names))
    if fault is not None:
        raise FitError(f"boosted_trees: booster gblinear: {fault}")
    rows = called(lesson.samples)
    rows = np.concatenate([rows, lesson.made_up]) if len(lesson.made_up) else rows
    return xgboost.DMatrix(rows, label=phenotype.astype(np.float32), weight=weights, nthread=plan.n_threads)


class GenotypeTreesModel(GenotypeModel):
    """Trees that predict a trait.

    Args:
        settings: of the family.
        booster: the trees.
        trait: what is predicted.
        variants: the first features; the covariates are the others.
        device: that the booster is on.
        n_threads: CPU threads at most.
    """

    def __init__(
        self,
        settings: GenotypeTrees,
        booster: xgboost.Booster,
        *,
        trait: Trait,
        variants: Variants,
        device: str = "cpu",
        n_threads: int = 1,
    ) -> None:
        self.settings, self.booster, self.variants = settings, booster, variants
        self.trait, self.kind, self.classes, self.covariate_names = trait
        self._device, self._n_threads = device, n_threads

    def to(self, device: str, *, n_threads: int = 1) -> None:
        """See `Model.to`."""
        self._device, self._n_threads = device, n_threads
        self.booster.set_param({"device": device, "nthread": n_threads})

    def predict(self, dosage: DosageArray, covariates: FloatArray) -> FloatArray:
        """See `GenotypeModel.predict`."""
        is_linear = self.settings.booster.kind == "gblinear"
        missing = np.nan if is_linear else _missing(_rows(dosage[:0], covariates[:0]))
        n_features = dosage.shape[1] + covariates.shape[1]
        predicted = [
            predict_rows(
                self.booster,
                _imputed(dosage[part], covariates[part], self.variants.frequency)
                if is_linear
                else _rows(dosage[part], covariates[part]),
                missing=missing,
                device=self._device,
                n_threads=self._n_threads,
                in_place=not is_linear,
            )
            for part in _slices(len(dosage), n_features=n_features)
        ]
        if predicted:
            return np.concatenate(predicted)
        return np.empty((0, len(self.classes)) if self.kind == "multiclass" else 0, dtype=np.float32)

    @property
    def n_parameters(self) -> int:
        """See `Model.n_parameters`."""
        return n_learned(self.booster)

    def importance(self) -> Importance:
        """What XGBoost counts of each feature: splits and their gain and cover; of gblinear coefficients.

        The gain of a split goes with what it takes off the regularised loss; its cover is the sum of the loss's second
        derivatives over the examples that reach it (of a quantitative trait their number). Features are sorted by the
        gain of all their splits; of several classes in the trees of all of them.
        Source: Chen and Guestrin 2016, equation 7 (the gain).
        """
        n, names = len(self.variants.ids), self.covariate_names
        if self.settings.booster.kind == "gblinear":
            n_outputs = len(self.classes) if self.kind == "multiclass" else 1
            of_each = _scores(self.booster, "weight", n_features=n + len(names), n_outputs=n_outputs)
            return importance_of_effects(
                self.variants,
                names,
                of_variants=of_each[:n],
                of_covariates=of_each[n:],
                measure=LINEAR_EFFECT[self.kind],
                classes=self.classes,
            )
        columns = [
            _scores(self.booster, kind, n_features=n + len(names), n_outputs=1) for kind in _TREE_MEASURES.values()
        ]
        values = np.concatenate(columns, axis=1)
        return Importance(self.variants, names, 0, tuple(_TREE_MEASURES), values, values[:, 0])

    def save(self, folder: Path) -> None:
        """Write model.ubj, variants.tsv and model.json."""
        save_booster(self.booster, folder)
        write_variants(self.variants, folder)
        write_record(self, folder, settings=self.settings, file_format=_FORMAT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model that `save` wrote, on the CPU.

        Raises:
            DataError: it was written in a format that this version doesn't know.
        """
        record, settings = read_record(folder, GenotypeTrees, file_format=_FORMAT)
        trait = Trait.of_record(record)
        return cls(settings, load_booster(folder), trait=trait, variants=read_variants(folder))


def _scores(booster: xgboost.Booster, kind: str, *, n_features: int, n_outputs: int) -> Values:
    """(feature, output) XGBoost's scores of one kind; 0 of a feature that the booster doesn't use."""
    found = np.zeros((n_features, n_outputs))
    # Boosters are fitted without names, so that XGBoost numbers the features: f0, f1, ...
    for name, score in booster.get_score(importance_type=kind).items():
        found[int(name.removeprefix("f"))] = score
    return found


def objective_of(kind: TargetKind, *, n_classes: int) -> Mapping[str, Any]:
    """XGBoost's parameters for a trait of this kind."""
    if kind == "quantitative":
        return {"objective": "reg:squarederror"}
    if kind == "binary":
        return {"objective": "binary:logistic"}
    if kind == "count":
        return {"objective": "count:poisson"}
    assert kind == "multiclass", kind
    return {"objective": "multi:softprob", "num_class": n_classes}


def _missing(rows: Rows) -> float:
    """What stands for a missing dosage in rows of this type: beside covariates, which may be -1, its code won't do."""
    return MISSING_DOSAGE if rows.dtype == np.int8 else np.nan


def _parts(store: GenotypeStore, lesson: Resampled, *, n_variants: int, weights: FloatArray | None) -> Iterator[Part]:
    """Rows and phenotypes of the samples, then those made up; never more than a part of the others is copied."""
    drawn, made_up = (None, None) if weights is None else np.split(weights, [len(lesson.samples)])
    for part in _slices(len(lesson.samples), n_features=n_variants + len(store.covariate_names)):
        chosen = lesson.samples[part]
        rows = _rows(store.dosage[chosen, :n_variants], store.covariates[chosen])
        yield Part(rows, store.phenotype[chosen].astype(np.float32), None if drawn is None else drawn[part])
    if len(lesson.made_up):
        targets = np.full(len(lesson.made_up), lesson.made_up_class, dtype=np.float32)
        yield Part(lesson.made_up, targets, made_up)


def _slices(n_samples: int, *, n_features: int) -> Iterator[slice]:
    """Parts of the samples, of a bounded size each."""
    step = max(1, _PART_BYTES // (4 * max(1, n_features)))
    return (slice(first, first + step) for first in range(0, n_samples, step))


def _rows(dosage: DosageArray, covariates: FloatArray) -> Rows:
    """(sample, variant + covariate): whole copies alone as they are; fractions, or beside covariates, as float32."""
    if not covariates.shape[1] and dosage.dtype == np.int8:
        return dosage
    return np.concatenate([copies(dosage), covariates], axis=1)


def _imputed(dosage: DosageArray, covariates: FloatArray, frequency: FloatArray) -> FloatArray:
    """(sample, variant + covariate) float32, a missing dosage being twice the allele's frequency in training."""
    values = copies(dosage)
    gaps = np.isnan(values)
    values[gaps] = np.broadcast_to(2 * np.nan_to_num(frequency), values.shape)[gaps]
    return np.concatenate([values, covariates], axis=1, dtype=np.float32)
