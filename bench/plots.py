"""Plots of results: SVG files that stand beside the JSON and the page, and are linked from there.

Two kinds suffice: `bars` compares, with a panel for each thing measured, and `lines` follows one
quantity along another. Both draw on a light ground of their own, so that they can be read on a
dark page as on a light one, and write the same bytes for the same figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_STYLE: Any = {
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "figure.titlesize": "large",
    "font.size": 9,
    "grid.color": "#dddddd",
    "savefig.facecolor": "#fbfbfb",
    "axes.facecolor": "#fbfbfb",
    "svg.fonttype": "none",  # words stay words: they can be searched, and the file is small
    "svg.hashsalt": "linnix-ls",
}
_OURS, _OTHERS, _LIMIT = "#0b6e99", "#b0b7bd", "#c2410c"
_LINES = ("#0b6e99", "#d97706", "#6d28d9", "#15803d", "#be185d", "#525252")
_PANEL_WIDTH_INCHES = 5.0
_BAR_HEIGHT_INCHES = 0.24


@dataclass(frozen=True, slots=True)
class Bar:
    """A median with the least and the most beside it (None: not measured, by the words in `note`).

    Attributes:
        is_ours: drawn so that it is found among the others.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars to be compared, and the most that is allowed of ours."""

    title: str
    bars: Sequence[Bar]
    limit: float | None = None


def bars(
    path: Path,
    title: str,
    unit: str,
    panels: Sequence[Panel],
    *,
    n_columns: int = 1,
    linear_up_to: float | None = None,
) -> Path:
    """Write horizontal bars, `n_columns` panels beside one another; `path` gets the suffix .svg.

    Args:
        linear_up_to: the scale is logarithmic beyond this, on both sides of zero.
    """
    n_rows = -(-len(panels) // n_columns)
    n_bars = max(len(panel.bars) for panel in panels)
    with mpl.rc_context(_STYLE):
        size = (_PANEL_WIDTH_INCHES * n_columns, n_rows * (n_bars * _BAR_HEIGHT_INCHES + 0.7) + 0.4)
        figure = Figure(figsize=size)
        axes = figure.subplots(n_rows, n_columns, squeeze=False).flatten()
        for one, panel in zip(axes, panels, strict=False):
            if linear_up_to is not None:
                one.set_xscale("symlog", linthresh=linear_up_to)
                one.xaxis.set_major_formatter("{x:g}")
            _draw_panel(one, panel, unit)
        for one in axes[len(panels) :]:
            one.set_visible(False)
        figure.suptitle(title)
        return _write(figure, path)


def _draw_panel(axes: Axes, panel: Panel, unit: str) -> None:
    axes.set_title(panel.title, loc="left")
    axes.set_xlabel(unit)
    axes.set_yticks(range(len(panel.bars)), [bar.label for bar in panel.bars])
    axes.set_ylim(len(panel.bars) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    for row, bar in enumerate(panel.bars):
        if bar.value is None:
            axes.annotate(bar.note or "not measured", (0, row), va="center", color="#777777")
            continue
        axes.barh(row, bar.value, height=0.7, color=_OURS if bar.is_ours else _OTHERS)
        low = bar.value if bar.low is None else bar.low
        high = bar.value if bar.high is None else bar.high
        axes.plot([low, high], [row, row], color="#333333", linewidth=1)
        axes.annotate(
            f"{bar.value:.3g}",
            (max(bar.value, high, 0), row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
        )
    if panel.limit is not None:
        axes.axvline(panel.limit, color=_LIMIT, linewidth=1, linestyle="--")
    axes.margins(x=0.15)


def lines(
    path: Path,
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    limit: float | None = None,
    is_logarithmic: bool = False,
) -> Path:
    """Write a line for each of `series`, given as points (x, y); `path` gets the suffix .svg.

    Args:
        limit: the most that is allowed of y.
        is_logarithmic: the scale of x.
    """
    with mpl.rc_context({**_STYLE, "axes.grid.axis": "both"}):
        figure = Figure(figsize=(1.4 * _PANEL_WIDTH_INCHES, 3.4))
        axes: Any = figure.subplots()
        for (name, points), colour in zip(series.items(), _cycled(len(series)), strict=True):
            marker = "o" if len(points) <= 30 else ""
            axes.plot(*zip(*points, strict=True), label=name, color=colour, marker=marker, ms=4)
        if limit is not None:
            axes.axhline(limit, color=_LIMIT, linewidth=1, linestyle="--", label="at most")
        if is_logarithmic:
            axes.set_xscale("log")
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
        if len(series) > 1 or limit is not None:
            figure.legend(loc="outside right upper", frameon=False)
        figure.suptitle(title)
        return _write(figure, path)


def _cycled(n: int) -> list[str]:
    return [_LINES[i % len(_LINES)] for i in range(n)]


def _write(figure: Figure, path: Path) -> Path:
    path = path.with_suffix(".svg")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})
    return path
