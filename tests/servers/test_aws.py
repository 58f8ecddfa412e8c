"""What is asked of AWS, and that no machine is left: against a server that answers as EC2 does.

The machines that it says it started are played here: what their user data runs in a container runs as a process.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from importlib.metadata import version

import dask.config
import psutil
import pytest
import yaml
from aiobotocore.client import AioBaseClient
from botocore.client import BaseClient
from dask_cloudprovider.aws import ec2
from dask_cloudprovider.generic import vmcluster
from moto.server import ThreadedMotoServer

import adagrid as ada
from adagrid.backends import _ec2, aws
from adagrid.errors import BackendError, InvalidInputError, MissingExtraError
from adagrid.testing import BackendContract
from tests.support.jobcases import assert_same, run_case, tables
from tests.support.paths import IMPORTS, ROOT

SECRET = "canary-4711-song"
GOOD = {"n_workers": 2, "image": "me/adagrid:0.1.0", "security_group": "sg-0a1b", "instance_type": "c5.xlarge"}


@pytest.fixture(scope="module")
def cloud():
    """A server that answers as EC2 does, and a client of it."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "unknown")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        patch.setenv("ADAGRID_CLICKHOUSE_PASSWORD", SECRET)
        patch.setattr(_ec2, "_PAUSE", 0.05)
        patch.setattr(aws, "_LOST", 20)
        patch.setattr(aws, "_PATIENCE", 60.0)
        patch.setattr(aws, "_BOOT", 60.0)
        # The server knows the images of 2017.
        patch.setattr(_ec2, "_IMAGES", dict.fromkeys(_ec2._IMAGES, ("099720109477", "ubuntu/images/*")))
        client = ec2_client()
        for kind in (BaseClient, AioBaseClient):
            patch.setattr(kind, "_make_api_call", _noting(kind._make_api_call, client))
        yield client
    server.stop()


ASKED = set()


def _noting(call, ours):
    """Note what is asked of EC2, but by these tests."""

    def noted(client, operation, arguments):
        if client is not ours:
            ASKED.add(f"{client.meta.service_model.service_name}:{operation}")
        return call(client, operation, arguments)

    return noted


def ec2_client():
    from botocore.session import get_session

    return get_session().create_client("ec2")


@pytest.fixture(scope="module")
def group(cloud):
    return cloud.describe_security_groups()["SecurityGroups"][0]["GroupId"]


def machines(client):
    """All that were ever started, oldest first, with what they were told."""
    found = [
        machine for reservation in client.describe_instances()["Reservations"] for machine in reservation["Instances"]
    ]
    for machine in found:
        answer = client.describe_instance_attribute(InstanceId=machine["InstanceId"], Attribute="userData")
        machine["told"] = base64.b64decode(answer["UserData"].get("Value", "")).decode()
    return sorted(found, key=lambda machine: machine["LaunchTime"])


def alive(client):
    return [machine for machine in machines(client) if machine["State"]["Name"] not in ("shutting-down", "terminated")]


class Played:
    """Runs here what machines would."""

    def __init__(self, client):
        self._client, self.processes = client, []

    def start(self, identifier):
        answer = self._client.describe_instance_attribute(InstanceId=identifier, Attribute="userData")
        told = base64.b64decode(answer["UserData"]["Value"]).decode()
        line = next(line for line in yaml.safe_load(told)["runcmd"] if "docker run" in line)
        command = shlex.split(line.partition(GOOD["image"])[2])
        command[command.index("python")] = sys.executable
        # A machine has nothing of the environment of the process that leads.
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | IMPORTS
        self.processes.append(psutil.Popen(command, env=environment, stderr=subprocess.DEVNULL))

    def stop(self):
        for process in self.processes:
            for each in [*process.children(recursive=True), process] if process.is_running() else []:
                each.kill()
            process.wait(10)
        self.processes.clear()


def _free_port():
    """Not one of those that connections are given, which might be taken before a scheduler listens."""
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


@pytest.fixture(scope="module")
def played(cloud):
    """Machines whose processes run here."""
    played, named = Played(cloud), ec2.EC2Instance.configure_vm

    async def configure_vm(self, client):
        await named(self, client)
        played.start(self.instance["InstanceId"])
        self.instance = self.instance | {"PrivateIpAddress": "localhost"}
        return "127.0.0.1", None

    request = aws.AWSBackend._request

    def with_port(self, *arguments):
        everything, of_workers = request(self, *arguments)
        options = {"port": _free_port(), "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
        everything["scheduler_options"] |= options
        everything["worker_options"] |= {"host": "127.0.0.1"}
        return everything, of_workers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ec2.EC2Instance, "configure_vm", configure_vm)
        patch.setattr(aws.AWSBackend, "_request", with_port)
        yield played
    played.stop()


@pytest.fixture(scope="module")
def backend(played, cloud, group):
    with ada.AWSBackend(**(GOOD | {"security_group": group, "spot": True})) as backend:
        assert list(backend.map(abs, [-1])) == [1]
        own = list(played.processes)
        assert len(own) == 3
        yield backend
    assert not alive(cloud)
    _, left = psutil.wait_procs(own, timeout=30)
    assert not left  # what ran in containers ended by itself: machines would have, too


class TestAWSBackend(BackendContract):
    @pytest.fixture
    def backend(self, backend):
        return backend


@pytest.mark.parametrize("case", [pytest.param("validate_z", marks=pytest.mark.smoke), "staged_validate_z"])
def test_same_tables_as_in_one_process(case, backend):
    assert_same(run_case(case, backend=backend, packet_size=2), tables(run_case(case)))


def test_workers_have_the_password_and_nobody_else(backend, cloud, played, caplog):
    caplog.set_level(logging.DEBUG)
    assert list(backend.map(os.environ.get, ["ADAGRID_CLICKHOUSE_PASSWORD"])) == [SECRET]
    for machine in machines(cloud):
        assert SECRET not in machine["told"]
        assert SECRET not in str(machine["Tags"])
        inherited = re.search(r'INHERIT_CONFIG="([^"]*)"', machine["told"])[1]
        assert SECRET not in str(dask.config.deserialize(inherited))
    for process in played.processes:
        assert process.is_running()
        assert SECRET not in str(process.cmdline())
    assert SECRET not in repr(vars(backend)) + caplog.text


def test_what_is_asked_for(backend, cloud, group):
    list(backend.map(abs, [-1]))
    [scheduler], workers = [
        [machine for machine in alive(cloud) if ("dask_scheduler" in machine["told"]) == role] for role in (True, False)
    ]
    assert [worker["InstanceType"] for worker in workers] == ["c5.xlarge", "c5.xlarge"]
    assert [worker["InstanceLifecycle"] for worker in workers] == ["spot", "spot"]
    assert scheduler["InstanceType"] == "t3.small"
    assert "InstanceLifecycle" not in scheduler
    runs = set()
    for machine in (scheduler, *workers):
        assert [each["GroupId"] for each in machine["NetworkInterfaces"][0]["Groups"]] == [group]
        tags = {tag["Key"]: tag["Value"] for tag in machine["Tags"]}
        runs.add(tags[_ec2.TAG])
        # A machine that shuts down is gone, and it does when its container ends or its time is over.
        answer = cloud.describe_instance_attribute(
            InstanceId=machine["InstanceId"], Attribute="instanceInitiatedShutdownBehavior"
        )
        assert answer["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
        lifetime, docker, container, end = yaml.safe_load(machine["told"])["runcmd"]
        assert lifetime == "shutdown -h +1440"
        assert "apt-get install -y docker.io" in docker
        assert container.startswith("docker run --net=host ")
        assert end == "shutdown -h now"
        assert len(machine["told"].encode()) < 16384  # more is refused
    assert len(runs) == 1
    assert "--idle-timeout 1800s" in scheduler["told"]
    # By the address inside the network of the machines, where their security group lets them.
    assert all("dask_spec tls://localhost:" in worker["told"] for worker in workers)
    assert all('"death_timeout": "20s"' in worker["told"] for worker in workers)
    encrypted = dask.config.deserialize(re.search(r'INHERIT_CONFIG="([^"]*)"', scheduler["told"])[1])
    assert encrypted["distributed"]["comm"]["require-encryption"] is True


@pytest.mark.sample
def test_strangers_cannot_join(backend):
    """Whoever has not the keys of the run."""
    import distributed

    def of_the_scheduler(_):
        import distributed

        return distributed.get_worker().scheduler.address

    [address] = backend.map(of_the_scheduler, [0])
    assert address.startswith("tls://")
    with dask.config.set({"distributed.comm.require-encryption": False}):
        with pytest.raises(OSError, match="closed|refused|imed out|handshake"):
            distributed.Client(address.replace("tls://", "tcp://"), security=distributed.Security(), timeout=2)
        with pytest.raises((OSError, TypeError)):
            distributed.Client(address, security=distributed.Security.temporary(), timeout=2)


def test_documented_permissions_are_those_that_are_needed(backend):
    """All that a run with its end asks for, and nothing else."""
    text = (ROOT / "docs" / "distributed.md").read_text()
    policy = json.loads(text.split("```json\n")[1].split("```")[0])
    actions = [statement["Action"] for statement in policy["Statement"]]
    permitted = {action for each in actions for action in ([each] if isinstance(each, str) else each)}
    _ec2.Machines("a-run", None).terminate()
    assert permitted - {"ec2:TerminateInstances"} <= ASKED <= permitted


@pytest.mark.parametrize("gpu", [True, False])
def test_gpu_only_for_those_who_work(gpu, cloud, group, new, monkeypatch):
    """And every option reaches the machines."""
    self_made = {"instance_type": "g4dn.xlarge" if gpu else "c5.xlarge", "max_hours": 3, "spot": False, "gpu": gpu}
    options = {
        "scheduler_instance_type": "c5.large",
        "instance_tags": {"team": "stats"},
        "extra_bootstrap": ["echo hi"],
    }
    requested = []

    async def configure_vm(self, client):
        requested.append(machines(cloud)[-1])
        if len(requested) < 2:
            return "127.0.0.1", None
        raise RuntimeError("enough seen")

    monkeypatch.setattr(ec2.EC2Instance, "configure_vm", configure_vm)
    monkeypatch.setattr(vmcluster, "is_socket_open", lambda *_: True)
    monkeypatch.setattr(ec2.EC2Cluster, "_start", _without_scheduler)
    backend = ada.AWSBackend(**(GOOD | {"security_group": group, "n_workers": 1} | self_made | options))
    with pytest.raises(BackendError, match="enough seen"):
        list(backend.map(abs, [1]))
    scheduler, worker = requested
    assert scheduler["InstanceType"] == "c5.large"
    assert worker["InstanceType"] == self_made["instance_type"]
    assert ["--gpus=all" in machine["told"] for machine in requested] == [False, gpu]
    for machine in requested:
        assert {"Key": "team", "Value": "stats"} in machine["Tags"]
        assert "- echo hi" in machine["told"]
        assert "- shutdown -h +180\n" in machine["told"]
        assert machine["ImageId"] in {"ami-1e749f67", "ami-785db401"}  # those of Ubuntu that the server knows
    assert not new()


async def _without_scheduler(cluster):
    """As if a scheduler had been found: what follows are the workers."""
    scheduler = cluster.scheduler_class(**cluster.scheduler_options)
    await scheduler.create_vm()
    await cluster.worker_class("tls://127.0.0.1:8786", **cluster.worker_options).create_vm()


@pytest.fixture
def new(cloud):
    """Machines started by a test that are still there."""
    before = {machine["InstanceId"] for machine in machines(cloud)}

    def new(state=alive):
        return [machine for machine in state(cloud) if machine["InstanceId"] not in before]

    yield new
    ids = [machine["InstanceId"] for machine in new()]
    if ids:
        cloud.terminate_instances(InstanceIds=ids)
    assert not ids, "machines were left running"


@pytest.fixture
def unplayed(played, monkeypatch):
    """Machines that are there, and nothing runs on them."""

    async def configure_vm(self, client):
        return "127.0.0.1", None

    monkeypatch.setattr(ec2.EC2Instance, "configure_vm", configure_vm)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_launch_fails(after, played, group, new, monkeypatch):
    """As when there are no more machines of a kind; of the others some are on their way."""
    create_vm, launched = ec2.EC2Instance.create_vm, []

    async def failing(self):
        launched.append(self)
        if len(launched) > after:
            raise RuntimeError("InsufficientInstanceCapacity")
        return await create_vm(self)

    monkeypatch.setattr(ec2.EC2Instance, "create_vm", failing)
    with pytest.raises(BackendError, match="AWS did not do as asked.*Everything finished before is saved"):
        list(ada.AWSBackend(**(GOOD | {"security_group": group})).map(abs, [1]))
    assert len(new(machines)) >= after


def test_scheduler_that_nobody_reaches(unplayed, group, new, monkeypatch):
    monkeypatch.setattr(aws, "_PATIENCE", 0.2)
    before = _loops()
    with pytest.raises(BackendError, match=f"{group} must let this process reach its port 8786"):
        list(ada.AWSBackend(**(GOOD | {"security_group": group})).map(abs, [1]))
    assert len(new(machines)) == 1
    assert _loops() <= before


def _loops():
    return {thread for thread in threading.enumerate() if thread.name == "adagrid-aws"}


def test_workers_that_never_come(played, group, new, monkeypatch):
    start = played.start
    monkeypatch.setattr(played, "start", lambda identifier: start(identifier) if len(new()) < 2 else None)
    monkeypatch.setattr(aws, "_BOOT", 1)
    with pytest.raises(BackendError, match="No worker joined.*me/adagrid:0.1.0") as error:
        list(ada.AWSBackend(**(GOOD | {"security_group": group})).map(abs, [1]))
    assert isinstance(error.value.__cause__, TimeoutError)  # why, and not the error itself
    assert len(new(machines)) == 3


def test_image_of_another_version(backend, monkeypatch):
    list(backend.map(abs, [1]))
    monkeypatch.setattr(aws, "version", lambda name: "0.0.9" if name == "adagrid" else version(name))
    with pytest.raises(BackendError, match=rf"has adagrid {ada.__version__} where 0\.0\.9 is here"):
        ada.AWSBackend(**GOOD, secrets=[])._prepare(backend._dask._where)


def test_ctrl_c_while_machines_start(unplayed, group, new, monkeypatch):
    """Twice: the second time while they are being terminated."""
    terminate, main = _ec2.Machines.terminate, threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what starts the tests may ignore it

    def interrupting(self):
        alive = self.alive

        def interrupted():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            return alive()

        monkeypatch.setattr(self, "alive", interrupted)
        terminate(self)

    def interrupt():
        while not new():
            time.sleep(0.05)
        signal.pthread_kill(main.ident, signal.SIGINT)

    monkeypatch.setattr(_ec2.Machines, "terminate", interrupting)
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        list(ada.AWSBackend(**(GOOD | {"security_group": group})).map(abs, [1]))
    assert len(new(machines)) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_machine_that_is_taken_away(played, cloud, group, new, monkeypatch):
    """The only one that works: another takes its place."""
    monkeypatch.setattr(aws, "_LOOK", 1.0)
    before = len(played.processes)

    def slow(task):
        time.sleep(0.2)
        return task

    with ada.AWSBackend(**(GOOD | {"security_group": group, "n_workers": 1, "spot": True})) as backend:
        results = backend.map(slow, range(8))
        assert next(results) == 0
        [lost] = [machine for machine in new() if "InstanceLifecycle" in machine]
        cloud.terminate_instances(InstanceIds=[lost["InstanceId"]])
        worker = played.processes[before + 1]
        for process in [*worker.children(recursive=True), worker]:
            process.kill()
        assert list(results) == list(range(1, 8))
        assert len(new()) == 2
    assert len(new(machines)) == 3


def test_terminates_whatever_has_the_tag_and_nothing_else(cloud, new):
    image = cloud.describe_images()["Images"][0]["ImageId"]
    for run in ("this", "another"):
        cloud.run_instances(
            ImageId=image,
            MinCount=2,
            MaxCount=2,
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": _ec2.TAG, "Value": run}]}],
        )
    this, another = (_ec2.Machines(run, None) for run in ("this", "another"))
    cloud.stop_instances(InstanceIds=this.alive()[:1])  # it may come back
    assert len(this.alive()) == len(another.alive()) == 2
    this.terminate()
    assert (len(this.alive()), len(another.alive())) == (0, 2)
    another.terminate()


def test_machines_that_cannot_be_terminated_are_told(cloud, monkeypatch):
    monkeypatch.setattr(_ec2, "_PATIENCE", 2)
    lost = _ec2.Machines("a-run", None)
    monkeypatch.setattr(lost, "alive", _refused(cloud))
    with pytest.raises(
        BackendError, match="tag adagrid-run=a-run in eu-central-1 may still be running, and cost money"
    ):
        lost.terminate()


def _refused(client):
    from botocore.exceptions import ClientError

    def refused(*_, **__):
        raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "not allowed"}}, "DescribeInstances")

    return refused


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"instance_type": "c5.huge"}, "instance_type must be one that eu-central-1 has.*got 'c5.huge'"),
        ({"gpu": True}, "gpu=True needs an instance_type with a GPU.*got 'c5.xlarge'"),
        ({"ami": "ami-0123456789abcdef0"}, "AWS did not do as asked in eu-central-1: .*ami-0123456789abcdef0"),
    ],
)
def test_what_the_region_does_not_have(arguments, rule, cloud, new):
    with pytest.raises(ada.AdagridError, match=rule):
        list(ada.AWSBackend(**(GOOD | arguments)).map(abs, [1]))
    assert not new(machines)


def test_newest_image_with_room_for_it(cloud, monkeypatch):
    images = [
        {"ImageId": f"ami-{year}", "CreationDate": f"{year}-02-01T00:00:00.000Z", "BlockDeviceMappings": disks}
        for year, disks in [(2024, []), (2026, [{"Ebs": {"VolumeSize": 75}}, {"NoDevice": ""}]), (2025, [])]
    ]
    region = _ec2.Machines("a-run", None)
    monkeypatch.setattr(region._client, "describe_images", lambda **_: {"Images": images})
    assert region.image(None, "x86_64", gpu=True) == _ec2.Image("ami-2026", 75)


def test_no_image_fits(cloud, monkeypatch):
    monkeypatch.setattr(_ec2, "_IMAGES", {("x86_64", False): ("amazon", "none of this name")})
    with pytest.raises(InvalidInputError, match="no image 'none of this name' in eu-central-1: pass ami="):
        list(ada.AWSBackend(**GOOD).map(abs, [1]))


def test_no_region(cloud, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(InvalidInputError, match="region must be one of AWS's"):
        list(ada.AWSBackend(**GOOD).map(abs, [1]))


def test_no_credentials(cloud, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(BackendError, match=r"credentials.*aws sts get-caller-identity"):
        list(ada.AWSBackend(**GOOD).map(abs, [1]))


@pytest.mark.parametrize(
    ("arguments", "rules"),
    [
        (
            {"n_workers": 0, "n_zones": 1.5, "max_hours": True, "image": "", "spot": 1, "speed": 3},
            ["n_workers must be .*got 0", "n_zones must be", "max_hours must be", "image must", "spot must", "'speed'"],
        ),
        ({"security_group": "default"}, ["security_group must be the id.*got 'default'"]),
        ({"instance_type": "big"}, ["instance_type must be a type of machine.*got 'big'"]),
        ({"region": "Frankfurt"}, ["region must be a region.*got 'Frankfurt'"]),
        ({"image": "me/adagrid; rm -rf /"}, ["image must be the name"]),
        ({"env_vars": {}}, ["no argument 'env_vars'"]),
        ({"secrets": ["canary-4711"]}, ["number 1 of them is not"]),
        ({"secrets": "PATH"}, ["must be names"]),
    ],
)
def test_bad_arguments(arguments, rules):
    """All at once, and never a secret."""
    with pytest.raises(InvalidInputError) as error:
        ada.AWSBackend(**(GOOD | arguments))
    assert len(error.value.problems) == len(rules)
    assert all(any(re.search(rule, problem) for problem in error.value.problems) for rule in rules)
    assert "canary" not in str(error.value)


def test_missing_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_cloudprovider.aws", None)
    with pytest.raises(MissingExtraError, match=r"'dask_cloudprovider'.*adagrid\[aws\]"):
        ada.AWSBackend(**GOOD)
