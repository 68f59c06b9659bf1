"""Student's t of returns that a scale has standardised: real returns have fatter tails than normal ones."""

from __future__ import annotations

import math

import numpy as np

from pipeline.arrays import Floats

DEGREES = 5.0  # of freedom: about the tails of daily returns of shares


def student_t_loss(standardised: Floats) -> Floats:
    """Return the negative log density of each value up to a constant, for location 0 and scale 1, shape (n,)."""
    return (DEGREES + 1) / 2 * np.log1p(standardised**2 / DEGREES)


def student_t_unit(standardised: Floats) -> float:
    """Return the scale of the t distribution that has the variance of the values, shape (n,); 0 if all are 0."""
    return math.sqrt(float(np.mean(standardised**2)) * (DEGREES - 2) / DEGREES)
