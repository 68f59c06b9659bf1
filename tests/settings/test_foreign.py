"""Variables and files of other programs."""

import json

import pytest

from pipeline.settings.foreign import drop_foreign, foreign_keras_settings, line_about


@pytest.mark.parametrize(
    "name",
    [
        "MLFLOW_TRACKING_URI",
        "MLFLOW_REGISTRY_URI",
        "MLFLOW_RUN_ID",
        "MLFLOW_EXPERIMENT_NAME",
        "MLFLOW_SERVER_ALLOWED_HOSTS",
        "MLFLOW_ENABLE_ASYNC_LOGGING",
        "KERAS_MAX_EPOCHS",
        "AIRFLOW__CORE__XCOM_BACKEND",
        "AIRFLOW__LOGGING__REMOTE_LOGGING",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD",
    ],
)
def test_a_variable_that_changes_a_run_is_dropped_and_named(name):
    """Closecast's settings decide."""
    environment = {name: "other", "HOME": "/home/me"}
    assert drop_foreign(environment) == [name]
    assert environment == {"HOME": "/home/me"}


@pytest.mark.parametrize(
    "name",
    [
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
        "MLFLOW_TRACKING_SERVER_CERT_PATH",
        "MLFLOW_S3_ENDPOINT_URL",
        "MLFLOW_HTTP_REQUEST_TIMEOUT",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT",
        "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS",
        "KERAS_BACKEND",
        "AWS_ENDPOINT_URL",
        "https_proxy",
        "CLOSECAST_MLFLOW_PORT",
        "AIRFLOW_ADMIN_PASSWORD",
    ],
)
def test_a_variable_of_the_machine_or_the_user_passes(name):
    """Time-outs, logins, stores, proxies and settings."""
    environment = {name: "mine"}
    assert drop_foreign(environment) == []
    assert environment == {name: "mine"}


def test_only_the_variables_of_one_program_are_dropped():
    """A process of Airflow connects to MLflow and keeps the variables of Airflow."""
    environment = {"AIRFLOW__CORE__EXECUTOR": "LocalExecutor", "MLFLOW_RUN_ID": "1"}
    assert drop_foreign(environment, "MLFLOW_") == ["MLFLOW_RUN_ID"]
    assert environment == {"AIRFLOW__CORE__EXECUTOR": "LocalExecutor"}


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (json.dumps({"floatx": "float16", "epsilon": 1e-3}), "floatx, epsilon in "),
        (json.dumps({"floatx": "float32", "epsilon": 1e-07, "backend": "jax"}), ""),  # as Keras writes it
        ("[1]", ""),
        ("{", ""),
        (None, ""),
    ],
)
def test_the_values_of_a_keras_json_that_a_run_ignores_are_named(tmp_path, content, names):
    """The file that Keras writes itself is none."""
    file = tmp_path / "keras.json"
    if content is not None:
        file.write_text(content)
    assert foreign_keras_settings({"KERAS_HOME": str(tmp_path)}) == (names and f"{names}{file}")


def test_the_line_names_five_and_counts_the_others():
    """An environment of another Airflow holds dozens of variables."""
    assert line_about([]) == ""
    assert line_about(["A", "B"]).startswith("Ignored: A, B. ")
    assert line_about(list("ABCDEFG")).startswith("Ignored: A, B, C, D, E and 2 more. ")
