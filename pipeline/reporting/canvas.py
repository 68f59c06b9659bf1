"""What all pictures share: sizes, margins, colours, dates, and the way to PNG bytes."""

from __future__ import annotations

import io

import numpy as np
from matplotlib import rcdefaults
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from PIL import Image

rcdefaults()  # a user's matplotlibrc could ask for LaTeX, which is not installed
BLUE = "#1f6feb"
ORANGE = "#d9730d"
GREY = "#6e7681"

WIDTH = 5.2  # inches: text is readable on a phone, and two pictures fit side by side on a desktop
_DPI = 150
_LEFT = 0.85  # inches: a label, and a close of 6 digits
_RIGHT = 0.15
_BOTTOM = 0.5
FAN = (95, 80, 50)  # intervals, the widest first
ALPHA = {95: 0.2, 80: 0.3, 50: 0.45}


def _blend(colour: str, share: float, below: str = "white") -> str:
    """Return the colour that a transparent one shows over another."""
    over, under = np.array(to_rgb(colour)), np.array(to_rgb(below))
    return to_hex(share * over + (1 - share) * under)


def _palette() -> Image.Image:
    """Return the 16 colours of all pictures: 4 bits for each point instead of 32, and no search for colours."""
    bands = ["white"]
    for level in FAN:
        bands.append(_blend(ORANGE, ALPHA[level], bands[-1]))
    edges = [_blend(BLUE, 0.5), _blend(BLUE, 0.8), _blend(ORANGE, 0.7)]  # of lines, between two points
    greys = [_blend("black", share) for share in (0.08, 0.35, 0.65, 1)]
    colours = [*bands, BLUE, ORANGE, GREY, *edges, *greys, _blend(GREY, 0.15), _blend(GREY, 0.5)]
    palette = Image.new("P", (1, 1))
    palette.putpalette([round(255 * part) for colour in colours for part in to_rgb(colour)])
    return palette


_COLOURS = _palette()


def figure_of(height: float, width: float = WIDTH, *, top: float = 0.35, between: float = 0.0) -> Figure:
    """Return an empty figure with fixed margins: a layout that measures every text takes a third of a picture's time.

    Args:
        height: of the figure, in inches.
        width: likewise.
        top: margin for the titles, in inches.
        between: space between two rows of axes, in inches.
    """
    figure = Figure(figsize=(width, height))  # no pyplot: it keeps state and wants a display
    rows = (height - top - _BOTTOM - between) / 2
    figure.subplots_adjust(
        left=_LEFT / width,
        right=1 - _RIGHT / width,
        bottom=_BOTTOM / height,
        top=1 - top / height,
        hspace=between / rows,
    )
    return figure


def one_axes(title: str, unit: str) -> tuple[Figure, Axes]:
    """Return a figure with one part.

    Args:
        title: above it.
        unit: of the vertical axis.
    """
    figure = figure_of(3.2)
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize="medium")
    axes.set_ylabel(unit)
    return figure, axes


def format_dates(axes: Axes) -> None:
    """Give the horizontal axis short dates."""
    locator = AutoDateLocator(minticks=3, maxticks=7)  # a narrow picture has room for no more
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def png(figure: Figure, axes: Axes) -> bytes:
    """Draw a figure, and return it as PNG: equal figures give equal bytes.

    Args:
        figure: whole, but for grid and legend.
        axes: the part that gets these two.
    """
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize="small")
    for one in figure.axes:
        one.tick_params(labelsize="small")
    figure.set_dpi(_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    full = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba())
    small = io.BytesIO()
    picture = full.convert("RGB").quantize(palette=_COLOURS, dither=Image.Dither.NONE)
    picture.save(small, format="png")  # without version and time: equal data gives equal bytes
    return small.getvalue()
