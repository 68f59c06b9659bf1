"""The addresses of a finished run: its report, MLflow's view and Airflow's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.alerting.notify import airflow_run_page
from pipeline.plan import folder_name

if TYPE_CHECKING:
    from pipeline.settings import Settings


class Links(NamedTuple):
    """Where to look further."""

    report: str  # place of the report in the store
    mlflow: str  # view of the night
    airflow: str = ""  # page of the run; "" for a run without Airflow

    @property
    def by_name(self) -> dict[str, str]:
        """Return the addresses by the names that people read."""
        return {"Report": self.report, "MLflow": self.mlflow, "Airflow": self.airflow}


def links_of(settings: Settings, dag_run_id: str, night_page: str) -> Links:
    """Return the links of a run.

    Args:
        settings: with the addresses of Airflow and of the store.
        dag_run_id: name of the run.
        night_page: address of MLflow's view.
    """
    report = f"{settings.store_url}/_runs/{folder_name(dag_run_id)}/report.html"
    return Links(report, night_page, airflow_run_page(settings, dag_run_id))
