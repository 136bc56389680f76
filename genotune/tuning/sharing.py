"""How families share a budget in hours: by the time that their trials really take."""

from collections.abc import Mapping


def family_behind(spent_s: Mapping[str, float], n_trials: Mapping[str, int], *, most_trials: int) -> str | None:
    """The family that has had least of the time, if that is less than half of an equal share; else None.

    So each family is sure of half of an equal share of the hours, whatever the searcher thinks of it, and the other
    half goes where the searcher expects most. A family whose trials cost next to nothing would take them all to reach
    its share of the time: it is sure of no more than half of an equal share of the trials.

    Args:
        spent_s: seconds that the trials of each family have run so far.
        n_trials: trials that each family has had.
        most_trials: of the whole sweep.
    """
    total_s, n_shares = sum(spent_s.values()), 2 * len(spent_s)
    behind = [
        family
        for family, seconds in spent_s.items()
        if seconds < total_s / n_shares and n_trials[family] < most_trials / n_shares
    ]
    return min(behind, key=lambda family: spent_s[family], default=None)
