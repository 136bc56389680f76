"""Amounts of money, as a person writes them: 20 USD."""

import re
from typing import Final, NamedTuple

from genotune.errors import describe

_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_MONEY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ([A-Z]{3})")


class Money(NamedTuple):
    """An amount of a currency, by its three letters in ISO 4217."""

    amount: float
    currency: str

    def __str__(self) -> str:
        return f"{self.amount:,.2f} {self.currency}".replace(".00 ", " ")


def parse_money(text: object) -> Money:
    """The amount that a text such as '20 USD' names.

    Raises:
        ValueError: it names none, or nothing at all.
    """
    found = _MONEY.fullmatch(text) if isinstance(text, str) else None
    if found is None or not float(found[1]):
        raise ValueError(f"found {describe(text)}; must be an amount and its currency, e.g. 20 USD.")
    return Money(float(found[1]), found[2])


def currency(name: str) -> str:
    """The name as it is, if a currency may be called so.

    Raises:
        ValueError: it may not.
    """
    if not _CURRENCY.fullmatch(name):
        raise ValueError(f"found {describe(name)}; must be the three letters of a currency, e.g. USD.")
    return name


def money_text(text: object) -> object:
    """The text as it is, if it names an amount; see `parse_money`."""
    parse_money(text)
    return text
