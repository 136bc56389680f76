"""Which windows of the training contigs make an epoch: settings.

Windows lie wholly within their contig, and hold a value of at least one track. Source of `threshold`: Kelley 2020
(cross-species Basenji2), Methods, windows chosen by signal; of `flanked`: Avsec et al. 2021 (BPNet) train on peaks and
their surroundings; of negatives matched for GC: Ghandi et al. 2014 (gkm-SVM), Methods.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from genotune.settings import Settings


class Negatives(Settings):
    """Windows that touch no peak (or aren't above the threshold), drawn anew for each epoch.

    Attributes:
        ratio: negatives per positive window; where there are fewer, they are repeated.
        match: 'gc': their share of G and C is distributed like that of the positives; 'none': drawn evenly.
    """

    ratio: Annotated[float, Field(gt=0, le=100)] = 1.0
    match: Literal["gc", "none"] = "gc"


ZeroSignal = Literal["keep", "drop"] | Annotated[float, Field(gt=0, lt=1)]


class _AnyWindows(Settings):
    """What all ways to select windows have in common.

    Attributes:
        length_bp: length of a window.
        zero_signal: of the windows without any signal: 'keep' all, 'drop' all, or keep this share of them, drawn anew
            for each epoch.
        balance: 'oversample' repeats the rarer of positive and negative windows until there are as many of both,
            'undersample' leaves out some of the commoner, drawn anew for each epoch. Without negatives, positive is a
            window with more signal than the median window, or with a labelled bin.
        weight: of a window in the loss: 'signal' gives windows with more signal more weight (the square root of their
            mean signal over that of all windows, averaged over tracks, and at least 0.1), 'class' gives positives as
            much weight in sum as negatives. Weights have a mean of 1 over an epoch.
    """

    length_bp: Annotated[int, Field(ge=1)] = 1024
    zero_signal: ZeroSignal = "keep"
    balance: Literal["none", "oversample", "undersample"] = "none"
    weight: Literal["none", "signal", "class"] = "none"


class Tiles(_AnyWindows):
    """Windows from the start of each contig to its end.

    Attributes:
        stride_bp: distance between the starts of two windows.
    """

    select: Literal["tiles"] = "tiles"
    stride_bp: Annotated[int, Field(ge=1)] = 512


class AtPeaks(_AnyWindows):
    """Windows around peaks. One that would reach beyond its contig is moved inwards.

    Attributes:
        peaks: name of a set of peaks in `data.peaks`.
        centre: of a window: the peak's summit or the middle of the peak.
        flanked: beside the window on the peak also the one to its left and the one to its right, where they lie on the
            contig; positive as it is.
        negatives: null: none.
    """

    select: Literal["peaks"]
    peaks: Annotated[str, Field(min_length=1)]
    centre: Literal["summit", "middle"] = "summit"
    flanked: bool = False
    negatives: Negatives | None = Negatives()


class AboveThreshold(_AnyWindows):
    """Tiles whose signal is above a threshold.

    Attributes:
        stride_bp: distance between the starts of two tiles.
        at: threshold of the mean signal per base of a window, the highest of its tracks.
        quantile: the threshold is this quantile of all training tiles; one of the two is given.
        negatives: null: none.
    """

    select: Literal["threshold"]
    stride_bp: Annotated[int, Field(ge=1)] = 512
    at: Annotated[float, Field(gt=0)] | None = None
    quantile: Annotated[float, Field(gt=0, lt=1)] | None = None
    negatives: Negatives | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "AboveThreshold":
        if (self.at is None) == (self.quantile is None):
            raise ValueError("threshold takes either `at`, a mean signal, or `quantile`, of tiles, e.g. quantile: 0.5.")
        return self


def _with_select(value: object) -> object:
    return {"select": "tiles", **value} if isinstance(value, dict) else value


WindowSettings = Annotated[
    Tiles | AtPeaks | AboveThreshold, Field(discriminator="select"), BeforeValidator(_with_select)
]
