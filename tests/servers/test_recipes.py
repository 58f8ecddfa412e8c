"""The recipes of docs/distributed.md hand over what they should."""

from __future__ import annotations

import re

import pytest

import adagrid as ada
from tests.support.hand_made import HandMadeCluster
from tests.support.jobcases import run_case, tables
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "distributed.md").read_text()


def test_slurm():
    jobqueue = pytest.importorskip("dask_jobqueue")
    recipe = re.search(r"from dask_jobqueue import SLURMCluster\n\n(cluster = .*?\n\))", PAGE, re.DOTALL)
    local = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    names = {"SLURMCluster": lambda **how: jobqueue.SLURMCluster(**how, scheduler_options=local)}
    exec(recipe[1], names)
    with names["cluster"] as cluster:
        lines = cluster.job_script().splitlines()
        assert ada.DaskBackend(64, cluster=cluster).n_zones == 64
        command = lines[-1]
        for wanted in ("#SBATCH -p normal", "#SBATCH -A trials", "#SBATCH -t 08:00:00", ". ~/.adagrid-password"):
            assert wanted in lines
        assert cluster.scheduler_address in command
        assert "--nthreads 1" in command
        assert "--lifetime 7h45m" in command
        assert "--death-timeout" in command  # a worker without a scheduler ends


@pytest.mark.sample
def test_commands_of_kubernetes(tmp_path):
    """Scheduler and worker understand the arguments of the manifest, and a job runs on them."""
    yaml = pytest.importorskip("yaml")
    manifest = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1]
    service, *deployments = yaml.safe_load_all(manifest)
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in deployments]
    assert labels[0] == service["spec"]["selector"]
    for each, label in zip(deployments, labels, strict=True):
        assert each["spec"]["selector"]["matchLabels"] == label
    (scheduler,), (worker,) = (each["spec"]["template"]["spec"]["containers"] for each in deployments)
    assert scheduler["args"][2:4] == ["--port", str(service["spec"]["ports"][0]["port"])]
    assert worker["args"][2] == f"tcp://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    with HandMadeCluster(tmp_path) as cluster:
        cluster.start_worker(options=worker["args"][3:])
        backend = ada.DaskBackend(4, address=cluster.address)
        expected = tables(run_case("validate_z", backend=ada.LocalBackend(4)))
        for name, frame in tables(run_case("validate_z", backend=backend)).items():
            assert frame.equals(expected[name]), name
