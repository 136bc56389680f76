"""What is boosted on genotypes: trees, trees some of which are dropped in each round, or a linear model. Settings."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from genotune.settings import Settings, kind_of_text

_Chance = Annotated[float, Field(ge=0, le=1)]


class Trees(Settings):
    """Each round adds a tree to all before it."""

    kind: Literal["gbtree"] = "gbtree"


class Dart(Settings):
    """Each round is grown beside a draw of the trees so far, so that late trees say more than the rest of early ones.

    A round costs a prediction by every tree before it, so that a fit of many rounds takes far longer than with gbtree.
    Source: Rashmi and Gilad-Bachrach 2015 (DART), algorithm 1.

    Attributes:
        rate_drop: share of the trees that is left out of a round.
        skip_drop: chance of a round that leaves none out.
        sample_type: whether each tree is as likely to be left out, or in proportion to its weight.
        normalize_type: whether a new tree weighs as much as each that was left out, or as all of them.
    """

    kind: Literal["dart"] = "dart"
    rate_drop: _Chance = 0.1
    skip_drop: _Chance = 0.5
    sample_type: Literal["uniform", "weighted"] = "uniform"
    normalize_type: Literal["tree", "forest"] = "tree"


class Linear(Settings):
    """A linear model by coordinate descent, a pass over the features each round; `reg_lambda`, `reg_alpha` penalise.

    What shapes a tree is not used. Missing dosages are imputed with twice the allele's frequency in training, and all
    features lie in memory as floats.
    """

    kind: Literal["gblinear"] = "gblinear"


Booster = Annotated[
    Annotated[Trees | Dart | Linear, Field(discriminator="kind")],
    BeforeValidator(kind_of_text),
]


def booster_params(chosen: Booster) -> dict[str, Any]:
    """XGBoost's parameters of the booster."""
    params = {"booster" if name == "kind" else name: value for name, value in chosen.model_dump().items()}
    # The other updater, `shotgun`, gives another model with each run on several threads.
    return params | ({"updater": "coord_descent"} if chosen.kind == "gblinear" else {})
