"""Who tells a person how a sweep goes, and what it came to."""

from pathlib import Path
from typing import NamedTuple, Protocol

from genotune.controller import Controller
from genotune.plan import SweepPlan
from genotune.sweep_state import SweepState


class Face(Protocol):
    """Who tells the person what happens; the terminal, or nobody in a test."""

    def stage(self, text: str) -> None:
        """A step begins."""

    def begin(self, plan: SweepPlan, folder: Path) -> None:
        """The sweep is about to start."""

    def note(self, text: str) -> None:
        """Something that a person should know though nothing is wrong."""

    def wait(self, text: str) -> None:
        """What trials wait for has changed; '': they don't any more."""

    def trials(self, controller: Controller) -> None:
        """Something may have changed; called often."""

    def end(self, outcome: "Outcome") -> None:
        """All is done."""


class Outcome(NamedTuple):
    """What a sweep came to.

    Attributes:
        state: with the winner, the scores, and the registered model unless MLflow was away.
        n_left: events that MLflow doesn't have yet.
    """

    folder: Path
    plan: SweepPlan
    state: SweepState
    n_left: int
    tracking_uri: str
