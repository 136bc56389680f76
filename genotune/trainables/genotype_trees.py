"""Boosted trees on genotypes: the training data of a trait, and the model. Whole dosages go in as they lie."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import xgboost

from genotune.columns import TargetKind
from genotune.store import MISSING_DOSAGE, DosageArray, FloatArray, GenotypeStore, IntArray, Splits, Variants, copies
from genotune.trainables.boosted_trees_genotypes import GenotypeTrees
from genotune.trainables.boosting import Part, Rows, Task, binned, boost, load_booster, predict_rows, save_booster
from genotune.trainables.model import (
    GenotypeModel,
    Model,
    Trait,
    read_record,
    read_variants,
    write_record,
    write_variants,
)
from genotune.trainables.trainable import FitPlan, Report

_FORMAT: Final = 1
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
    n_variants = min(settings.n_variants or store.n_variants, store.n_variants)
    missing = _missing(_rows(store.dosage[:0], store.covariates[:0]))
    parts = partial(_parts, store, splits.train, n_variants=n_variants)
    trait = Trait(store.trait, store.kind, store.classes, store.covariate_names)
    variants = store.variants.first(n_variants)

    def as_model(booster: xgboost.Booster) -> GenotypeTreesModel:
        return GenotypeTreesModel(
            settings, booster, trait=trait, variants=variants, device=plan.device, n_threads=plan.n_threads
        )

    task = Task(
        store,
        key=(n_variants, splits.train.tobytes()),
        bin=partial(binned, parts, missing=missing, max_bin=settings.max_bin, n_threads=plan.n_threads),
        objective=_objective(store.kind, n_classes=len(store.classes)),
        as_model=as_model,
    )
    return boost(settings, task, report=report, plan=plan, resume=resume)


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
        missing = _missing(_rows(dosage[:0], covariates[:0]))
        n_features = dosage.shape[1] + covariates.shape[1]
        predicted = [
            predict_rows(
                self.booster,
                _rows(dosage[part], covariates[part]),
                missing=missing,
                device=self._device,
                n_threads=self._n_threads,
            )
            for part in _slices(len(dosage), n_features=n_features)
        ]
        if predicted:
            return np.concatenate(predicted)
        return np.empty((0, len(self.classes)) if self.kind == "multiclass" else 0, dtype=np.float32)

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


def _objective(kind: TargetKind, *, n_classes: int) -> Mapping[str, Any]:
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


def _parts(store: GenotypeStore, samples: IntArray, *, n_variants: int) -> Iterator[Part]:
    """Rows and phenotypes of the samples; never more than a part of them is copied."""
    for part in _slices(len(samples), n_features=n_variants + len(store.covariate_names)):
        chosen = samples[part]
        rows = _rows(store.dosage[chosen, :n_variants], store.covariates[chosen])
        yield Part(rows, store.phenotype[chosen].astype(np.float32))


def _slices(n_samples: int, *, n_features: int) -> Iterator[slice]:
    """Parts of the samples, of a bounded size each."""
    step = max(1, _PART_BYTES // (4 * max(1, n_features)))
    return (slice(first, first + step) for first in range(0, n_samples, step))


def _rows(dosage: DosageArray, covariates: FloatArray) -> Rows:
    """(sample, variant + covariate): whole copies alone as they are; fractions, or beside covariates, as float32."""
    if not covariates.shape[1] and dosage.dtype == np.int8:
        return dosage
    return np.concatenate([copies(dosage), covariates], axis=1)
