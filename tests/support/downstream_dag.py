"""An example: a DAG that runs once per session, when the forecasts of its tickers are in. See docs/operating.md."""

from __future__ import annotations

from airflow.sdk import DAG, Asset, PartitionedAssetTimetable, get_current_context, task

FORECASTS = Asset("closecast-AAA") & Asset("closecast-BBB")

with DAG("orders", schedule=PartitionedAssetTimetable(assets=FORECASTS)) as dag:

    @task
    def size_orders() -> str:
        """Return the session whose forecasts are in."""
        return str(get_current_context()["dag_run"].partition_key)

    size_orders()
