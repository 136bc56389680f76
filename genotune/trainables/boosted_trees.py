"""What the family `boosted_trees` can be told on any kind of data: XGBoost's trees, grown on histograms.

Source: Chen and Guestrin 2016 (XGBoost), sections 2.2 and 2.3; the defaults are XGBoost's own but for the learning rate
and, on genotypes, the depth.
"""

from typing import Annotated, ClassVar, Final, Generic, Literal

from pydantic import Field

from genotune.trainables.trainable import OutlineT, StoreT, Trainable

OF_EACH_TREE: Final = frozenset(
    {
        "max_depth",
        "learning_rate",
        "min_child_weight",
        "subsample",
        "colsample_bytree",
        "reg_lambda",
        "reg_alpha",
        "gamma",
    }
)
"""Settings that XGBoost knows by the same names, and heeds anew with each tree."""

Share = Annotated[float, Field(gt=0, le=1)]


class BoostedTrees(Trainable[OutlineT, StoreT], Generic[OutlineT, StoreT]):
    """Hyperparameters of the trees and of how they are added.

    Attributes:
        rounds_per_epoch: an epoch is so many rounds of boosting: a tree each, of a multiclass trait or several tracks a
            tree for each of them.
        max_depth: of a tree; a tree of depth d has at most 2^d leaves.
        learning_rate: what a tree predicts is multiplied by this.
        min_child_weight: least sum of second derivatives of the loss in a leaf; of a quantitative trait the least
            number of samples.
        subsample: share of the examples, drawn anew, that a tree is grown on.
        colsample_bytree: share of the features, drawn anew, that a tree is grown on.
        reg_lambda: penalty of the leaves' squared values.
        reg_alpha: penalty of the leaves' absolute values.
        gamma: least loss that a split must save.
        max_bin: histogram bins of a feature at most.
        patience: epochs without a better objective after which the fit ends; null: never.
    """

    title: ClassVar[str] = "XGBoost"
    complexity: ClassVar[int] = 2
    # Rounds are counted from the epoch's number, and histograms are made once for all epochs.
    changeable: ClassVar[frozenset[str]] = OF_EACH_TREE

    family: Literal["boosted_trees"] = "boosted_trees"
    rounds_per_epoch: Annotated[int, Field(ge=1)] = 25
    max_depth: Annotated[int, Field(ge=1, le=16)] = 6
    learning_rate: Share = 0.1
    min_child_weight: Annotated[float, Field(ge=0)] = 1.0
    subsample: Share = 1.0
    colsample_bytree: Share = 1.0
    reg_lambda: Annotated[float, Field(ge=0)] = 1.0
    reg_alpha: Annotated[float, Field(ge=0)] = 0.0
    gamma: Annotated[float, Field(ge=0)] = 0.0
    max_bin: Annotated[int, Field(ge=2, le=65_536)] = 256
    patience: Annotated[int, Field(ge=1)] | None = None
