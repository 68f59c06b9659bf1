"""Student's t of standardised returns."""

import numpy as np
import pytest
from scipy.stats import t

from pipeline.forecasting.student_t import DEGREES, student_t_loss, student_t_unit


def test_the_loss_is_the_negative_log_density_up_to_a_constant():
    """Against SciPy's."""
    values = np.linspace(-8, 8, 33)
    offset = -t.logpdf(0.0, DEGREES)
    assert student_t_loss(values) + offset == pytest.approx(-t.logpdf(values, DEGREES))


def test_the_unit_is_the_scale_of_draws():
    """200,000 draws of scale 3; 0 for values that are all 0."""
    draws = 3 * np.random.default_rng(0).standard_t(DEGREES, 200_000)
    assert student_t_unit(draws) == pytest.approx(3, rel=0.02)
    assert student_t_unit(np.zeros(5)) == 0
