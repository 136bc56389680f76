"""What goes into a registered winner and what comes out, in MLflow's terms, with an example."""

from typing import TYPE_CHECKING, NamedTuple

from genotune.trainables.model import GenotypeModel, Model, SequenceModel

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature


class Described(NamedTuple):
    """A model's signature, and an input that fits it."""

    signature: "ModelSignature"
    example: "pd.DataFrame"


def describe_model(model: Model) -> Described:
    """The signature of a winner: what `winner_model.py` takes and gives."""
    if isinstance(model, GenotypeModel):
        return _of_genotypes(model)
    assert isinstance(model, SequenceModel), type(model)
    return _of_sequence(model)


def _of_sequence(model: SequenceModel) -> Described:
    import numpy as np
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    n_bins = (model.input_bp - 2 * model.crop_bp) // model.bin_bp
    signature = ModelSignature(
        inputs=Schema([ColSpec("string", "sequence")]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, len(model.tracks), n_bins))]),
    )
    sequence = ("ACGTTGCA" * -(-model.input_bp // 8))[: model.input_bp]
    return Described(signature, pd.DataFrame({"sequence": [sequence]}))


def _of_genotypes(model: GenotypeModel) -> Described:
    import numpy as np
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import AnyType

    anything = AnyType()  # type: ignore[no-untyped-call]
    names = (*model.variants.names, *model.covariate_names, *(column.name for column in model.table_columns))
    shape = (-1, len(model.classes)) if model.kind == "multiclass" else (-1,)
    signature = ModelSignature(
        # Of any type: a column of whole numbers has no missing values in pandas, one with a gap holds floats.
        inputs=Schema([ColSpec(anything, name) for name in names]),
        # Of several traits a table, whose columns say which is which.
        outputs=Schema(
            [ColSpec(DataType.float, name) for name in model.output_names]
            if model.several
            else [TensorSpec(np.dtype(np.float32), shape)]
        ),
    )
    common = np.rint(2 * np.nan_to_num(model.variants.frequency)).tolist()
    numbers = dict(zip(names, [*common, *(0.0 for _ in model.covariate_names)], strict=False))
    of_tables = {column.name: column.levels[0] if column.levels else 0.0 for column in model.table_columns}
    return Described(signature, pd.DataFrame([{**numbers, **of_tables}], columns=list(names)))
