"""What stands for an unknown covariate, by the training samples: the median, of the levels of a text the commonest."""

from itertools import groupby

import numpy as np

from genotune.store import FloatArray, IntArray


def covariate_fill(covariates: FloatArray, names: tuple[str, ...], *, samples: IntArray) -> FloatArray:
    """(covariate,) what stands for an unknown value.

    Columns 'name=level' that follow each other are levels of one text: they get those of the commonest level, the one
    without a column among them. A covariate that is known of no training sample is filled with 0.

    Args:
        covariates: (sample, covariate), NaN where unknown; of all samples.
        names: of the covariates.
        samples: (n,) indices of the training samples; no other is looked at.
    """
    values = covariates[samples].astype(np.float64)
    fill = np.zeros(len(names), dtype=np.float32)
    for _, places in groupby(range(len(names)), key=lambda place: _text_of(names[place]) or place):
        group = list(places)
        known = values[:, group][~np.isnan(values[:, group]).any(axis=1)]
        if not len(known):
            continue
        if _text_of(names[group[0]]) and np.isin(known, (0, 1)).all():
            counts = np.concatenate([[len(known) - known.sum()], known.sum(axis=0)])
            fill[group] = np.arange(1, len(counts)) == counts.argmax()
        else:
            fill[group] = np.median(known, axis=0)
    return fill


def filled_covariates(covariates: FloatArray, fill: FloatArray) -> FloatArray:
    """(sample, covariate) with what stands for unknown values."""
    return np.where(np.isnan(covariates), fill, covariates)


def _text_of(name: str) -> str:
    """The column of text that a covariate is a level of; '' where it is none."""
    column, equals, _ = name.partition("=")
    return column if equals else ""
