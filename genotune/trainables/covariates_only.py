"""The family `covariates_only`: a trait from covariates alone, without a single genotype.

What age, sex or principal components predict by themselves is no merit of the genome: a model of genotypes that isn't
better than this has learned nothing of them. Linear, logistic, multinomial or Poisson regression, as the trait's kind
asks, lightly ridged; without covariates the mean, or the shares of the classes.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

import numpy as np
from pydantic import Field

from genotune.errors import Problem
from genotune.store import DosageArray, FloatArray, GenotypeOutline, GenotypeStore, Splits, Values, Variants
from genotune.trainables.class_weights import ClassWeight, class_weight_problems, sample_weights
from genotune.trainables.generalised_linear import (
    Design,
    fit_design,
    fit_linear,
    losses,
    predicted_values,
    targets_of,
)
from genotune.trainables.genotype_trainable import GenotypeTrainable
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
from genotune.trainables.trainable import FitPlan, Report, report_once

_WEIGHTS_FILE: Final = "model.safetensors"
_FORMAT: Final = 1


class CovariatesOnly(GenotypeTrainable):
    """Hyperparameters of the regression.

    Attributes:
        penalty: of the squared coefficients of standardised covariates, beside the mean loss: keeps them finite where a
            covariate separates the classes, or covariates determine each other.
        class_weight: see `class_weights.py`.
    """

    title: ClassVar[str] = "covariates alone"
    complexity: ClassVar[int] = 0
    own_epochs: ClassVar[int | None] = 1

    family: Literal["covariates_only"] = "covariates_only"
    penalty: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3
    class_weight: ClassWeight = "none"

    def problems(self, outline: GenotypeOutline) -> list[Problem]:
        """No covariates to learn from; weights of classes that don't fit the trait."""
        problems = class_weight_problems(self.class_weight, outline)
        if not outline.n_covariates:
            message = "the data have no covariates (data.covariates), so there is nothing to learn. Remove this family."
            problems.append(Problem((), message))
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
        """Solve once and report once; see `Trainable.fit`. train_loss is the mean weighted loss."""
        del plan  # nothing in it is random, and BLAS takes its threads from the process
        if resume is not None:
            return CovariatesOnlyModel.load(resume)
        samples = np.asarray(splits.train, dtype=np.int64)
        phenotype = store.phenotype[samples]
        design = fit_design(store.covariates, samples)
        columns = design.columns(store.covariates[samples])
        targets = targets_of(store.kind, phenotype, n_classes=len(store.classes))
        weights = sample_weights(self.class_weight, store.kind, phenotype)
        coefficients = fit_linear(store.kind, columns, targets, weights=weights, penalty=self.penalty)
        trait = Trait.of_store(store)
        model = CovariatesOnlyModel(self, design, coefficients, trait=trait, variants=store.variants.first(0))
        loss = float(weights @ losses(store.kind, columns @ coefficients, targets) / len(samples))

        return report_once(model, {"train_loss": loss}, report=report)

    @classmethod
    def load_model(cls, folder: Path) -> Model:
        """The model that its `save` wrote."""
        return CovariatesOnlyModel.load(folder)


class CovariatesOnlyModel(GenotypeModel):
    """A regression on covariates. It takes no variant.

    Args:
        settings: of the family.
        design: how covariates are standardised.
        coefficients: (1 + covariate, output) of the intercept and the standardised covariates.
        trait: what is predicted.
        variants: none.
    """

    def __init__(
        self,
        settings: CovariatesOnly,
        design: Design,
        coefficients: Values,
        *,
        trait: Trait,
        variants: Variants,
    ) -> None:
        self.settings, self.design, self.coefficients, self.variants = settings, design, coefficients, variants
        self.trait, self.kind, self.classes, self.covariate_names = trait

    def predict(self, dosage: DosageArray, covariates: FloatArray) -> FloatArray:
        """The trait of each sample; dosages are ignored. See `GenotypeModel.predict`."""
        del dosage
        return predicted_values(self.kind, self.design.columns(covariates) @ self.coefficients)

    @property
    def n_parameters(self) -> int:
        """See `Model.n_parameters`."""
        return self.coefficients.size

    def importance(self) -> Importance:
        """Coefficients of the covariates on their own scale, on that of the link. See `GenotypeModel`."""
        return importance_of_effects(
            self.variants,
            self.covariate_names,
            of_variants=np.empty((0, self.coefficients.shape[1])),
            of_covariates=self.coefficients[1:] / self.design.scales[:, None],
            measure=LINEAR_EFFECT[self.kind],
            classes=self.classes,
        )

    def save(self, folder: Path) -> None:
        """Write model.safetensors, variants.tsv (without a line) and model.json."""
        from safetensors.numpy import save_file

        save_file({**self.design._asdict(), "coefficients": self.coefficients}, folder / _WEIGHTS_FILE)
        write_variants(self.variants, folder)
        write_record(self, folder, settings=self.settings, file_format=_FORMAT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model that `save` wrote.

        Raises:
            DataError: it was written in a format that this version doesn't know.
        """
        from safetensors.numpy import load_file

        record, settings = read_record(folder, CovariatesOnly, file_format=_FORMAT)
        arrays = load_file(folder / _WEIGHTS_FILE)
        return cls(
            settings,
            Design(arrays["means"], arrays["scales"]),
            arrays["coefficients"],
            trait=Trait.of_record(record),
            variants=read_variants(folder),
        )
