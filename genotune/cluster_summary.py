"""What a cluster file means for a sweep, in words. It prints nothing."""

from collections.abc import Mapping, Sequence

from genotune.cluster_file import ClusterFile
from genotune.cluster_forecast import ClusterForecast, FamilyFit
from genotune.money import Money, parse_money
from genotune.node_types import NodeType
from genotune.plan import SweepPlan
from genotune.prices import Prices, trial_hour_costs


def cluster_lines(
    plan: SweepPlan, cluster: ClusterFile | None, on_cluster: ClusterForecast | None, *, n_sweeps: int = 1
) -> list[str]:
    """Node types, where each family's trials fit, prices, and what a preemption costs.

    Args:
        plan: of the sweep, or of one of several.
        cluster: the file; None: none was named.
        on_cluster: what its node types offer; None: it names none.
        n_sweeps: that are like this one, one after the other.
    """
    if cluster is None or on_cluster is None:
        return []
    types = on_cluster.fleet.types
    name = f" {cluster.name}" if cluster.name else ""
    lines = [f"cluster:{name} ({cluster.path}, {cluster.kind}), at most {on_cluster.fleet.max_workers} workers"]
    lines += [f"  {_type_words(one)}" for one in types]
    lines += [f"fits: {family} on {_fit_words(fit)}" for family, fit in on_cluster.families.items()]
    if cluster.prices is None:
        lines.append("price: not known; the file has no prices")
    else:
        lines += _price_lines(plan, on_cluster, cluster.prices, n_sweeps=n_sweeps)
    return lines + _preemption_lines(plan, on_cluster)


def cluster_notes(plan: SweepPlan, cluster: ClusterFile | None, on_cluster: ClusterForecast | None) -> list[str]:
    """What a person should know though nothing is wrong."""
    notes = [*(() if cluster is None else cluster.notes), *(() if on_cluster is None else on_cluster.notes)]
    if plan.spec.settings.budget.cost is not None and (cluster is None or cluster.prices is None):
        notes.append("budget.cost needs prices: name a cluster file that has them with --cluster FILE, at the run too.")
    return notes


def cost_lines(plan: SweepPlan, cluster: ClusterFile | None) -> list[str]:
    """What an hour of a trial of each family costs, and for how many of them the budget lasts."""
    prices = None if cluster is None else cluster.prices
    if prices is None:
        return []
    costs = trial_hour_costs(plan, prices)
    lines = [f"cost: an hour of a trial of {family} is {cost:.4g} {prices.currency}" for family, cost in costs.items()]
    budget = plan.spec.settings.budget.cost
    if budget is None:
        return lines
    lasting = [f"{parse_money(budget).amount / cost:,.4g} of {family}" for family, cost in costs.items() if cost]
    return [*lines, f"cost: {budget} last for so many of them: {' or '.join(lasting)}"] if lasting else lines


def _type_words(one: NodeType) -> str:
    if one.is_head:
        count = "the head" if not one.max_workers else f"the head, and {one.min_workers} to {one.max_workers}"
    else:
        count = f"{one.min_workers} to {one.max_workers}" if one.min_workers < one.max_workers else f"{one.max_workers}"
    spot = ", spot" if one.is_spot else ""
    custom = "".join(f", {amount:g} {name}" for name, amount in one.custom.items())
    return f"{one.name}: {count}, each {one.words}{custom}{spot}"


def _fit_words(fit: FamilyFit) -> str:
    places = ", ".join(f"{name} ({count} a machine)" for name, count in fit.workers.items())
    return f"{places}; room for {fit.room:,} at once"


def _price_lines(plan: SweepPlan, on_cluster: ClusterForecast, prices: Prices, *, n_sweeps: int) -> list[str]:
    fleet, currency = on_cluster.fleet, prices.currency
    missing = [one.name for one in fleet.types if one.price_hour is None and on_cluster.largest[one.name]]
    if missing:
        fix = f"node_hours: {{{', '.join(f'{name}: ..' for name in missing)}}}"
        return [f"price: not known of {', '.join(missing)}; add {fix} to the prices"]
    idle, largest = fleet.hour(on_cluster.idle), fleet.hour(on_cluster.largest)
    assert idle is not None
    assert largest is not None
    lines = [
        f"price: {_amount(idle, currency)} an hour idle ({_counts(on_cluster.idle)}), at most "
        f"{_amount(largest, currency)} an hour while its trials run ({_counts(on_cluster.largest)})"
    ]
    hours = plan.spec.settings.budget.hours
    if hours is not None:
        of_all = "" if n_sweeps == 1 else f"; of {n_sweeps} such sweeps {_amount(n_sweeps * hours * largest, currency)}"
        lines.append(f"estimate: up to {_amount(hours * largest, currency)} in its {hours:g} h{of_all}")
    return lines


def _preemption_lines(plan: SweepPlan, on_cluster: ClusterForecast) -> list[str]:
    if not on_cluster.spot:
        return []
    spot = on_cluster.spot
    lines = [f"preemption: a spot machine of {name} carries up to {_trials(of)}" for name, of in spot.items()]
    touched = {family for of in spot.values() for family in of}
    whole = [family for family in plan.families if family in touched and plan.families[family].max_epochs == 1]
    epoch = "epoch" if not plan.trial_folds else f"epoch (on all {len(plan.trial_folds)} folds)"
    if len(whole) < len(touched):
        lines.append(f"  without notice each loses at most the {epoch} it is in, and goes on from its last checkpoint")
    if whole:
        lines.append(f"  {_and(whole)}: fitted in one epoch, so such a trial begins again")
    return lines


def _trials(of: Mapping[str, int]) -> str:
    """'4 trials of poisson_cnn or 16 of kmer_ridge'."""
    (family, count), *others = of.items()
    first = f"{count} {'trial' if count == 1 else 'trials'} of {family}"
    return " or ".join([first, *(f"{n} of {name}" for name, n in others)])


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _amount(amount: float, currency: str) -> str:
    return str(Money(amount, currency))


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)
