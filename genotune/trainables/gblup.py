"""The family `ridge` on genotypes: genomic best linear unbiased prediction (GBLUP), solved once.

Ridge regression on all variants at once, by the relationship of samples; its decomposition serves all penalties.
Columns of further tables make a second relationship beside that of the variants; see `gblup_tables.py`.
Source: VanRaden 2008 (GBLUP), Kang et al. 2008 (EMMA: REML by one eigendecomposition).
"""

from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field

from genotune.errors import DataError, Problem
from genotune.genome.covariate_basis import dependent_columns
from genotune.store import DosageArray, FloatArray, GenotypeOutline, GenotypeStore, IntArray, Splits, Values, Variants
from genotune.trainables.gblup_solver import Relationship, centred, decompose, solve, variant_blocks, variant_weights
from genotune.trainables.gblup_tables import choose_share, join, table_weights
from genotune.trainables.genotype_trainable import GenotypeTrainable
from genotune.trainables.importance import EFFECT, Importance, importance_of_effects
from genotune.trainables.kept import Kept
from genotune.trainables.model import (
    GenotypeModel,
    Model,
    Trait,
    read_record,
    read_variants,
    write_record,
    write_variants,
)
from genotune.trainables.preparation import Prepares
from genotune.trainables.trainable import FitPlan, Report, report_once

LEAST_PROBABILITY: Final = 0.001
"""Least probability of a class: a linear model leaves (0, 1), outside of which the log loss has no value."""

_WEIGHTS_FILE: Final = "model.safetensors"
_FORMAT: Final = 1
_DEPENDENT: Final = 1e-5
_RELATIONSHIPS: Final = Kept[Relationship](most=2)


class GBLUP(GenotypeTrainable, Prepares):
    """Hyperparameters of the prediction.

    Attributes:
        penalty: ratio of residual to genetic variance, the relationship matrix having a mean diagonal of one; null:
            estimated by REML on the training samples, of each class of a multiclass trait on its own.
        standardize: scale each variant to variance one (VanRaden 2008, method 2); else dosages are only centred
            (method 1), so that common variants weigh more.
        table_share: of the variance that variants and columns of further tables explain together, the share of the
            latter; null: estimated by REML. Without such tables it has no effect.
    """

    title: ClassVar[str] = "GBLUP"
    complexity: ClassVar[int] = 1
    own_epochs: ClassVar[int | None] = 1

    family: Literal["ridge"] = "ridge"
    penalty: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    standardize: bool = False
    table_share: Annotated[float, Field(ge=0, le=1)] | None = None

    def problems(self, outline: GenotypeOutline) -> list[Problem]:
        """See `Prepares.variant_problems`; a share of tables that are not there."""
        problems = self.variant_problems(outline)
        if self.table_share is not None and not outline.n_features:
            message = f"found {self.table_share:g}; there are no further tables (data.tables). Remove it."
            problems.append(Problem(("table_share",), message))
        return problems

    def fit(
        self,
        store: GenotypeStore,
        splits: Splits,
        *,
        report: Report,
        plan: FitPlan,
        resume: Path | None = None,
    ) -> Model:
        """Solve once and report once; see `Trainable.fit`.

        Reports train_loss, the mean squared residual (of classes, of their indicators); the penalty (of several
        classes the geometric mean); the heritability 1 / (1 + penalty), of several classes the mean, which of a
        class is on the observed scale. With further tables that is split by their share: the variants' part is the
        heritability, the tables' the table_variance.

        With n training samples, m variants and q fixed effects it costs O(n^2 m + n^3) for the first trial on the
        same variants and samples, and O(n^2 q + n q^2) for each penalty that is tried, by REML or by a later trial.
        Memory: a few arrays of n^2 float64.

        Raises:
            DataError: no variant varies among the training samples, or the covariates determine each other there.
        """
        del plan  # nothing in it is random, and BLAS takes its threads from the process
        if resume is not None:
            return GBLUPModel.load(resume)
        samples = np.asarray(splits.train, dtype=np.int64)
        design = _design(store, samples)
        dosage = store.dosage[:, : self.n_variants]
        relationship = _RELATIONSHIPS.get(
            store.keeper,  # one decomposition for all traits that are known of the same samples
            (dosage.shape[1], self.standardize, samples.tobytes()),
            make=lambda: decompose(dosage, samples, standardize=self.standardize),
        )
        targets, columns = _targets(store, samples), store.covariates[samples, store.n_fixed :]
        share = self.table_share if store.n_shrunk else 0.0
        if share is None:
            share = choose_share(relationship, columns, design.columns, targets=targets, penalty=self.penalty)
        relationship = join(relationship, columns, share=share)
        mixed = solve(relationship, design.columns, targets=targets, penalty=self.penalty)
        fixed = mixed.fixed[1:] / design.scales[:, None]
        of_tables = table_weights(columns, share=share, alpha=mixed.alpha)
        terms = LinearTerms(
            weights=variant_weights(relationship, dosage, samples, alpha=mixed.alpha),
            means=relationship.means,
            intercept=mixed.fixed[0] - design.means @ fixed - columns.mean(axis=0, dtype=np.float64) @ of_tables,
            covariate_weights=np.concatenate([fixed, of_tables]),
        )
        model = GBLUPModel(
            self,
            terms,
            trait=Trait.of_store(store),
            variants=store.variants.first(dosage.shape[1]),
        )
        metrics = {
            "train_loss": float(np.mean((mixed.penalties * mixed.alpha) ** 2)),
            "penalty": float(np.exp(np.log(mixed.penalties).mean())),
            "heritability": float((1 - share) * np.mean(1 / (1 + mixed.penalties))),
        }
        if store.n_shrunk:
            metrics["table_variance"] = float(share * np.mean(1 / (1 + mixed.penalties)))
        return report_once(model, metrics, report=report)

    @classmethod
    def load_model(cls, folder: Path) -> Model:
        """The model that its `save` wrote."""
        return GBLUPModel.load(folder)


class LinearTerms(NamedTuple):
    """What is added up to a prediction, in the units of the trait (of classes, of their indicators).

    Columns of further tables stand among the covariates, the last of them.

    Attributes:
        weights: (variant, output) per copy of the counted allele.
        means: (variant,) dosage from which copies count; a missing genotype has it.
        intercept: (output,).
        covariate_weights: (covariate, output).
    """

    weights: FloatArray
    means: FloatArray
    intercept: Values
    covariate_weights: Values


class GBLUPModel(GenotypeModel):
    """Weights of variants and covariates.

    Classes are predicted by linear regression on their indicators, clipped: the usual GBLUP on the observed scale,
    which ranks samples well, while its probabilities are rough.
    Source: Lee et al. 2011 (binary traits on the observed scale).

    Args:
        settings: of the family.
        terms: as many outputs as classes of a multiclass trait, else one.
        trait: what is predicted.
        variants: of the weights.
    """

    def __init__(self, settings: GBLUP, terms: LinearTerms, *, trait: Trait, variants: Variants) -> None:
        self.settings, self.terms, self.variants = settings, terms, variants
        self.trait, self.kind, self.classes, self.covariate_names = trait

    def predict(self, dosage: DosageArray, covariates: FloatArray) -> FloatArray:
        """The trait of each sample. See `GenotypeModel.predict`."""
        linear = self.terms.intercept + covariates.astype(np.float64) @ self.terms.covariate_weights
        for part in variant_blocks(len(self.terms.means)):
            linear += centred(dosage[:, part], self.terms.means[part]) @ self.terms.weights[part]
        if self.kind in {"binary", "multiclass"}:
            linear = np.clip(linear, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        if self.kind == "multiclass":
            return np.asarray(linear / linear.sum(axis=1, keepdims=True), dtype=np.float32)
        least = 0 if self.kind == "count" else -np.inf
        return np.asarray(np.maximum(linear[:, 0], least), dtype=np.float32)

    @property
    def n_parameters(self) -> int:
        """See `Model.n_parameters`."""
        return self.terms.weights.size + self.terms.intercept.size + self.terms.covariate_weights.size

    def importance(self) -> Importance:
        """Effects in the units of the trait; of classes on the scale of probabilities. See `GenotypeModel`."""
        return importance_of_effects(
            self.variants,
            self.covariate_names,
            of_variants=self.terms.weights.astype(np.float64),
            of_covariates=self.terms.covariate_weights,
            measure="effect_probability" if self.kind in {"binary", "multiclass"} else EFFECT,
            classes=self.classes,
        )

    def save(self, folder: Path) -> None:
        """Write model.safetensors, variants.tsv and model.json."""
        from safetensors.numpy import save_file

        save_file(self.terms._asdict(), folder / _WEIGHTS_FILE)
        write_variants(self.variants, folder)
        write_record(self, folder, settings=self.settings, file_format=_FORMAT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model that `save` wrote.

        Raises:
            DataError: it was written in a format that this version doesn't know.
        """
        from safetensors.numpy import load_file

        record, settings = read_record(folder, GBLUP, file_format=_FORMAT)
        terms = LinearTerms(**load_file(folder / _WEIGHTS_FILE))
        return cls(settings, terms, trait=Trait.of_record(record), variants=read_variants(folder))


class _Design(NamedTuple):
    """Fixed effects of the training samples.

    Attributes:
        columns: (sample, 1 + covariate): one, and the covariates standardised.
        means: (covariate,) of the covariates.
        scales: (covariate,) their standard deviations.
    """

    columns: Values
    means: Values
    scales: Values


def _design(store: GenotypeStore, samples: IntArray) -> _Design:
    """Intercept and covariates of the samples.

    Raises:
        DataError: there are too few samples, or a covariate is determined by those before it.
    """
    n, q = len(samples), 1 + store.n_fixed
    if n <= q:
        raise DataError(
            f"found {n} training samples for {q} fixed effects (the intercept and {q - 1} covariates); ridge needs at "
            f"least {q + 1}. Give more samples, or fewer covariates."
        )
    values = store.covariates[samples, : store.n_fixed].astype(np.float64)
    means, scales = values.mean(axis=0), values.std(axis=0)
    # Float32 can't tell a smaller spread from rounding.
    constant = scales <= _DEPENDENT * np.abs(means)
    columns = np.ones((n, q))
    columns[:, 1:] = (values - means) / np.where(constant, 1, scales)
    dependent = dependent_columns(values)
    if dependent.any():
        named = ", ".join(
            repr(name) for name, bad in zip(store.covariate_names[: store.n_fixed], dependent, strict=True) if bad
        )
        raise DataError(
            f"covariates {named}: on the training samples each is constant or a sum of multiples of the covariates "
            "before it, so its effect can't be estimated. Leave it out."
        )
    return _Design(columns, means, scales)


def _targets(store: GenotypeStore, samples: IntArray) -> Values:
    """What is regressed, (sample, output): the trait, or an indicator of each class of a multiclass trait."""
    values = store.phenotype[samples]
    if store.kind == "multiclass":
        return np.asarray(values[:, None] == np.arange(len(store.classes)), dtype=np.float64)
    return values[:, None]
