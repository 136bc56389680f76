"""How a family on genotypes may have them prepared; fitted anew on the training samples of each trial and fold.

All of it is searchable: nothing of it reads a file again.
"""

from typing import Annotated, Literal

from pydantic import Field

from genotune.errors import Problem
from genotune.settings import Settings
from genotune.store import GenotypeOutline

Share = Annotated[float, Field(gt=0, le=1)]


class Clump(Settings):
    """Of variants in linkage disequilibrium only the most associated one stays.

    Attributes:
        r2: from this squared correlation of dosages on.
        window_bp: of variants that are no farther from it than this.
    """

    r2: Share = 0.2
    window_bp: Annotated[int, Field(ge=1)] = 250_000


class Preparation(Settings):
    """What is done to genotypes and covariates before a family sees them.

    Attributes:
        min_maf: frequency of the rarer allele at least, beyond what `data.filters` asks for.
        max_p: p-value of the association with the trait at most: linear, of a binary trait the logistic score test,
            covariates taken out of both; of several classes, the least of those of each class with the others.
        clump: null: variants in linkage disequilibrium stay.
        impute: what a missing dosage becomes: 'mean' or 'mode' of the variant, or 'none': the family's own way.
        components: so many principal components of the genotypes are covariates too.
        adjust: what covariates are for: 'features' beside the variants, or 'residuals': a quantitative trait is
            regressed on them first, and its residuals are learned.
    """

    min_maf: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    max_p: Share | None = None
    clump: Clump | None = None
    impute: Literal["none", "mean", "mode"] = "none"
    components: Annotated[int, Field(ge=0, le=100)] = 0
    adjust: Literal["features", "residuals"] = "features"

    def problems(self, outline: GenotypeOutline) -> list[Problem]:
        """What doesn't fit the training samples, with paths relative to these settings; empty when all fits."""
        problems = []
        if self.components >= min(outline.n_samples, outline.n_variants):
            message = (
                f"found {self.components}; {outline.n_samples:,} training samples of {outline.n_variants:,} variants "
                "have fewer principal components. Ask for fewer."
            )
            problems.append(Problem(("components",), message))
        if self.adjust == "residuals" and outline.kind != "quantitative":
            message = f"found 'residuals'; of a {outline.kind} trait there are none. Use adjust: features."
            problems.append(Problem(("adjust",), message))
        elif self.adjust == "residuals" and not outline.n_covariates + self.components:
            message = "found 'residuals'; there are no covariates (data.covariates, components). Remove it."
            problems.append(Problem(("adjust",), message))
        return problems


class Prepares(Settings):
    """What a family on genotypes has that can have them prepared.

    Attributes:
        n_variants: so many are used, those most associated with the trait on training samples; null: all that are kept.
            Where filters left fewer, all of them.
        prepare: see `Preparation`; null: genotypes as the store holds them.
    """

    n_variants: Annotated[int, Field(ge=1)] | None = None
    prepare: Preparation | None = None

    def variant_problems(self, outline: GenotypeOutline) -> list[Problem]:
        """More variants than are kept, and what of the preparation doesn't fit; paths are relative to the params."""
        found = [] if self.prepare is None else self.prepare.problems(outline)
        problems = [Problem(("prepare", *problem.path), problem.message) for problem in found]
        if self.n_variants is not None and self.n_variants > outline.n_variants:
            kept = f"at most {outline.n_variants} variants are kept (data.keep_variants)"
            problems.append(Problem(("n_variants",), f"found {self.n_variants}; {kept}. Use fewer."))
        return problems
