"""Fits to several traits in step: all of them end an epoch before any goes on, so that one value judges them together.

What steers each (early stopping) is the value of all together, since one draw is judged by that: they end together too.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from genotune.errors import DataError
from genotune.trainables.genotype_trainable import Epochs
from genotune.trainables.model import GenotypeModel, Model
from genotune.trainables.several_traits import SeveralTraits, part_name
from genotune.trainables.trainable import FitError, Progress, Report

Begin = Callable[[Path | None], Epochs]
"""Begins a fit, where it is given a folder from the state there."""


def fit_in_step(begin: Mapping[str, Begin], *, report: Report, resume: Path | None) -> Model:
    """The model of several traits once all of their fits have ended.

    Args:
        begin: the fit to each trait, by its name.
        report: called once an epoch with all of them; metrics are means over the traits, and each trait's own as
            'metric/trait'.
        resume: a folder that the progress of an epoch saved its state to.

    Raises:
        FitError: a trait can't be fitted; its name is in the message.
    """
    folders = [None if resume is None else resume / part_name(index) for index in range(len(begin))]
    fits = {trait: _Fit(trait, start(folder)) for (trait, start), folder in zip(begin.items(), folders, strict=True)}
    value: float | None = None
    while True:
        ended = [fit.model for fit in fits.values() if not fit.goes_on(value)]
        if ended:
            assert len(ended) == len(fits), f"{len(ended)} of {len(fits)} fits ended before the others"
            return SeveralTraits([_on_genotypes(model) for model in ended])
        value = report(_together(list(fits), [fit.progress for fit in fits.values()]))


class _Fit:
    """The fit to one trait, and where it stands."""

    def __init__(self, trait: str, epochs: Epochs) -> None:
        self._trait, self._epochs = trait, epochs
        self._progress: Progress | None = None
        self._model: Model | None = None

    @property
    def progress(self) -> Progress:
        """At the end of the last epoch."""
        assert self._progress is not None
        return self._progress

    @property
    def model(self) -> Model:
        """Of a fit that has ended."""
        assert self._model is not None
        return self._model

    def goes_on(self, value: float | None) -> bool:
        """Fit one more epoch, told what the last one was worth; whether there was one."""
        try:
            self._progress = self._epochs.send(value)
        except StopIteration as ended:
            self._model = ended.value
            return False
        except (FitError, DataError) as error:
            raise type(error)(f"{self._trait}: {error}") from error
        return True


def _together(traits: Sequence[str], each: Sequence[Progress]) -> Progress:
    """One progress of all traits."""
    metrics = {name: float(np.mean([one.metrics[name] for one in each])) for name in each[0].metrics}
    for trait, one in zip(traits, each, strict=True):
        metrics |= {f"{name}/{trait}": value for name, value in one.metrics.items()}
    model = SeveralTraits([_on_genotypes(one.model) for one in each])
    return Progress(each[0].epoch, model, metrics, partial(_save_states, each))


def _save_states(each: Sequence[Progress], folder: Path, *, value: float | None = None) -> None:
    for index, one in enumerate(each):
        (folder / part_name(index)).mkdir()
        one.save_state(folder / part_name(index), value=value)


def _on_genotypes(model: Model) -> GenotypeModel:
    assert isinstance(model, GenotypeModel), type(model)
    return model
