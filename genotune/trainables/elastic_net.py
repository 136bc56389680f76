"""The family `elastic_net`: a few variants with weights, chosen by a penalty of their sizes and squares.

Linear, logistic or Poisson regression, as the trait's kind asks; several classes each against the rest. Columns of
further tables are penalised as variants are, covariates are not. One path serves every penalty that is tried with
the same l1_ratio.
Source: Zou and Hastie 2005 (the elastic net).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field

from genotune.columns import TargetKind
from genotune.errors import Problem
from genotune.store import (
    DosageArray,
    FloatArray,
    GenotypeOutline,
    GenotypeStore,
    IntArray,
    Splits,
    Values,
    Variants,
    copies,
)
from genotune.trainables.class_weights import ClassWeight, class_weight_problems, sample_weights
from genotune.trainables.generalised_linear import Design, fit_design, losses, predicted_values, targets_of
from genotune.trainables.genotype_trainable import GenotypeTrainable
from genotune.trainables.importance import LINEAR_EFFECT, Importance, importance_of_effects
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

_WEIGHTS_FILE: Final = "model.safetensors"
_FORMAT: Final = 1
_PATHS: Final = Kept[Any](most=8)
"""Paths and the moments of their variants; small, for they hold on to no genotypes."""


class ElasticNet(GenotypeTrainable, Prepares):
    """Hyperparameters of the elastic net.

    Attributes:
        penalty: relative to the least at which no variant has a weight: 1 is that, 0.001 the end of the path.
        l1_ratio: share of the penalty that is of the weights' sizes, so that few have one; the rest: of their squares.
        class_weight: see `class_weights.py`.
    """

    title: ClassVar[str] = "elastic net"
    complexity: ClassVar[int] = 1
    own_epochs: ClassVar[int | None] = 1

    family: Literal["elastic_net"] = "elastic_net"
    penalty: Annotated[float, Field(ge=1e-3, le=1)] = 0.1
    l1_ratio: Annotated[float, Field(ge=0.01, le=1)] = 0.5
    class_weight: ClassWeight = "none"

    def problems(self, outline: GenotypeOutline) -> list[Problem]:
        """More variants than are kept; weights of classes that don't fit the trait."""
        problems = class_weight_problems(self.class_weight, outline)
        problems += self.variant_problems(outline)
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
        """Look the penalty up on its path and report once; see `Trainable.fit`.

        Reports train_loss, the mean weighted loss (of several classes the mean of their losses against the rest), and
        the numbers of variants and of columns of further tables that have a weight.

        Raises:
            FitError: no variant varies among the training samples; or more of them would have a weight than fit memory.
        """
        del plan  # nothing in it is random, and BLAS takes its threads from the process
        if resume is not None:
            return ElasticNetModel.load(resume)
        lesson = _lesson(self, store, np.asarray(splits.train, dtype=np.int64))
        terms, loss = _solve(self, store, lesson)
        model = ElasticNetModel(
            self,
            terms,
            trait=Trait.of_store(store),
            variants=store.variants.first(lesson.dosage.shape[1]),
        )
        metrics = {"train_loss": loss, "variants_used": float(len(terms.places))}
        if store.n_shrunk:
            of_tables = terms.fixed[1 + store.n_fixed :]
            metrics["features_used"] = float(np.count_nonzero(of_tables.any(axis=1)))
        return report_once(model, metrics, report=report)

    @classmethod
    def load_model(cls, folder: Path) -> Model:
        """The model that its `save` wrote."""
        return ElasticNetModel.load(folder)


class SparseTerms(NamedTuple):
    """What is added up to a linear term.

    Attributes:
        places: (used,) the variants with a weight, rising.
        weights: (used, output) per copy of the counted allele.
        means: (used,) copies from which they count; a missing genotype has them.
        fixed: (1 + covariate, output) of intercept and standardised covariates, columns of tables among them.
        covariate_means: (covariate,) of the standardisation.
        covariate_scales: (covariate,) of the standardisation.
    """

    places: IntArray
    weights: Values
    means: FloatArray
    fixed: Values
    covariate_means: Values
    covariate_scales: Values

    def linear(self, used: DosageArray, covariates: FloatArray) -> Values:
        """(sample, output) linear terms of dosages (sample, used) of the variants with a weight."""
        copied = copies(used) - self.means
        copied[np.isnan(copied)] = 0
        design = Design(self.covariate_means, self.covariate_scales)
        return np.asarray(design.columns(covariates) @ self.fixed + copied @ self.weights)


class ElasticNetModel(GenotypeModel):
    """Weights of some variants, and of covariates.

    Args:
        settings: of the family.
        terms: as many outputs as classes of a multiclass trait, else one.
        trait: what is predicted.
        variants: among which those with a weight are.
    """

    def __init__(self, settings: ElasticNet, terms: SparseTerms, *, trait: Trait, variants: Variants) -> None:
        self.settings, self.terms, self.variants = settings, terms, variants
        self.trait, self.kind, self.classes, self.covariate_names = trait

    def facts(self) -> Mapping[str, Any]:
        """See `Model.facts`."""
        return {**super().facts(), "n_variants_used": len(self.terms.places)}

    def predict(self, dosage: DosageArray, covariates: FloatArray) -> FloatArray:
        """The trait of each sample. See `GenotypeModel.predict`."""
        linear = self.terms.linear(dosage[:, self.terms.places], covariates)
        if self.kind != "multiclass":
            return predicted_values(self.kind, linear)
        each = [predicted_values("binary", linear[:, [place]]) for place in range(linear.shape[1])]
        against_rest = np.stack(each, axis=1)
        return np.asarray(against_rest / against_rest.sum(axis=1, keepdims=True), dtype=np.float32)

    @property
    def n_parameters(self) -> int:
        """See `Model.n_parameters`."""
        return int(np.count_nonzero(self.terms.weights)) + self.terms.fixed.size

    def importance(self) -> Importance:
        """Effects on the scale of the link, of a class against the rest. See `GenotypeModel`."""
        of_variants = np.zeros((len(self.variants.ids), self.terms.weights.shape[1]))
        of_variants[self.terms.places] = self.terms.weights
        return importance_of_effects(
            self.variants,
            self.covariate_names,
            of_variants=of_variants,
            of_covariates=self.terms.fixed[1:] / self.terms.covariate_scales[:, None],
            measure=LINEAR_EFFECT["binary" if self.kind == "multiclass" else self.kind],
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

        record, settings = read_record(folder, ElasticNet, file_format=_FORMAT)
        terms = SparseTerms(**load_file(folder / _WEIGHTS_FILE))
        return cls(settings, terms, trait=Trait.of_record(record), variants=read_variants(folder))


class _Lesson(NamedTuple):
    """What is learned from: dosages (sample, variant) of all samples, and of the training ones all else.

    Attributes:
        samples: (n,) indices to learn from.
        design: how their covariates are standardised.
        targets: (n, output); a quantitative trait standardised.
        centre: what was subtracted from a quantitative trait, and
        scale: what it was divided by; 0 and 1 of any other.
        weights: (n,) of mean one.
    """

    dosage: DosageArray
    samples: IntArray
    design: Design
    targets: Values
    centre: float
    scale: float
    weights: Values


def _lesson(settings: ElasticNet, store: GenotypeStore, samples: IntArray) -> _Lesson:
    """The narrow place where features are made of dosages and covariates."""
    phenotype = store.phenotype[samples]
    targets = targets_of(store.kind, phenotype, n_classes=len(store.classes))
    centre, scale = 0.0, 1.0
    if store.kind == "quantitative":
        centre, scale = float(targets.mean()), float(targets.std()) or 1.0
    return _Lesson(
        dosage=store.dosage[:, : settings.n_variants],
        samples=samples,
        design=fit_design(store.covariates, samples),
        targets=(targets - centre) / scale,
        centre=centre,
        scale=scale,
        weights=sample_weights(settings.class_weight, store.kind, phenotype),
    )


def _solve(settings: ElasticNet, store: GenotypeStore, lesson: _Lesson) -> tuple[SparseTerms, float]:
    """The terms at the penalty, and the mean weighted loss with them on the training samples."""
    from genotune.trainables.elastic_net_path import ElasticNetPath, Problem
    from genotune.trainables.standardised import JoinedColumns, StandardisedVariants, training_moments

    kind: TargetKind = "binary" if store.kind == "multiclass" else store.kind
    key = (lesson.dosage.shape[1], lesson.samples.tobytes())
    moments = _PATHS.get(store, key, make=lambda: training_moments(lesson.dosage, lesson.samples))
    whole, n_fixed = lesson.design.columns(store.covariates[lesson.samples]), 1 + store.n_fixed
    columns = whole[:, :n_fixed]
    variants = JoinedColumns(StandardisedVariants(lesson.dosage, lesson.samples, moments), whole[:, n_fixed:])

    def new_path(output: int) -> ElasticNetPath:
        targets = lesson.targets[:, output]
        return ElasticNetPath(Problem(kind, targets, columns, lesson.weights, settings.l1_ratio), variants)

    paths = _PATHS.get(
        store,
        (*key, settings.l1_ratio, settings.class_weight),
        make=lambda: [new_path(output) for output in range(lesson.targets.shape[1])],
    )
    solutions = [path.at(settings.penalty, variants) for path in paths]
    n_variants = lesson.dosage.shape[1]
    of_tables = np.arange(n_variants, n_variants + store.n_shrunk)
    chosen = np.unique(np.concatenate([of_tables, *(solution.places for solution in solutions)]))
    found = np.zeros((len(chosen), len(solutions)))
    for output, solution in enumerate(solutions):
        found[np.searchsorted(chosen, solution.places), output] = solution.weights
    index = chosen[: len(chosen) - len(of_tables)]
    used, weights = moments.of(index), found[: len(index)]
    fixed = np.stack([solution.fixed for solution in solutions], axis=1)
    fixed = np.concatenate([fixed, found[len(index) :]]) * lesson.scale
    fixed[0] += lesson.centre
    terms = SparseTerms(
        places=index,
        weights=weights * used.scales[:, None] * lesson.scale,
        means=used.means,
        fixed=fixed,
        covariate_means=lesson.design.means,
        covariate_scales=lesson.design.scales,
    )
    linear = terms.linear(lesson.dosage[np.ix_(lesson.samples, index)], store.covariates[lesson.samples])
    targets = lesson.targets * lesson.scale + lesson.centre
    each = [losses(kind, linear[:, [place]], targets[:, [place]]) for place in range(len(solutions))]
    return terms, float(np.mean([lesson.weights @ one for one in each]) / len(lesson.samples))
