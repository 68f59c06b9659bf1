"""Which routes of MLflow's server are served. A route that no rule names is not served.

MLflow's server can run commands and call other machines on behalf of a visitor: its assistant has a Bash tool, its AI
gateway and its webhooks send requests, its jobs start processes. Runs, models and their pages need none of that.
"""

from __future__ import annotations

import re

# Runs, metrics, models, their artifacts, and the pages that show them. REST paths exist below /api and /ajax-api.
SERVED = (
    r"/(health|version|server-info)?",
    r"/(static-files|build)/.+",
    r"/get-artifact|/model-versions/get-artifact",
    r"/graphql",  # the page of a run
    r"/(ajax-)?api/2\.0/?mlflow/experiments/[a-z-]+",
    r"/(ajax-)?api/2\.0/mlflow/runs/(?!create-promptlab-run)[a-z-]+",
    r"/(ajax-)?api/2\.0/mlflow/metrics/[a-z-]+",
    r"/(ajax-)?api/2\.0/mlflow/artifacts/list",
    r"/(ajax-)?api/2\.0/mlflow/logged-models(/.+)?",
    r"/(ajax-)?api/2\.0/mlflow/(registered-models|model-versions)/[a-z-]+",
    r"/(ajax-)?api/2\.0/mlflow-artifacts/(artifacts|mpu)(/.*)?",
    r"/(ajax-)?api/3\.0/mlflow/server-info",
    # Lists that the pages ask for: reading and tagging of rows in MLflow's own database.
    r"/(ajax-)?api/[23]\.0/mlflow/traces(/.*)?",
    r"/(ajax-)?api/2\.0/mlflow/(unified-traces|get-trace-artifact|get-online-trace-details)",
    r"/(ajax-)?api/3\.0/mlflow/get-trace-artifact",
    r"/(ajax-)?api/3\.0/mlflow/(datasets|label-schemas|review-queues)(/.*)?",
    r"/(ajax-)?api/3\.0/mlflow/issues(/(?!invoke)[^/]+)?",
    r"/(ajax-)?api/3\.0/mlflow/scorers/(list|versions|get)",
    r"/(ajax-)?api/3\.0/mlflow/(experiments|runs|custom-views)(/.*)?",
    r"/(ajax-)?api/3\.0/mlflow/workspaces(/[^/]+)?",
)
# Judged, and never served: each runs something on the host, sends requests elsewhere, or keeps secrets of services.
REFUSED = (
    r"/(ajax-)?api/3\.0/mlflow/assistant(/.*)?",  # a Bash tool on this machine
    r"/gateway(/.*)?|/(ajax-)?api/[23]\.0/mlflow/gateway.*",  # requests to AI services, and their keys
    r"/(ajax-)?api/3\.0/(mlflow/)?(jobs|prompt-optimization)(/.*)?",  # processes on this machine
    r"/(ajax-)?api/3\.0/mlflow/(scorer|issues|genai/evaluate)/invoke",  # the same
    r"/(ajax-)?api/3\.0/mlflow/scorers/(register|delete|online-configs?)",  # code that jobs run
    r"/(ajax-)?api/[23]\.0/mlflow/webhooks(/.*)?",  # requests to any address
    r"/(ajax-)?api/3\.0/mlflow/(mcp-servers|demo)(/.*)?",
    r"/(ajax-)?api/2\.0/mlflow/runs/create-promptlab-run",
    r"/(ajax-)?api/[23]\.0/mlflow/ui-telemetry",  # reports to MLflow's authors
    r"/(ajax-)?api/2\.0/mlflow/artifacts/presigned-.+|/(ajax-)?api/2\.0/mlflow-artifacts/presigned(/.*)?",
    r"/(ajax-)?api/2\.0/mlflow/upload-artifact|/v1/traces",
)
# The pages ask these when they open. An empty list keeps them from showing an error for what is not served.
EMPTY_ANSWERS = {
    "assistant/config": b'{"providers": {}, "projects": {}}',
    "assistant/providers": b'{"providers": []}',
    "gateway-proxy": b'{"endpoints": []}',
    "ui-telemetry": b'{"disable_telemetry": true}',
}
_SERVED = re.compile("|".join(f"(?:{pattern})" for pattern in SERVED))
_REFUSED = re.compile("|".join(f"(?:{pattern})" for pattern in REFUSED))


def is_served(path: str) -> bool:
    """Return whether a request for this decoded path is passed on to MLflow."""
    if "/../" in f"{path}/" or "//" in path:
        return False
    return bool(_SERVED.fullmatch(path)) and not _REFUSED.fullmatch(path)


def is_judged(path: str) -> bool:
    """Return whether a rule of this module names the path, as served or as refused."""
    return bool(_SERVED.fullmatch(path)) or bool(_REFUSED.fullmatch(path))
