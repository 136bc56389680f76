"""The code that MLflow runs to load a winner: DNA in, signal out. It needs no Ray.

`mlflow.pyfunc.load_model` executes a copy of this file that lies in the model's folder; nothing imports it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from genotune.errors import DataError
from genotune.genome.sequence import encode
from genotune.store import CodeArray, FloatArray
from genotune.trainables import load_model


class WinnerModel(PythonModel):
    """A sweep's winner. Mean signal per base, in the tracks' own units."""

    def load_context(self, context: Any) -> None:
        """Load the weights that lie beside this file."""
        self._model = load_model(Path(context.artifacts["model"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> FloatArray:
        """Signal along the inner part of each sequence.

        Args:
            context: MLflow's; not used.
            model_input: a column `sequence`, each as long as the model's input; lower case is taken as upper, an
                unknown base is N.
            params: MLflow's; not used.

        Returns:
            (example, track, bin).

        Raises:
            DataError: a sequence of another length, or with a letter that is no nucleotide.
        """
        del context, params
        codes = [self._encode(row, sequence) for row, sequence in enumerate(model_input["sequence"])]
        return self._model.predict(np.stack(codes) if codes else np.empty((0, self._model.input_bp), dtype=np.uint8))

    def _encode(self, row: int, sequence: str) -> CodeArray:
        wanted = self._model.input_bp
        if len(sequence) != wanted:
            message = (
                f"sequence {row}: {len(sequence)} bases; this model takes exactly {wanted}. Take {wanted} bases around "
                "the place of interest, filled up with N where the contig ends."
            )
            raise DataError(message)
        try:
            return encode(sequence.encode("ascii", "replace"))
        except DataError as error:
            raise DataError(f"sequence {row}: {error}") from None


set_model(WinnerModel())
