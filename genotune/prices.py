"""What trials cost: the prices of a cluster file, and what an hour of a family's trials comes to by them.

Ray's launcher reads the same file. It refuses keys that it doesn't know, but not below `provider`, so the table stands
there. Source: ray 2.60.0, autoscaler/ray-schema.json (`additionalProperties` of the file and of `provider`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, ValidationError

from genotune.errors import Problem, SpecError
from genotune.money import currency, parse_money
from genotune.plan import SweepPlan
from genotune.settings import Settings, build
from genotune.spec import Resources, spec_error
from genotune.spec.messages import problems_of
from genotune.spec.reading import read_text, spec_error_in
from genotune.spec.yaml_source import YamlPath, YamlSyntaxError, parse_yaml

_TABLE: Final[YamlPath] = ("provider", "prices")
_EXAMPLE: Final = "provider: {prices: {currency: USD, cpu_hour: 0.04, gpu_hour: 2.5, memory_gib_hour: 0.005}}"

_Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Prices(Settings):
    """What an hour of each resource costs.

    Attributes:
        currency: by its three letters in ISO 4217.
        gpu_hour: null: not known, so no trial may take a GPU.
        memory_gib_hour: of what a trial reserves (resources.memory_gib).
    """

    currency: Annotated[str, AfterValidator(currency)]
    cpu_hour: _Price
    gpu_hour: _Price | None = None
    memory_gib_hour: _Price = 0.0


def read_prices(path: Path) -> Prices:
    """The table of prices in a cluster file.

    Raises:
        SpecError: it has none, or one with faults.
    """
    text = read_text(path)
    try:
        source = parse_yaml(text)
    except YamlSyntaxError as error:
        raise SpecError([f"{path}:{error.line}: {error}"]) from None
    table: Any = source.values
    for key in _TABLE:
        table = table.get(key) if isinstance(table, Mapping) else None
    if table is None:
        message = f"there are no prices in this cluster file. Add them, e.g. {_EXAMPLE}."
        raise spec_error_in(path, source, [Problem(_TABLE, message)])
    try:
        prices: Prices = build(Prices, table)
    except ValidationError as error:
        found = problems_of(error, Prices, name="provider.prices")
        raise spec_error_in(path, source, [Problem((*_TABLE, *one.path), one.message) for one in found]) from None
    return prices


def trial_hour_costs(plan: SweepPlan, prices: Prices | None) -> dict[str, float]:
    """What an hour of a trial costs, by family; nothing without prices.

    Raises:
        SpecError: the budget names a cost and there are no prices, or none in its currency, or none for a GPU.
    """
    budget = plan.spec.settings.budget
    if prices is None:
        if budget.cost is not None:
            message = (
                f"found {budget.cost}, and the prices are not known. Name a cluster file that has them: --cluster FILE "
                f"({_EXAMPLE})."
            )
            raise spec_error(plan.spec, [Problem(("budget", "cost"), message)])
        return {}
    if budget.cost is not None and parse_money(budget.cost).currency != prices.currency:
        message = f"found {budget.cost}; the prices of the cluster file are in {prices.currency}. Write the cost in it."
        raise spec_error(plan.spec, [Problem(("budget", "cost"), message)])
    return {family: _trial_hour(plan, family, forecast.resources, prices) for family, forecast in plan.families.items()}


def _trial_hour(plan: SweepPlan, family: str, resources: Resources, prices: Prices) -> float:
    if resources.gpus and prices.gpu_hour is None:
        message = f"found {resources.gpus:g}, and the cluster file has no price of a GPU. Add provider.prices.gpu_hour."
        raise spec_error(plan.spec, [Problem(("resources", family, "gpus"), message)])
    each = (
        resources.cpus * prices.cpu_hour
        + resources.gpus * (prices.gpu_hour or 0.0)
        + (resources.memory_gib or 0.0) * prices.memory_gib_hour
    )
    return resources.workers * each
