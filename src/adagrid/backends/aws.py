"""Machines on Amazon EC2 that start and end with a run.

EC2Cluster of dask-cloudprovider launches them. This module adds what EC2Cluster does not guarantee: machines end in
every case, secrets stay out of user data, lost machines are replaced, and images have the right versions.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import platform
import re
import threading
import uuid
import warnings
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from importlib.metadata import version
from operator import index
from typing import Any, Self, TypeVar, final

from typing_extensions import override

from adagrid._optional import require
from adagrid._secrets import PASSWORD
from adagrid.backends._ec2 import TAG, Machines
from adagrid.backends._environment import known, problems_of, unknown_options
from adagrid.backends.backend import Backend, Result, Task, not_positive
from adagrid.backends.dask import DaskBackend
from adagrid.errors import BackendError, InvalidInputError

_logger = logging.getLogger("adagrid")

T = TypeVar("T")

# Seconds until the scheduler, then the first worker, must answer: machines install Docker and fetch the image.
_PATIENCE, _BOOT = 600.0, 1200.0
# Seconds until one attempt to connect is given up.
_PAUSE = 5.0
# Seconds between searches for lost machines.
_LOOK = 60.0
# Seconds until an idle scheduler, and a worker without a scheduler, end; then their machines shut down.
_IDLE, _LOST = 1800, 300
# Arguments of EC2Cluster that users may pass: none changes a guarantee of this class.
_OPTIONS = (
    "ami",
    "availability_zone",
    "docker_args",
    "extra_bootstrap",
    "filesystem_size",
    "iam_instance_profile",
    "instance_tags",
    "key_name",
    "scheduler_instance_type",
    "subnet_id",
    "use_private_ip",
    "volume_tags",
    "vpc",
)
# Dask's configuration that EC2Cluster changes for the whole process and does not restore.
_CHANGED = ("distributed.comm.default-scheme", "distributed.comm.require-encryption", "distributed.comm.tls")


@final
class AWSBackend(Backend):
    """The backend that runs jobs on Amazon EC2.

    It starts a Dask cluster with the first packet, and ends it with the run. One machine schedules, and `n_workers`
    machines work. Each worker is one process that uses all cores of its machine, or its GPU. Machines run a container
    of `image`, which needs the same version of adagrid and the module that defines the design. A design of a script or
    notebook is sent to workers. Traffic is encrypted with keys made for the run. See docs/distributed.md for the image,
    permissions and costs.

    A machine that dies, or that AWS takes away, is replaced. Other workers repeat its packets, with the same results.

    No machine outlives its run. All machines carry a tag that is unique to the run, and are terminated by that tag
    when the run ends, fails or is interrupted. If this process is killed, the machines shut down half an hour later,
    and in any case `max_hours` after they started.

    Args:
        n_zones: number of zones that run independently.
        coordinate_every: steps between coordinations.
        n_workers: number of machines that work.
        image: container image, such as "123456789012.dkr.ecr.eu-central-1.amazonaws.com/adagrid:0.1.0".
        security_group: "sg-..."; it must let this process reach port 8786, and the machines reach each other.
        instance_type: EC2 type of the machines that work.
        region: AWS region, such as "eu-central-1"; the one in your AWS configuration if None.
        spot: whether workers are spot machines, which are cheaper, and which AWS may take away at any moment.
        gpu: whether containers use the machine's GPU.
        max_hours: hours after which a machine shuts down in any case.
        secrets: names of environment variables to send to workers over the encrypted connection; if None,
            ADAGRID_CLICKHOUSE_PASSWORD if it is set.
        options: further arguments of dask_cloudprovider.aws.EC2Cluster, such as subnet_id or iam_instance_profile.

    Raises:
        InvalidInputError: if an argument breaks its rule; the message lists all that do.
        MissingExtraError: if dask-cloudprovider is not installed.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> backend = ada.AWSBackend(  # doctest: +SKIP
        ...     n_workers=4,
        ...     image="123456789012.dkr.ecr.eu-central-1.amazonaws.com/adagrid:0.1.0",
        ...     security_group="sg-0a1b2c3d",
        ... )
        >>> run = ada.ada_validate(ada.ZTest(), threshold=1.96, grid=grid, backend=backend)  # doctest: +SKIP
    """

    has_workers = True

    def __init__(
        self,
        n_zones: int = 1,
        coordinate_every: int = 5,
        *,
        n_workers: int,
        image: str,
        security_group: str,
        instance_type: str = "c7i.4xlarge",
        region: str | None = None,
        spot: bool = False,
        gpu: bool = False,
        max_hours: int = 24,
        secrets: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        problems = not_positive(
            n_zones=n_zones, coordinate_every=coordinate_every, n_workers=n_workers, max_hours=max_hours
        )
        texts = {"image": (image, r"[\w.:/@-]+", "the name of a container image, such as 'me/adagrid:0.1.0'")}
        texts["security_group"] = (security_group, r"sg-\w+", "the id of a security group, such as 'sg-0a1b2c3d'")
        texts["instance_type"] = (instance_type, r"[\w-]+\.[\w-]+", "a type of machine, such as 'c7i.4xlarge'")
        texts["region"] = ("-" if region is None else region, r"[a-z0-9-]+", "a region, such as 'eu-central-1'")
        problems += [
            f"{name} must be {rule}; got {value!r}."
            for name, (value, pattern, rule) in texts.items()
            if not isinstance(value, str) or not re.fullmatch(pattern, value)
        ]
        flags = {"spot": spot, "gpu": gpu}
        problems += [
            f"{name} must be True or False; got {v!r}." for name, v in flags.items() if not isinstance(v, bool)
        ]
        problems += unknown_options("AWSBackend", options, _OPTIONS) + problems_of(secrets)
        if problems:
            raise InvalidInputError(problems)
        super().__init__(n_zones, coordinate_every)
        self._cloud = require("dask_cloudprovider.aws", "aws")
        self._n_workers, self._image, self._group, self._type = index(n_workers), image, security_group, instance_type
        self._region, self._spot, self._gpu, self._max_hours = region, spot, gpu, index(max_hours)
        self._secrets, self._options = (PASSWORD,) if secrets is None else tuple(secrets), options
        self._dask: DaskBackend | None = None

    @override
    def _stop(self) -> None:
        self._dask = None
        super()._stop()

    @override
    def map(self, run: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Run tasks on EC2 and yield results in order.

        The machines start first, unless they already run. Each result is yielded as soon as it is available.

        Raises:
            InvalidInputError: if the region lacks the instance type or the machine image.
            BackendError: if machines cannot start, have other versions, die, or may still be running.
        """
        with self._entered():
            yield from self._started().map(run, tasks)

    def _started(self) -> DaskBackend:
        """Return the backend of the running cluster; start the cluster first if needed."""
        if self._dask is not None:
            return self._dask
        name = f"adagrid-{uuid.uuid4().hex[:12]}"
        machines = Machines(name, self._region)
        arguments, of_workers = self._request(machines, name)
        _logger.info("starting %d machines, with the tag %s=%s", self._n_workers + 1, TAG, name)
        config = require("dask.config", "aws")
        # The last entry ends first: the cluster closes, its loop starts nothing more, the tag ends all machines.
        with ExitStack() as stack:
            stack.enter_context(config.set({key: copy.deepcopy(config.get(key)) for key in _CHANGED}))
            stack.callback(machines.terminate)
            loop = stack.enter_context(_Loop())
            with machines.reporting():
                cluster = loop.submit(self._cluster(arguments, of_workers)).result()
                stack.callback(_abandon, cluster)
                loop.submit(_running(cluster)).result()
                stack.callback(_close, loop, cluster)
                self._prepare(cluster)
            self._dask = stack.enter_context(DaskBackend(self.n_zones, self.coordinate_every, cluster=cluster))
            loop.submit(_replace_lost(cluster, machines, self._n_workers))
            self._open = stack.pop_all()
        return self._dask

    def _request(self, machines: Machines, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the arguments of EC2Cluster, and those that differ for workers."""
        given = dict(self._options)
        architecture = machines.architecture(self._type, self._gpu)
        scheduler_type = given.pop("scheduler_instance_type", "t4g.small" if architecture == "arm64" else "t3.small")
        ami = given.pop("ami", None)
        plain, own = (machines.image(ami, architecture, gpu) for gpu in (False, self._gpu))
        boot = [
            f"shutdown -h +{self._max_hours * 60}",
            "command -v docker || (apt-get update -y && DEBIAN_FRONTEND=noninteractive apt-get install -y docker.io)",
            *given.pop("extra_bootstrap", ()),
        ]
        arguments = {
            "region": machines.region,
            "n_workers": self._n_workers,
            "scheduler_instance_type": scheduler_type,
            "worker_instance_type": self._type,
            "ami": plain.id,
            "docker_image": self._image,
            "security_groups": [self._group],
            "security": True,
            "spot": self._spot,
            "bootstrap": False,  # EC2Cluster's own installs Docker on Ubuntu 20.04 only
            "extra_bootstrap": boot,
            "filesystem_size": max(40, plain.size, own.size),
            "scheduler_options": {"idle_timeout": f"{_IDLE}s"},
            "worker_options": {"nthreads": 1, "memory_limit": None, "death_timeout": f"{_LOST}s"},
            "shutdown_on_close": False,  # this class ends the cluster, not the end of the interpreter
            **given,
            "instance_tags": given.get("instance_tags", {}) | {TAG: name},
            "volume_tags": given.get("volume_tags", {}) | {TAG: name},
        }
        return arguments, {"ami": own.id, "gpu_instance": self._gpu}

    async def _cluster(self, arguments: dict[str, Any], of_workers: dict[str, Any]) -> Any:
        """Return a cluster that is not started yet. It must be made in the loop that runs it."""
        cluster = self._cloud.EC2Cluster(asynchronous=True, **arguments)
        cluster.quiet = True
        cluster.worker_options.update(of_workers)
        unreachable = BackendError(
            f"The machine that schedules was started but could not be reached within {_PATIENCE / 60:.0f} minutes: "
            f"{self._group} must let this process reach its port 8786, its image {self._image} must start, and its "
            "subnet must let it get the image. Everything finished before is saved."
        )

        class Scheduler(cluster.scheduler_class):  # type: ignore[misc, name-defined]
            async def wait_for_scheduler(self) -> None:  # EC2Cluster's own blocks the loop, and waits for ever
                # Workers connect by the private address, which the security group permits.
                self.contact_address = f"{cluster.protocol}://{self.instance['PrivateIpAddress']}:{self.port}"
                try:
                    await asyncio.wait_for(_answers(self.address), _PATIENCE)
                except TimeoutError as error:
                    raise unreachable from error

        cluster.scheduler_class = Scheduler
        return cluster

    def _prepare(self, cluster: Any) -> None:
        """Send secrets to workers, wait for the first one, and check its versions."""
        distributed = require("distributed", "aws")
        with distributed.Client(cluster, set_as_default=False) as client:
            # Not by user data: whoever may describe machines in the account can read it.
            if known(self._secrets):
                client.register_plugin(distributed.Environ(known(self._secrets)))
            try:
                client.wait_for_workers(1, timeout=_BOOT)
            except TimeoutError as error:
                raise BackendError(
                    f"No worker joined within {_BOOT / 60:.0f} minutes: can the machines get {self._image}, and "
                    "does it start? Read their output: aws ec2 get-console-output --latest --instance-id ..."
                ) from error
            try:
                found = client.run(versions)
            except Exception as error:  # adagrid is missing, or Dask's version differs too much
                raise BackendError(f"The image {self._image} needs adagrid {version('adagrid')}: {error!r}") from error
        here = versions()
        for there in found.values():
            different = [
                f"{name} {there.get(name)} where {here[name]} is here" for name in here if there[name] != here[name]
            ]
            if different:
                raise BackendError(
                    f"The image {self._image} has {', '.join(different)}: answers would differ or fail. "
                    "Build it again from the packages installed here, as in docs/distributed.md."
                )


def versions() -> dict[str, str]:
    """Return the versions that must agree wherever packets of a job are simulated."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python} | {name: version(name) for name in ("adagrid", "jax", "jaxlib", "numpy")}


@final
class _Loop:
    """An event loop in a thread; its end cancels all coroutines in it."""

    def __init__(self) -> None:
        self._loop, self._ended = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="adagrid-aws", daemon=True)

    def _run(self) -> None:
        with suppress(RuntimeError), asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._ended.wait())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._loop.stop)  # even if a coroutine resists its cancellation

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine and return its future."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)


async def _running(cluster: Any) -> None:
    """Start a cluster and wait for its scheduler."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Creating your cluster is taking", UserWarning)  # it always does
        await cluster


def _close(loop: _Loop, cluster: Any) -> None:
    """Close a cluster, which ends its containers; if that fails, the tag still ends its machines."""

    async def closed() -> None:
        await cluster.close()

    try:
        loop.submit(closed()).result(60)
    except Exception as error:
        _logger.debug("the cluster did not close by itself: %r", error)


def _abandon(cluster: Any) -> None:
    """Mark a cluster as closed, so that Dask does nothing more for it."""
    cluster.status = require("distributed", "aws").Status.closed


async def _replace_lost(cluster: Any, machines: Machines, n_workers: int) -> None:
    """Replace machines that AWS has taken away or that shut down; EC2Cluster does not notice them."""
    while True:
        await asyncio.sleep(_LOOK)
        try:
            lost = n_workers + 1 - len(await asyncio.to_thread(machines.alive))
        except Exception as error:  # the run goes on, and the next search may succeed
            _logger.warning("cannot search for lost machines: %s", error)
            continue
        if lost > 0:
            _logger.warning("%d of %d machines were lost: starting new ones", lost, n_workers + 1)
            cluster.scale(len(cluster.worker_spec) + lost)


async def _answers(address: str) -> None:
    """Wait until an address such as "tls://10.0.0.1:8786" accepts connections."""
    host, port = address.rpartition("://")[2].rsplit(":", 1)
    while True:
        with suppress(OSError):  # including TimeoutError
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), _PAUSE)
            writer.close()
            return await writer.wait_closed()
        await asyncio.sleep(_PAUSE / 10)
