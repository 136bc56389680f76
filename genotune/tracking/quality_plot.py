"""The picture of the quality of a sweep's data."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_IN_A_ROW: Final = 3
_PANEL_INCHES: Final = (4.0, 3.0)


def draw_histograms(histograms: Mapping[str, Mapping[str, Any]]) -> "Figure":
    """A panel for each histogram: edges and counts by what they are of. At least one."""
    from matplotlib.figure import Figure

    n_columns = min(_IN_A_ROW, len(histograms))
    n_rows = math.ceil(len(histograms) / n_columns)
    figure = Figure((_PANEL_INCHES[0] * n_columns, _PANEL_INCHES[1] * n_rows), layout="constrained")
    for index, (name, one) in enumerate(histograms.items(), start=1):
        panel = figure.add_subplot(n_rows, n_columns, index)
        panel.stairs(one["counts"], one["edges"], fill=True)
        # Most values lie in one bin, and the few that don't are what a person looks for.
        panel.set_yscale("symlog", linthresh=1)
        panel.set_ylim(bottom=0)
        panel.set_title(name, fontsize=10)
    return figure
