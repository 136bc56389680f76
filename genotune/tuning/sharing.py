"""How families share a budget in hours or money: by what their trials really take."""

from collections.abc import Mapping


def family_behind(spent: Mapping[str, float], n_trials: Mapping[str, int], *, most_trials: int) -> str | None:
    """The family that has had least, if that is less than half of an equal share; else None.

    So each family is sure of half of an equal share of the budget, whatever the searcher thinks of it, and the other
    half goes where the searcher expects most. A family whose trials cost next to nothing would take them all to reach
    its share of the budget: it is sure of no more than half of an equal share of the trials.

    Args:
        spent: seconds that the trials of each family have run so far, or what they have cost.
        n_trials: trials that each family has had.
        most_trials: of the whole sweep.
    """
    total, n_shares = sum(spent.values()), 2 * len(spent)
    behind = [
        family
        for family, amount in spent.items()
        if amount < total / n_shares and n_trials[family] < most_trials / n_shares
    ]
    return min(behind, key=lambda family: spent[family], default=None)
