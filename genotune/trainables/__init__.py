"""Model families. To add one: a file here, and its name in the union at the foot of this one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, get_args

from pydantic import Field

from genotune.errors import DataError
from genotune.trainables.poisson_cnn import PoissonCNN
from genotune.trainables.ridge import Ridge
from genotune.trainables.trainable import MODEL_FILE, Model, Trainable


def load_model(folder: Path) -> Model:
    """The model that lies in a folder, whatever its family.

    Raises:
        DataError: the folder holds no model, or one of a family or format that this version doesn't know.
    """
    path = folder / MODEL_FILE
    if not path.is_file():
        raise DataError(f"{folder}: no model; a saved one has a {MODEL_FILE}.")
    family = json.loads(path.read_text())["family"]
    if family not in FAMILIES:
        raise DataError(f"{path}: family {family!r} is unknown here; this version knows {', '.join(FAMILIES)}.")
    return FAMILIES[family].load_model(folder)


FamilySettings = Annotated[PoissonCNN | Ridge, Field(discriminator="family")]
"""The registry."""

FAMILIES: Final[Mapping[str, type[Trainable]]] = {
    kind.model_fields["family"].default: kind for kind in get_args(get_args(FamilySettings)[0])
}
"""The settings of each family, by its name."""
