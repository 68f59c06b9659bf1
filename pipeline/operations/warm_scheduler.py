"""`python -m pipeline.operations.warm_scheduler`: Airflow's scheduler, with what the steps import.

LocalExecutor forks its workers from the scheduler, and a worker forks each task: what the scheduler has imported costs
a task neither seconds nor memory. TensorFlow and JAX are left to `train`, the only step of the preset `daily` that
needs them: their threads would not outlive the fork.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys

MODULES = (
    "pipeline.runs",
    "pipeline.prices.suite",
    "pipeline.prices.sources.yahoo",
    "pipeline.reporting.plots",
    "pipeline.forecasting.inference",
    "mlflow.pyfunc",
    "arch",
    "sklearn.preprocessing",
    "sqlalchemy.orm",
    "statsmodels.regression.linear_model",
    "scipy.stats",
    "yfinance",
)


def warm_up() -> None:
    """Import the modules, and build the calendar of this year."""
    from pipeline.calendar import exchange
    from pipeline.errors import PipelineError
    from pipeline.settings import load_settings

    logging.getLogger("great_expectations").setLevel(logging.ERROR)  # on import it logs each of its functions
    for module in MODULES:
        importlib.import_module(module)
    with contextlib.suppress(PipelineError):  # `plan` reports a wrong calendar
        exchange(load_settings().calendar)


def main() -> None:
    """Start the scheduler with the arguments of this command."""
    from airflow.__main__ import main as airflow

    warm_up()
    sys.argv = ["airflow", "scheduler", *sys.argv[1:]]
    airflow()


if __name__ == "__main__":
    main()
