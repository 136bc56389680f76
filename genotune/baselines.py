"""The baselines of a sweep: fitted with their families' defaults as its trials are, at no cost to the budget."""

from collections.abc import Callable

from genotune.errors import UserError
from genotune.evaluation import baselines_of, finite, fit_baseline
from genotune.journal import Journal
from genotune.judging import validate
from genotune.plan import SweepPlan
from genotune.refit import whole
from genotune.shared_store import SharedStore
from genotune.trainables.model import Model


def fit_baselines(
    plan: SweepPlan, journal: Journal, store: SharedStore, *, final: SharedStore, note: Callable[[str], None]
) -> dict[str, Model]:
    """The baselines by their families, fitted on what the winner was; their metrics on validation are in the journal.

    Args:
        plan: of the sweep; with trials on folds the metrics are means over the same folds.
        journal: takes the metrics.
        store: that trials were fitted on.
        final: that the winner was fitted on at last.
        note: called with what a person should know of a baseline that can't be fitted.
    """
    fitted: dict[str, Model] = {}
    for family in baselines_of(final.get().columns):
        try:
            fitted[family] = _fit(family, plan, journal, store, final=final)
        except UserError as error:
            note(f"The baseline {family} can't be fitted, so nothing is compared with it: {error}")
    return fitted


def _fit(family: str, plan: SweepPlan, journal: Journal, store: SharedStore, *, final: SharedStore) -> Model:
    seed, found = plan.spec.settings.search.seed, []
    for index, fold in enumerate(plan.trial_folds or [plan.fold]):
        data = store.of_fold(index) if plan.trial_folds else store.get()
        model = fit_baseline(family, data, fold.splits, seed=seed)
        found.append(validate(model, data, splits=fold.splits, judge=plan.judge))
    means = {name: sum(metrics[name] for metrics in found) / len(found) for name in found[0]}
    journal.append("baseline", name=family, metrics=finite(means))
    return fit_baseline(family, final.get(), whole(plan.fold), seed=seed) if plan.refits else model
