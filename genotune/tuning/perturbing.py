"""A pick somewhat higher or lower than another, in the same domain."""

from genotune.tuning.domains import Choice, Domain, Pick


def perturbed(domain: Domain, pick: Pick, factor: float) -> Pick:
    """A pick times a factor, at the end of the domain where that lies beyond it.

    Where picks are counted it is the nearest one, but at least the next, so that a small number moves too. The options
    of a choice are taken to be in order: it is the next one.

    Args:
        domain: of both picks.
        pick: to begin from.
        factor: above 1 for a higher pick of a positive number, or a later option; below 1 for the contrary.
    """
    low, high = domain.ends()
    if isinstance(domain, Choice):
        return min(max(int(pick) + (1 if factor > 1 else -1), int(low)), int(high))
    wanted = min(max(pick * factor, low), high)
    if domain.n_values is None:
        return wanted
    if domain.n_values == 1:
        return pick
    step = domain.value(1) - domain.value(0)
    moved = max(1, round(abs(wanted - pick) / step))
    is_higher = wanted > pick or (wanted == pick and factor > 1)
    index = domain.index(pick) + (moved if is_higher else -moved)
    return domain.value(min(max(index, 0), domain.n_values - 1))
