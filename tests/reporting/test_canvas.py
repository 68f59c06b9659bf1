"""What all pictures share."""

import io
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from pipeline.reporting import canvas


def test_a_users_matplotlibrc_changes_no_picture(tmp_path):
    """Such as one that asks for LaTeX."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nlines.linewidth: 9\n")
    code = "from pipeline.reporting import canvas; from matplotlib import rcParams; print(rcParams['text.usetex'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"MATPLOTLIBRC": str(tmp_path)},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


def test_equal_figures_are_equal_bytes_in_16_colours():
    """On white, with 150 points to the inch."""

    def drawn():
        figure, axes = canvas.one_axes("title", "USD")
        axes.plot([1, 2], [3, 4], color=canvas.BLUE, label="line")
        return canvas.png(figure, axes)

    data = drawn()
    assert data == drawn()
    picture = Image.open(io.BytesIO(data))
    assert picture.size == (round(150 * canvas.WIDTH), 480)
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert len(picture.getcolors()) <= 16
