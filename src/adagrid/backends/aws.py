"""Machines on Amazon EC2, started for a run and ended with it."""

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
from contextlib import ExitStack
from importlib.metadata import version
from operator import index
from typing import Any, Self, TypeVar, final

from typing_extensions import override

from adagrid._optional import require
from adagrid._secrets import PASSWORD
from adagrid.backends._ec2 import TAG, Machines
from adagrid.backends._environment import known, problems_of, unknown_options
from adagrid.backends.base import Backend, Result, Task, not_positive
from adagrid.backends.dask import DaskBackend
from adagrid.errors import BackendError, InvalidInputError

_logger = logging.getLogger("adagrid")

T = TypeVar("T")

# Seconds for the machine that schedules to answer, and then for the first worker to: Docker is installed, and the image
# fetched.
_PATIENCE, _BOOT = 600.0, 1200.0
# Seconds for an address to answer before it is tried again.
_PAUSE = 5.0
# Seconds between looks for machines that were lost.
_LOOK = 60.0
# Seconds that a scheduler nobody uses, and a worker without a scheduler, stay: then their machines end themselves.
_IDLE, _LOST = 1800, 300
# More that EC2Cluster may be told, and that has nothing to do with what is promised here.
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
# What EC2Cluster sets for the whole process, and leaves.
_CHANGED = ("distributed.comm.default-scheme", "distributed.comm.require-encryption", "distributed.comm.tls")


@final
class AWSBackend(Backend):
    """Runs jobs on machines of Amazon EC2: a Dask cluster that begins at the first packet and ends with the run.

    One machine schedules, `n_workers` work, each with one process that uses all its cores or its GPU; on all of them a
    container of `image` runs, which has adagrid of the same version, and the module that defines the design (one
    defined in a script or notebook is sent along). Traffic is encrypted, and only this process and the machines have
    the keys. docs/distributed.md tells how to make the image, what to permit, and what it costs to forget.

    A machine that dies or is taken away is replaced, and what it did is done elsewhere, with the same results.

    No machine is left running: all of a run have a tag of their own, by which they are terminated when it ends, fails
    or is interrupted, whoever started them. If this process is killed, the machines end themselves half an hour later,
    and at the latest `max_hours` after they began.

    Args:
        n_zones: zones that are worked on independently.
        coordinate_every: steps between coordinations.
        n_workers: machines that work.
        image: of the containers, such as "123456789012.dkr.ecr.eu-central-1.amazonaws.com/adagrid:0.1.0".
        security_group: "sg-...": must let this process reach port 8786, and the machines each other.
        instance_type: of the machines that work.
        region: such as "eu-central-1"; that of your AWS configuration if None.
        spot: whether the machines that work are spare ones: cheaper, and AWS may take them away at any moment.
        gpu: whether containers use the machine's GPU.
        max_hours: after which machines end themselves, whatever happens.
        secrets: names of environment variables that workers get, too, over the encrypted connection; if None,
            ADAGRID_CLICKHOUSE_PASSWORD if there is one.
        options: more for dask_cloudprovider.aws.EC2Cluster, such as subnet_id or iam_instance_profile.

    Raises:
        InvalidInputError: if an argument breaks its rule; all that do are named.
        MissingExtraError: if dask-cloudprovider is not installed.
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
        """Run tasks on machines, which are started first, and yield the results in order, each as soon as it is there.

        Raises:
            InvalidInputError: if the region has no such machines or images.
            BackendError: if machines cannot be started, differ from here, die or may be left running.
        """
        with self._entered():
            yield from self._started().map(run, tasks)

    def _started(self) -> DaskBackend:
        """Return what runs tasks on the machines, which are started first."""
        if self._dask is not None:
            return self._dask
        name = f"adagrid-{uuid.uuid4().hex[:12]}"
        machines = Machines(name, self._region)
        arguments, of_workers = self._request(machines, name)
        _logger.info("starting %d machines, with the tag %s=%s", self._n_workers + 1, TAG, name)
        config = require("dask.config", "aws")
        with ExitStack() as stack:
            stack.enter_context(config.set({key: copy.deepcopy(config.get(key)) for key in _CHANGED}))
            stack.callback(machines.terminate)
            loop = stack.enter_context(_Loop())
            try:
                cluster = loop.run(self._cluster(arguments, of_workers))
                stack.callback(loop.end, cluster)
                self._prepare(cluster)
            except Exception as error:  # whatever the library and its client raise
                raise machines.failure(error) from error
            self._dask = stack.enter_context(DaskBackend(self.n_zones, self.coordinate_every, cluster=cluster))
            loop.begin(_replace_lost(cluster, machines, self._n_workers))
            self._open = stack.pop_all()
        return self._dask

    def _request(self, machines: Machines, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what EC2Cluster is asked for, and what of it is for the machines that work only."""
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
            "bootstrap": False,  # the library's way needs an Ubuntu of 2020
            "extra_bootstrap": boot,
            "filesystem_size": max(40, plain.size, own.size),
            "scheduler_options": {"idle_timeout": f"{_IDLE}s"},
            "worker_options": {"nthreads": 1, "memory_limit": None, "death_timeout": f"{_LOST}s"},
            "shutdown_on_close": False,  # ends here, not when the interpreter does
            **given,
            "instance_tags": given.get("instance_tags", {}) | {TAG: name},
            "volume_tags": given.get("volume_tags", {}) | {TAG: name},
        }
        return arguments, {"ami": own.id, "gpu_instance": self._gpu}

    async def _cluster(self, arguments: dict[str, Any], of_workers: dict[str, Any]) -> Any:
        """Start the machines."""
        cluster = self._cloud.EC2Cluster(asynchronous=True, **arguments)
        cluster.quiet = True
        unreachable = BackendError(
            f"The machine that schedules was started but could not be reached within {_PATIENCE / 60:.0f} minutes: "
            f"{self._group} must let this process reach its port 8786, its image {self._image} must start, and its "
            "subnet must let it get the image. Everything finished before is saved."
        )
        cluster.worker_options.update(of_workers)

        class Scheduler(cluster.scheduler_class):  # type: ignore[misc, name-defined]
            async def wait_for_scheduler(self) -> None:  # the library's own lets nothing else happen meanwhile
                # Machines reach each other inside their network, where their security group lets them.
                self.contact_address = f"{cluster.protocol}://{self.instance['PrivateIpAddress']}:{self.port}"
                try:
                    await asyncio.wait_for(_answers(self.address), _PATIENCE)
                except TimeoutError as error:
                    raise unreachable from error

        cluster.scheduler_class = Scheduler
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Creating your cluster is taking", UserWarning)  # it always does
                return await cluster
        except BaseException:
            _abandon(cluster)
            raise

    def _prepare(self, cluster: Any) -> None:
        """Give workers their secrets, wait for the first, and see that it has what this process has."""
        distributed = require("distributed", "aws")
        with distributed.Client(cluster, set_as_default=False) as client:
            # Not with the machines' user data, which whoever may describe machines can read.
            if known(self._secrets):
                client.register_plugin(distributed.Environ(known(self._secrets)))
            try:
                client.wait_for_workers(1, timeout=_BOOT)
            except TimeoutError as error:
                raise BackendError(
                    f"No worker joined within {_BOOT / 60:.0f} minutes: can the machines get {self._image}, and "
                    "does it start? What they wrote: aws ec2 get-console-output --latest --instance-id ..."
                ) from error
            try:
                found = client.run(versions)
            except Exception as error:  # of no adagrid, or of a Dask that is too different
                raise BackendError(f"The image {self._image} needs adagrid {version('adagrid')}: {error!r}") from error
        here = versions()
        for there in found.values():
            different = [
                f"{name} {there.get(name)} where {here[name]} is here" for name in here if there[name] != here[name]
            ]
            if different:
                raise BackendError(
                    f"The image {self._image} has {', '.join(different)}: answers would differ, or not come at all. "
                    "Build it again from what is installed here, as in docs/distributed.md."
                )


def versions() -> dict[str, str]:
    """Return the versions that must be the same wherever a job's packets are simulated."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python} | {name: version(name) for name in ("adagrid", "jax", "jaxlib", "numpy")}


@final
class _Loop:
    """An event loop in a thread of its own, so that what runs in it can be stopped at any moment."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="adagrid-aws", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self.run(_cancel_others(), 10)
        except TimeoutError:  # something of the library lets nothing else happen
            _logger.debug("the event loop does not answer")
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            if not self._thread.is_alive():
                self._loop.close()

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Return what a coroutine returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Let a coroutine run until the loop stops."""
        asyncio.run_coroutine_threadsafe(work, self._loop)

    def end(self, cluster: Any) -> None:
        """Close a cluster politely; what remains of it is ended by force."""

        async def closed() -> None:
            await cluster.close()

        try:
            self.run(closed(), 60)
        except Exception as error:  # whatever: it was politeness
            _logger.debug("the cluster did not close by itself: %r", error)
        finally:
            _abandon(cluster)


def _abandon(cluster: Any) -> None:
    """Let the library do nothing more for a cluster, whose machines are ended by their tag."""
    cluster.status = require("distributed", "aws").Status.closed


async def _replace_lost(cluster: Any, machines: Machines, n_workers: int) -> None:
    """Start other machines for those that AWS has taken away, or that ended themselves."""
    while True:
        await asyncio.sleep(_LOOK)
        try:
            lost = n_workers + 1 - len(await asyncio.to_thread(machines.alive))
        except Exception as error:  # whatever: the run does not depend on it, and it is tried again
            _logger.warning("cannot see whether machines were lost: %s", error)
            continue
        if lost > 0:
            _logger.warning("%d of %d machines were lost: others are started", lost, n_workers + 1)
            cluster.scale(len(cluster.worker_spec) + lost)


async def _answers(address: str) -> None:
    """Wait until something accepts connections at an address such as "tls://10.0.0.1:8786"."""
    host, port = address.rpartition("://")[2].rsplit(":", 1)
    while True:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), _PAUSE)
        except OSError:  # or a timeout, which is one
            await asyncio.sleep(_PAUSE / 10)
            continue
        writer.close()
        await writer.wait_closed()
        return


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
