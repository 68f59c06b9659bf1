"""The DAG `decide`: asks a person about a restated history. The task `report` of `retrain` starts a run per ticker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Param, task

from pipeline.operations import airflow_tasks, assets, dag_docs
from pipeline.operations.kubernetes_pod import executor_config
from pipeline.operations.task_arguments import task_arguments
from pipeline.settings import load_settings

SETTINGS = load_settings()
ARGUMENTS = task_arguments(SETTINGS)
# A ticker without a shared network is trained by `finish`.
CARD = {"executor_config": executor_config("train", SETTINGS.pod_gpus)}
CARD |= {"queue": "gpu"} if SETTINGS.gpu == "queue" else {}

with DAG(
    "decide",
    description="Asks whether a restated history is right, and carries out the answer.",
    schedule=None,
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    max_active_runs=1024,  # a run that waits holds no slot, and all questions must be on the page at once
    params={
        "run": Param(type="string", title="Run", description="The run of `retrain` that the ticker left."),
        "ticker": Param(type="string", title="Ticker", description="The ticker that waits."),
    },
    tags=dag_docs.TAGS,
    doc_md=dag_docs.decide_text(SETTINGS),
) as dag:
    question = task(doc_md=dag_docs.TASKS["question"], **ARGUMENTS)(airflow_tasks.question)()
    ask = HITLOperator(
        task_id="ask",
        subject="{{ ti.xcom_pull('question')['subject'] }}",
        body="{{ ti.xcom_pull('question')['body'] }}",
        options=[dag_docs.ACCEPT, dag_docs.REJECT],
        defaults=dag_docs.REJECT,  # when the time runs out
        params={"reason": Param("", type=["null", "string"], title="Reason", description="Why. It is kept.")},
        # 0 when the setting was taken back while questions were open: they end at once.
        response_timeout=timedelta(hours=SETTINGS.ask_hours, seconds=1),
        doc_md=dag_docs.TASKS["ask"],
        **ARGUMENTS,  # Airflow 3.3 fails a task that is answered in the second before the scheduler has seen it wait
    )
    # Two reports of one run at a time would write one results.json.
    finish = task(max_active_tis_per_dag=1, doc_md=dag_docs.TASKS["finish"], **ARGUMENTS, **CARD)(airflow_tasks.finish)
    announce = task(outlets=assets.assets_of_universe(SETTINGS), doc_md=dag_docs.TASKS["announce"], **ARGUMENTS)(
        airflow_tasks.announce
    )("{{ params.run }}")
    question >> ask
    finish(question, ask.output) >> announce
