"""Trials that ended, with several objectives, in one space of losses: finished ones before stopped ones.

Finished trials are the first layer. Behind them lie those that were stopped, a layer for each epoch at which that
happened, the later before the earlier; a trial is beaten in all objectives by any of a layer before its own. So the
order is that of `history`: no stopped trial counts as better than a finished one, whatever it showed at an early epoch.
Those that diverged come last, all alike.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from genotune.tuning.domination import Losses
from genotune.tuning.history import Ended
from genotune.tuning.searchers import Further
from genotune.tuning.space import Direction

_GAP: Final = 1e-3
"""Depth of a layer behind the first, and its distance from the next, in units of the first one's range: enough to be
behind, and so little that what is measured from the worst trial (a hypervolume) hardly changes."""


class Standing(NamedTuple):
    """Where a trial stands.

    Attributes:
        layer: the lower, the better.
        losses: of each objective, lower is better: of a finished trial at the epoch at which the primary one was best,
            of a stopped one at its last; of one that diverged nothing but zeros.
    """

    layer: tuple[int, int]
    losses: tuple[float, ...]


def standing_of(trial: Ended, further: Further, direction: Direction) -> Standing:
    """Where a trial stands that has reported.

    Args:
        trial: it.
        further: objectives, of every epoch that was reported.
        direction: of the primary one.
    """
    if trial.diverged:
        n_further = len(next(iter(further.values())))
        return Standing(trial.merit[:2], (0.0,) * (1 + n_further))
    sign = -1.0 if direction == "maximize" else 1.0
    at = {epoch: (sign * value, *further[epoch]) for epoch, value in trial.curve.items()}
    epoch = max(at) if trial.status == "stopped" else min(at, key=lambda one: (at[one][0], one))
    return Standing(trial.merit[:2], at[epoch])


def in_layers(standings: Sequence[Standing]) -> Losses:
    """(trial, objective) losses: from 0 to 1 in the first layer, a little more in each layer behind it."""
    losses = np.array([one.losses for one in standings])
    for number, layer in enumerate(sorted({one.layer for one in standings})):
        own = np.array([one.layer == layer for one in standings])
        low, width = losses[own].min(axis=0), np.ptp(losses[own], axis=0)
        shares = (losses[own] - low) / np.where(width > 0, width, 1)
        losses[own] = shares if number == 0 else 1 + _GAP * (2 * number - 1 + shares)
    return losses
