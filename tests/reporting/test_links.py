"""The addresses of a finished run."""

from pipeline.reporting.links import links_of


def test_a_run_through_airflow_has_three_addresses(tiny):
    """The id of the run is quoted; a local run has no page in Airflow."""
    made = links_of(tiny, "manual__2025-11-21T22:30:00+00:00", "http://m/#/x")
    assert made.by_name == {
        "Report": f"{tiny.store_url}/_runs/manual__2025-11-21T22-30-00-00-00/report.html",
        "MLflow": "http://m/#/x",
        "Airflow": "http://127.0.0.1:8080/dags/retrain/runs/manual__2025-11-21T22%3A30%3A00%2B00%3A00",
    }
    assert links_of(tiny, "local__1", "http://m/#/x").airflow == ""
