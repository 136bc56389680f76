"""Model families. To add one: a file here, and its name in the union below."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

from genotune.errors import DataError
from genotune.settings import build
from genotune.trainables.boosted_trees_genotypes import GenotypeTrees
from genotune.trainables.boosted_trees_tracks import TrackTrees
from genotune.trainables.covariates_only import CovariatesOnly
from genotune.trainables.elastic_net import ElasticNet
from genotune.trainables.gblup import GBLUP
from genotune.trainables.genotype_cnn import GenotypeCNN
from genotune.trainables.kmer_ridge import KmerRidge
from genotune.trainables.model import MODEL_FILE, GenotypeModel, Model
from genotune.trainables.poisson_cnn import PoissonCNN
from genotune.trainables.several_traits import BY_TRAIT, SeveralTraits
from genotune.trainables.torch_module import TorchModule
from genotune.trainables.trainable import Trainable

FamilySettings = (
    PoissonCNN
    | TorchModule
    | TrackTrees
    | GenotypeTrees
    | KmerRidge
    | GBLUP
    | ElasticNet
    | GenotypeCNN
    | CovariatesOnly
)
"""The registry. A family that reads several kinds of data stands here once for each."""

FAMILIES: Final[Mapping[str, tuple[type[Trainable[Any, Any]], ...]]] = {
    name: tuple(kind for kind in get_args(FamilySettings) if kind.model_fields["family"].default == name)
    for name in dict.fromkeys(kind.model_fields["family"].default for kind in get_args(FamilySettings))
}
"""The settings of each family, by its name: one class for each kind of data that it reads."""


def settings_of(family: str, columns: frozenset[str]) -> type[Trainable[Any, Any]] | None:
    """The settings of a family on data with these columns; None if it doesn't read such data."""
    return next((kind for kind in FAMILIES[family] if kind.needs <= columns), None)


def build_trainable(family: str, params: Mapping[str, Any], columns: frozenset[str]) -> Trainable[Any, Any]:
    """A family with these hyperparameters, on data with these columns.

    Raises:
        pydantic.ValidationError: with every fault of the hyperparameters.
    """
    kind = settings_of(family, columns)
    assert kind is not None, (family, columns)
    trainable: Trainable[Any, Any] = build(kind, {"family": family, **params})
    return trainable


def unreadable(family: str, columns: frozenset[str]) -> str | None:
    """Why a family can't learn from data with these columns; None if it can."""
    if settings_of(family, columns) is not None:
        return None
    missing = min((sorted(kind.needs - columns) for kind in FAMILIES[family]), key=len)
    able = [name for name in FAMILIES if settings_of(name, columns) is not None]
    listed = f"the column {missing[0]!r}" if len(missing) == 1 else f"the columns {', '.join(map(repr, missing))}"
    return f"{family} needs {listed}, which this source doesn't give. Families that can use it: {', '.join(able)}."


def load_model(folder: Path, *, trust_code: bool = False) -> Model:
    """The model that lies in a folder, whatever its family.

    Args:
        folder: that `Model.save` wrote.
        trust_code: whether Python code that lies with the model may be run.

    Raises:
        DataError: the folder holds no model, or one of a family or format that this version doesn't know; or a model
            with code that may not be run.
    """
    path = folder / MODEL_FILE
    if not path.is_file():
        raise DataError(f"{folder}: no model; a saved one has a {MODEL_FILE}.")
    record = json.loads(path.read_text())
    family = record["family"]
    if family not in FAMILIES:
        raise DataError(f"{path}: family {family!r} is unknown here; this version knows {', '.join(FAMILIES)}.")
    kind = settings_of(family, frozenset(record["columns"]))
    if kind is None:
        raise DataError(f"{path}: this version's {family} does not read {', '.join(record['columns'])}.")
    if record.get("code") and not trust_code:
        raise DataError(
            f"{folder}: this model brings Python code ({', '.join(record['code'])}), which runs when it is loaded. If "
            "you trust who made it: load_model(..., trust_code=True), in MLflow "
            "load_model(..., model_config={'trust_code': True})."
        )
    if BY_TRAIT in record:
        return SeveralTraits.load(folder, load=load_model)
    model = kind.load_model(folder)
    if not isinstance(model, GenotypeModel):
        return model
    from genotune.trainables.prepared_model import with_preparation

    return with_preparation(model, folder)
