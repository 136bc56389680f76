"""Raising the limits of a sweep that has begun: trials, hours, epochs, cost."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from genotune.errors import SweepError
from genotune.money import parse_money
from genotune.settings import build
from genotune.spec.messages import did_you_mean, problems_of
from genotune.spec.schema import Budget
from genotune.spec.yaml_source import YamlSyntaxError, parse_yaml

RAISED: Final = ("trials", "hours", "epochs", "cost")


def read_extension(options: Sequence[str]) -> dict[str, Any]:
    """Limits by name, of options such as 'trials=48'.

    Raises:
        SweepError: an option names no limit that can be raised, or no amount; or one is named twice.
    """
    limits: dict[str, Any] = {}
    for option in options:
        name, _, text = option.partition("=")
        if name not in RAISED:
            hint = did_you_mean(name, RAISED)
            raise SweepError(f"--extend {option}: {name!r} can't be raised.{hint} Write e.g. --extend trials=48.")
        if name in limits:
            raise SweepError(f"--extend {option}: {name} is named twice. Remove one.")
        limits[name] = _amount(option, name, text)
    return limits


def raised(budget: Budget, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the wanted limits that are above what they are; the others are as they are wanted already.

    Args:
        budget: as it is.
        wanted: limits by name; see `read_extension`.

    Raises:
        SweepError: one is below what it is, or the sweep has no such limit.
    """
    for name, limit in wanted.items():
        before = getattr(budget, name)
        if before is None:
            message = (
                f"--extend {name}={limit}: the sweep has no limit of {name}, so there is none to raise. Remove it."
            )
            raise SweepError(message)
        if name == "cost" and parse_money(limit).currency != parse_money(before).currency:
            raise SweepError(f"--extend {name}={limit}: the budget is {before}; write the same currency.")
        if is_more(before, limit):
            message = f"--extend {name}={limit}: it is {before} now, and a limit can only be raised. Name more."
            raise SweepError(message)
    return higher(budget, wanted)


def extended_budget(budget: Budget, limits: Mapping[str, Any]) -> Budget:
    """A budget with other limits in the place of some of its own."""
    whole: Budget = build(Budget, {**budget.model_dump(mode="json"), **limits})
    return whole


def limits_said(budget: Budget, extensions: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Every value that each limit of a budget has had, by name."""
    values = [budget.model_dump(mode="json"), *extensions]
    return {name: [limits[name] for limits in values if name in limits] for name in RAISED}


def higher(budget: Budget, limits: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the limits that are above a budget's own."""
    return {name: limit for name, limit in limits.items() if is_more(limit, getattr(budget, name))}


def is_more(limit: Any, other: Any) -> bool:
    """Whether a limit is above another; none is neither above nor below."""
    return limit is not None and other is not None and _number(limit) > _number(other)


def _amount(option: str, name: str, text: str) -> Any:
    try:
        value = parse_yaml(text).values
        budget: Budget = build(Budget, {"trials": 1, name: value})
    except YamlSyntaxError as error:
        raise SweepError(f"--extend {option}: {error}") from None
    except ValidationError as error:
        raise SweepError(f"--extend {option}: {problems_of(error, Budget, name='budget')[0].message}") from None
    amount = getattr(budget, name)
    if amount is None:
        raise SweepError(f"--extend {option}: no amount. Write e.g. --extend {name}={_EXAMPLES[name]}.")
    return amount


_EXAMPLES: Final = {"trials": "48", "hours": "3", "epochs": "400", "cost": "'40 USD'"}


def _number(limit: Any) -> float:
    return parse_money(limit).amount if isinstance(limit, str) else float(limit)
