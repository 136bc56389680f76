"""`genotune predict`: a model by its name or folder, a cohort's genotypes, a table of predictions."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from genotune.data.genotype_opening import open_genotypes
from genotune.errors import DataError
from genotune.interpretation.cohort import predict_cohort
from genotune.tracking import fetch_model, resolve_tracking_uri
from genotune.trainables import load_model
from genotune.trainables.model import MODEL_FILE, GenotypeModel


class Predicted(NamedTuple):
    """What came of it.

    Attributes:
        n_samples: that something was predicted for.
        notes: what a person should know.
    """

    n_samples: int
    notes: tuple[str, ...]


def predict(
    model: str,
    genotypes: Sequence[str],
    out: Path,
    *,
    samples: Path | None,
    min_coverage: float,
    dosage_field: str | None,
    workspace: Path,
    tables: Mapping[str, Path] | None = None,
    fills: bool = False,
) -> Predicted:
    """Predict the trait (or traits) of a cohort's samples and write the table.

    Args:
        model: a folder that holds a saved model, or its name in MLflow: NAME, NAME@ALIAS, models:/NAME@ALIAS or
            models:/NAME/VERSION.
        genotypes: files of the cohort, as `data.genotypes` of a spec takes them, relative to the current folder.
        out: the table to write.
        samples: a table with the covariates that the model takes.
        min_coverage: share of the model's variants that the cohort must have.
        dosage_field: of a VCF: GT or DS; None: GT.
        workspace: whose MLflow store is asked for the model.
        tables: further tables of the samples, by the names of the spec that the model was made with.
        fills: whether columns of these that are not there are taken as unknown.

    Raises:
        UserError: there is no such model or file, or they don't fit each other.
    """
    if out.exists():
        raise DataError(f"{out}: is there already; name another file with --out, or move it away.")
    with tempfile.TemporaryDirectory() as folder:
        if (Path(model) / MODEL_FILE).is_file():
            found = Path(model)
        else:
            found = fetch_model(model, tracking_uri=resolve_tracking_uri(None, workspace), into=Path(folder))
        loaded = load_model(found)
    if not isinstance(loaded, GenotypeModel):
        raise DataError(f"{model}: predicts tracks from sequence, not a trait from genotypes.")
    cohort = open_genotypes(Path.cwd(), list(genotypes), field=dosage_field)
    predictions = predict_cohort(loaded, cohort, table=samples, min_coverage=min_coverage, tables=tables, fills=fills)
    predictions.write(out)
    return Predicted(len(predictions.samples), predictions.notes)
