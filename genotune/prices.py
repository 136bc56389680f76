"""What trials cost: the prices of a cluster file, and what an hour of a family's trials comes to by them.

The table stands where the reader of the file lets it stand. Ray's launcher refuses keys that it doesn't know, but not
below `provider`; Kubernetes takes any annotation, whose value is text.
Source: ray 2.60.0, autoscaler/ray-schema.json (`additionalProperties` of the file and of `provider`).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import AfterValidator, Field, ValidationError

from genotune.cluster_documents import Document, read_document
from genotune.errors import Problem, SpecError, describe
from genotune.money import currency, parse_money
from genotune.plan import SweepPlan
from genotune.settings import Settings, build
from genotune.spec import Resources, spec_error
from genotune.spec.messages import problems_of
from genotune.spec.reading import spec_error_in
from genotune.spec.yaml_source import YamlPath, YamlSource, YamlSyntaxError, parse_yaml

ANNOTATION: Final[YamlPath] = ("metadata", "annotations", "genotune/prices")
_TABLE: Final[YamlPath] = ("provider", "prices")
_FIGURES: Final = "{currency: USD, cpu_hour: 0.04, gpu_hour: 2.5, memory_gib_hour: 0.005}"
_EXAMPLE: Final = f"provider: {{prices: {_FIGURES}}}"
_ANNOTATION_EXAMPLE: Final = f'metadata: {{annotations: {{genotune/prices: "{_FIGURES}"}}}}'
_BLOCK: Final = re.compile(r":\s*[|>][-+0-9]*\s*(#.*)?$")
"""The end of a line that a text of several lines follows."""

_Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Prices(Settings):
    """What an hour of each resource costs.

    Attributes:
        currency: by its three letters in ISO 4217.
        gpu_hour: null: not known, so no trial may take a GPU.
        memory_gib_hour: of what a trial reserves (resources.memory_gib).
        node_hours: of machines, by node type: what `genotune check` reckons the cluster by. Those of other types cost
            what their resources do.
    """

    currency: Annotated[str, AfterValidator(currency)]
    cpu_hour: _Price
    gpu_hour: _Price | None = None
    memory_gib_hour: _Price = 0.0
    node_hours: dict[str, _Price] = Field(default_factory=dict)

    def hour(self, *, cpus: float, gpus: float, memory_gib: float) -> float:
        """What an hour of so much costs; GPUs without a price cost nothing."""
        return cpus * self.cpu_hour + gpus * (self.gpu_hour or 0.0) + memory_gib * self.memory_gib_hour


class PriceTable(NamedTuple):
    """The prices of a cluster file.

    Attributes:
        prices: None: there are none, or they have faults.
        place: the keys that lead to them.
        source: lines of the file, of the table's own keys too.
        problems: what is wrong with them.
    """

    prices: Prices | None
    place: YamlPath
    source: YamlSource
    problems: list[Problem]


def read_prices(path: Path) -> Prices:
    """The table of prices in a cluster file.

    Raises:
        SpecError: it has none, or one with faults.
    """
    document = read_document(path)
    table = price_table(document)
    if table.problems:
        raise spec_error_in(path, table.source, table.problems)
    if table.prices is None:
        place, example = (_TABLE, _EXAMPLE) if document.kind == "launcher" else (ANNOTATION, _ANNOTATION_EXAMPLE)
        message = f"there are no prices in this cluster file. Add them, e.g. {example}."
        raise document.error([Problem(place, message)])
    return table.prices


def price_table(document: Document) -> PriceTable:
    """The table of prices in a cluster file.

    Raises:
        SpecError: it is no YAML.
    """
    place, source = _TABLE, document.source
    if document.kind != "launcher":
        place, source = ANNOTATION, _with_annotation(document)
    values: Any = source.values
    for key in place:
        values = values.get(key) if isinstance(values, Mapping) else None
    problems = [one for one in source.problems if one.path[: len(place)] == place]
    prices: Prices | None = None
    try:
        prices = None if values is None else build(Prices, values)
    except ValidationError as error:
        found = problems_of(error, Prices, name=".".join(map(str, place)))
        problems += [Problem((*place, *one.path), one.message) for one in found]
    return PriceTable(prices, place, source, problems)


def _with_annotation(document: Document) -> YamlSource:
    """The document of KubeRay with the table in the place of the annotation's text.

    Raises:
        SpecError: the text is no YAML.
    """
    source = document.source
    metadata = source.values.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    text = annotations.get(ANNOTATION[-1]) if isinstance(annotations, Mapping) else None
    if text is None:
        return source._replace(values=None, problems=[])
    if not isinstance(text, str):
        message = f"found {describe(text)}; an annotation is text: write `genotune/prices: |` and the table below it."
        raise document.error([Problem(ANNOTATION, message)])
    line = source.line(ANNOTATION)
    before = line if _BLOCK.search(document.text.splitlines()[line - 1]) else line - 1
    try:
        table = parse_yaml(text)
    except YamlSyntaxError as error:
        raise SpecError([f"{document.path}:{before + error.line}: {'.'.join(map(str, ANNOTATION))}: {error}"]) from None
    lines = {(*ANNOTATION, *path): before + of_key for path, of_key in table.lines.items() if path}
    problems = [Problem((*ANNOTATION, *one.path), one.message) for one in table.problems]
    values = {"metadata": {"annotations": {ANNOTATION[-1]: table.values}}}
    return YamlSource(values, source.lines | lines, problems)


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
    each = prices.hour(cpus=resources.cpus, gpus=resources.gpus, memory_gib=resources.memory_gib or 0.0)
    return resources.workers * each
