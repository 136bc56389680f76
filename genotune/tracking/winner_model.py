"""The code that MLflow runs to load a winner: DNA or genotypes in, signal or a trait out. It needs no Ray.

`mlflow.pyfunc.load_model` executes a copy of this file that lies in the model's folder; nothing imports it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from genotune.data.further_tables import as_codes
from genotune.errors import DataError
from genotune.genome.sequence import encode
from genotune.store import DOSAGE_STEPS, MISSING_DOSAGE, MISSING_STEPS, CodeArray, DosageArray, FloatArray, TableColumn
from genotune.trainables import load_model
from genotune.trainables.model import GenotypeModel, SequenceModel


class WinnerModel(PythonModel):
    """A sweep's winner. Predictions are in the units of the tracks or of the trait; of classes, probabilities."""

    def load_context(self, context: Any) -> None:
        """Load the model that lies beside this file; with `trust_code` in MLflow's model_config, its code too."""
        trust_code = bool((context.model_config or {}).get("trust_code", False))
        self._model = load_model(Path(context.artifacts["model"]), trust_code=trust_code)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> FloatArray | pd.DataFrame:
        """Signal along the inner part of each sequence, or the trait of each sample.

        Args:
            context: MLflow's; not used.
            model_input: for tracks a column `sequence`, each as long as the model's input; lower case is taken as
                upper, an unknown base is N. For a trait a row for each sample with a column for each variant, named
                'id_counted allele' as in a .raw file of `plink2 --export A`, that holds the copies of that allele (from
                0 to 2, in whole or not; missing where not known), a column for each covariate, and one for each column
                of a further table, named 'table:column' (missing where not known; a category as text). Other columns
                are ignored.
            params: MLflow's; not used.

        Returns:
            (example, track, bin); or (sample,), of a trait with more than two classes (sample, class); of several
            traits a table with a row for each sample and a column for each trait, or 'trait=class'.

        Raises:
            DataError: a sequence of another length, or with a letter that is no nucleotide; a column that is not there,
                or a dosage that is none.
        """
        del context, params
        if isinstance(self._model, GenotypeModel):
            predicted = _predict_trait(self._model, model_input)
            if not self._model.several:
                return predicted
            return pd.DataFrame(predicted, columns=list(self._model.output_names), index=model_input.index)
        assert isinstance(self._model, SequenceModel), type(self._model)
        return _predict_signal(self._model, model_input)


def _predict_signal(model: SequenceModel, table: pd.DataFrame) -> FloatArray:
    codes = [_encode(row, sequence, length_bp=model.input_bp) for row, sequence in enumerate(table["sequence"])]
    return model.predict(np.stack(codes) if codes else np.empty((0, model.input_bp), dtype=np.uint8))


def _encode(row: int, sequence: str, *, length_bp: int) -> CodeArray:
    if len(sequence) != length_bp:
        message = (
            f"sequence {row}: {len(sequence)} bases; this model takes exactly {length_bp}. Take {length_bp} bases "
            "around the place of interest, filled up with N where the contig ends."
        )
        raise DataError(message)
    try:
        return encode(sequence.encode("ascii", "replace"))
    except DataError as error:
        raise DataError(f"sequence {row}: {error}") from None


def _predict_trait(model: GenotypeModel, table: pd.DataFrame) -> FloatArray:
    names = model.variants.names
    wanted = (*names, *model.covariate_names, *(column.name for column in model.table_columns))
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        message = (
            f"{len(missing)} of the model's {len(wanted)} columns are not there: "
            f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}. Export the counted alleles that the names "
            "end in, e.g. with plink2 --export A --export-allele."
        )
        raise DataError(message)
    covariates = table[list(model.covariate_names)].to_numpy(dtype=np.float32)
    if not model.fills_covariates and not np.isfinite(covariates).all():
        raise DataError(f"covariates {', '.join(model.covariate_names)}: a value is missing; fill it in first.")
    columns = [_column_of_table(table[column.name], column) for column in model.table_columns]
    return model.predict(_dosages(table[list(names)]), np.column_stack([covariates, *columns]))


def _column_of_table(cells: "pd.Series[Any]", column: TableColumn) -> FloatArray:
    """(sample,) numbers, of a category the index of each level; NaN where missing."""
    if not column.levels:
        return cells.to_numpy(dtype=np.float32, na_value=np.nan)
    texts = np.where(cells.isna(), "", cells.astype(str)).astype(np.str_)
    return as_codes(texts, column.levels, missing=())


def _dosages(table: pd.DataFrame) -> DosageArray:
    """(sample, variant) codes of a table of copies of alleles; in steps where some are not whole."""
    copies = table.to_numpy(dtype=np.float64)
    known = ~np.isnan(copies)
    strange = known & ~((copies >= 0) & (copies <= 2))
    if strange.any():
        row, column = np.argwhere(strange)[0]
        raise DataError(
            f"sample {row}: {table.columns[column]} is {copies[row, column]:g}; a dosage lies between 0 and 2."
        )
    if (copies[known] % 1 == 0).all():
        return np.where(known, copies, MISSING_DOSAGE).astype(np.int8)
    return np.where(known, np.rint(copies * DOSAGE_STEPS), MISSING_STEPS).astype(np.uint16)


set_model(WinnerModel())
