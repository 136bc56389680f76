"""The picture of a front: the primary objective against each other one."""

from typing import TYPE_CHECKING, Final

from genotune.front import Front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL_INCHES: Final = (4.5, 4.0)


def draw_front(front: Front) -> "Figure":
    """A panel for each further objective: all trials, and those on the front by number; a line through two objectives.

    With more than two objectives a trial of the front may look beaten in a panel, since it is ahead in another.
    """
    from matplotlib.figure import Figure

    n_panels = len(front.objectives) - 1
    figure = Figure((_PANEL_INCHES[0] * n_panels, _PANEL_INCHES[1]), layout="constrained")
    for index in range(1, n_panels + 1):
        _draw(figure.add_subplot(1, n_panels, index), front, index)
    return figure


def _draw(panel: "Axes", front: Front, index: int) -> None:
    panel.scatter(
        [one.values[index] for one in front.others], [one.values[0] for one in front.others], color="0.7", s=16
    )
    across, up = [one.values[index] for one in front.standings], [one.values[0] for one in front.standings]
    line = "-" if len(front.objectives) == 2 else ""
    panel.plot(across, up, marker="o", linestyle=line, color="tab:blue", label="front")
    for one, x, y in zip(front.standings, across, up, strict=True):
        panel.annotate(str(one.trial), (x, y), textcoords="offset points", xytext=(4, 4), fontsize=8)
    panel.set_xlabel(_label(front, index))
    panel.set_ylabel(_label(front, 0))


def _label(front: Front, index: int) -> str:
    name, direction = front.objectives[index]
    return f"{name} ({'higher' if direction == 'maximize' else 'lower'} is better)"
