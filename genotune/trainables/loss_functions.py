"""What outputs of a network mean, and how far they are from the targets. In float32, whatever the network computes in.

Axes: e example, t track, b bin. Targets are totals of bins in transformed units, or shares of bins that lie in a peak;
NaN where not known: such bins have no loss and no gradient.
"""

from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from genotune.store import LABEL_SHARE
from genotune.trainables.losses import (
    LINKS_OF,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Link,
    Loss,
    MeanSquaredError,
    Poisson,
    WeightedMeanSquaredError,
)

_SOFTPLUS_IS_ONE: Final = 0.541324854612918
"""softplus of it is 1: log(e - 1)."""
_FLOOR: Final = 1e-6
"""Least rate, in means of the track, so that its logarithm is finite; least probability too."""
_LEAST_LOG, _MOST_LOG = -13.8, 20.0
"""Bounds of an exponent: that of the floor, and one far above any peak whose square is still a float32."""


class Start(NamedTuple):
    """What the links and losses take from the training windows.

    Attributes:
        mean_t: (track,) mean of the targets, after the transform; of labels the share of positive bins, of classes the
            share of the bins of each. Above zero where rates are predicted.
        scale_t: (track,) their standard deviation, above zero.
    """

    mean_t: Tensor
    scale_t: Tensor


class LossSums(NamedTuple):
    """The loss is `total / weight`, over however many batches or workers both are summed. Both (), float32."""

    total: Tensor
    weight: Tensor


def values_of(logits_etb: Tensor, link: Link, start: Start) -> Tensor:
    """Expected totals of bins in transformed units, or probabilities; (example, track, bin) float32.

    Outputs of zero give the training mean (but for 'identity'): a network whose last layer starts at zero starts there,
    whatever the depth of a track or the rarity of a class. Of classes, 'none of them' has what is left of 1.

    Args:
        logits_etb: the network's outputs.
        link: softplus, exp: (softplus(x + log(e - 1)) + floor) or e^x times the mean. affine: the mean plus x times the
            scale. sigmoid, softmax: of x plus the log odds (over 'none of them') of the training mean. identity: x.
        start: of the training windows.
    """
    logits_etb, mean_t1 = logits_etb.float(), start.mean_t[:, None]
    if link == "softplus":
        return (functional.softplus(logits_etb + _SOFTPLUS_IS_ONE) + _FLOOR) * mean_t1
    if link == "exp":
        return logits_etb.clamp(_LEAST_LOG, _MOST_LOG).exp() * mean_t1
    if link == "affine":
        return mean_t1 + start.scale_t[:, None] * logits_etb
    if link == "sigmoid":
        return (logits_etb + _log_odds(start.mean_t)[:, None]).sigmoid()
    if link == "softmax":
        return _log_probabilities(logits_etb, link, start)[:, :-1].exp()
    return logits_etb


def loss_sums(
    loss: Loss,
    logits_etb: Tensor,
    targets_etb: Tensor,
    *,
    link: Link,
    start: Start,
    weights_e: Tensor | None = None,
    track_weights_t: Tensor | None = None,
    positive_weights_t: Tensor | None = None,
) -> LossSums:
    """The loss of a batch, as sums over what is known.

    Args:
        loss: which.
        logits_etb: the network's outputs.
        targets_etb: float32.
        link: one of `LINKS_OF[loss.kind]`.
        start: of the training windows.
        weights_e: of windows; None: all 1.
        track_weights_t: of tracks, or of the classes in `categorical` ('none of them' has 1); None: all 1.
        positive_weights_t: of positive bins in `bce`; None: as its settings say.

    Returns:
        The weight is that of the known bins: of window times track.
    """
    assert link in LINKS_OF[loss.kind], (loss, link)
    assert logits_etb.shape == targets_etb.shape, (logits_etb.shape, targets_etb.shape)
    n_examples, n_tracks, _ = targets_etb.shape
    logits_etb, known_etb = logits_etb.float(), ~targets_etb.isnan()
    weights_e = logits_etb.new_ones(n_examples) if weights_e is None else weights_e
    track_weights_t = logits_etb.new_ones(n_tracks) if track_weights_t is None else track_weights_t
    if isinstance(loss, CategoricalCrossEntropy):
        classes_eb, known_eb = _classes(targets_etb)
        weights = known_eb * weights_e[:, None] * functional.pad(track_weights_t, (0, 1), value=1.0)[classes_eb]
        losses = -_log_probabilities(logits_etb, link, start).gather(1, classes_eb[:, None])[:, 0]
        return LossSums((losses * weights).sum(), weights.sum())
    weights = known_etb * weights_e[:, None, None] * track_weights_t[:, None]
    targets_etb = targets_etb.nan_to_num(0.0)
    if isinstance(loss, BinaryCrossEntropy):
        if positive_weights_t is None:
            assert loss.positive_weight is not None
            positive_weights_t = torch.full_like(start.mean_t, loss.positive_weight)
        losses = _binary(logits_etb, targets_etb, positive_weights_t, link=link, start=start)
    elif isinstance(loss, MeanSquaredError | WeightedMeanSquaredError):
        losses = ((values_of(logits_etb, link, start) - targets_etb) / start.scale_t[:, None]).square()
        if isinstance(loss, WeightedMeanSquaredError):
            losses = losses * _high_weights(targets_etb, start, strength=loss.strength)
    else:
        rates_etb = _rates(logits_etb, link, start)
        if isinstance(loss, Poisson):
            losses = rates_etb - targets_etb * rates_etb.log()
        else:
            losses = _poisson_multinomial(rates_etb, targets_etb, known_etb, total_weight=loss.total_weight)
    return LossSums((losses * weights).sum(), weights.sum())


def _rates(logits_etb: Tensor, link: Link, start: Start) -> Tensor:
    """Expected totals, above zero."""
    values_etb = values_of(logits_etb, link, start)
    return torch.maximum(values_etb, _FLOOR * start.mean_t[:, None]) if link == "identity" else values_etb


def _poisson_multinomial(rates_etb: Tensor, counts_etb: Tensor, known_etb: Tensor, *, total_weight: float) -> Tensor:
    """The profile's loss of each bin, and to each known bin its share of the total's loss.

    Over a window's known bins the sum is that of the published formula, and with total_weight 1 the Poisson loss.
    """
    n_known_et1 = known_etb.sum(dim=2, keepdim=True).clamp(min=1)
    # Without a known bin there is no total: any number above zero will do, as it comes to weigh nothing.
    total_rate_et1 = torch.where(known_etb, rates_etb, 0.0).sum(dim=2, keepdim=True).clamp(min=1e-30)
    log_total_et1 = total_rate_et1.log()
    total_et1 = total_rate_et1 - counts_etb.sum(dim=2, keepdim=True) * log_total_et1
    return total_weight / n_known_et1 * total_et1 - counts_etb * (rates_etb.log() - log_total_et1)


def _high_weights(targets_etb: Tensor, start: Start, *, strength: float) -> Tensor:
    """Of bins, 1 in the mean over the training windows (if no target is below zero), more where the target is high."""
    return (1 + strength * targets_etb.clamp(min=0) / start.mean_t[:, None]) / (1 + strength)


def _binary(logits_etb: Tensor, shares_etb: Tensor, positive_weights_t: Tensor, *, link: Link, start: Start) -> Tensor:
    """Cross-entropy of each bin's label."""
    offsets_t = _log_odds(start.mean_t)
    log_odds_etb = _log_odds(logits_etb) if link == "identity" else logits_etb + offsets_t[:, None]
    positive_etb = -positive_weights_t[:, None] * functional.logsigmoid(log_odds_etb)
    return torch.where(shares_etb >= LABEL_SHARE, positive_etb, -functional.logsigmoid(-log_odds_etb))


def _classes(shares_etb: Tensor) -> tuple[Tensor, Tensor]:
    """Of each bin (example, bin) its class, the number of tracks being 'none of them', and whether it is known."""
    most_eb, classes_eb = shares_etb.nan_to_num(0.0).max(dim=1)
    classes_eb = torch.where(most_eb >= LABEL_SHARE, classes_eb, shares_etb.shape[1])
    return classes_eb, ~shares_etb.isnan().any(dim=1)


def _log_probabilities(logits_etb: Tensor, link: Link, start: Start) -> Tensor:
    """(example, track + 1, bin) of the classes, 'none of them' being the last."""
    if link == "identity":
        rest_e1b = 1 - logits_etb.sum(dim=1, keepdim=True)
        return torch.cat([logits_etb, rest_e1b], dim=1).clamp(min=_FLOOR).log()
    shares_t = start.mean_t.clamp(min=_FLOOR)
    offsets_t = shares_t.log() - (1 - shares_t.sum()).clamp(min=_FLOOR).log()
    scores_etb = logits_etb + offsets_t[:, None]
    return functional.pad(scores_etb, (0, 0, 0, 1)).log_softmax(dim=1)


def _log_odds(probabilities: Tensor) -> Tensor:
    return probabilities.clamp(_FLOOR, 1 - _FLOOR).logit()
