"""The backend of Modal containers, which last as long as the run."""

from __future__ import annotations

import hashlib
import inspect
import logging
import platform
import re
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from itertools import islice
from operator import index
from pathlib import Path
from typing import Any, final

from typing_extensions import override

from adagrid._optional import require
from adagrid._secrets import PASSWORD
from adagrid.backends._environment import known, problems_of, unknown_options
from adagrid.backends.backend import Backend, Result, Task, not_positive
from adagrid.backends.worker import Worker, working
from adagrid.errors import BackendError, InvalidInputError

_logger = logging.getLogger("adagrid")

# Tasks in flight per container: the second waits at its container, which never idles.
_AHEAD = 2
# Seconds that a task may take; Modal grants no more.
_LONGEST = 24 * 3600
# Times that Modal repeats a task whose container has died.
_RETRIES = 3
# Arguments of App.function that users may pass: none changes a guarantee of this class.
_OPTIONS = ("cloud", "cpu", "ephemeral_disk", "memory", "nonpreemptible", "region", "scaledown_window")
# The last few functions that run tasks in this container, by name.
_BUILT: dict[str, Callable[[Any], Any]] = {}
_MOST_BUILT = 4
# Extras and packages that containers need in addition to adagrid. Modal adds its own client.
_EXTRAS = frozenset({"clickhouse"})
_MORE = ("cloudpickle",)


@final
class ModalBackend(Backend):
    """The backend that runs jobs in Modal containers.

    An app starts with the first packet and ends with the run. Containers have the adagrid installed here, the same
    versions of its dependencies, and the same Python. A design of a script or notebook is sent to containers; name
    your own modules in `modules`. Modal replaces a container that dies and repeats its task, with the same results.
    Nothing costs money after the run: when the run or this process ends, Modal stops the app and its containers.

    Args:
        n_zones: number of zones that run independently.
        coordinate_every: steps between coordinations.
        n_workers: largest number of containers; each runs one task at a time.
        gpu: GPU of each container, such as "T4", "L4" or "H100"; no GPU if None.
        modules: names of your own modules that containers need, such as the module that defines the design.
        timeout: seconds that a task may take; a task is a packet, or a zone until the next coordination.
        secrets: names of environment variables to send to containers as a Modal Secret of the app; if None,
            ADAGRID_CLICKHOUSE_PASSWORD if it is set.
        image: a modal.Image that replaces the image described above.
        options: further arguments of modal.App.function: cpu, memory, region, cloud, ephemeral_disk, nonpreemptible,
            scaledown_window.

    Raises:
        InvalidInputError: if an argument breaks its rule; the message lists all that do.
        MissingExtraError: if Modal's client is not installed.

    Examples:
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> backend = ada.ModalBackend(n_workers=4, gpu="T4")  # doctest: +SKIP
        >>> run = ada.ada_validate(ada.ZTest(), threshold=1.96, grid=grid, backend=backend)  # doctest: +SKIP
    """

    has_workers = True

    def __init__(
        self,
        n_zones: int = 1,
        coordinate_every: int = 5,
        *,
        n_workers: int,
        gpu: str | None = None,
        modules: Sequence[str] = (),
        timeout: int = _LONGEST,
        secrets: Sequence[str] | None = None,
        image: Any = None,
        **options: Any,
    ) -> None:
        problems = not_positive(
            n_zones=n_zones, coordinate_every=coordinate_every, n_workers=n_workers, timeout=timeout
        )
        if not not_positive(timeout=timeout) and index(timeout) > _LONGEST:
            problems.append(f"timeout must be at most {_LONGEST}, a day, which Modal grants; got {timeout!r}.")
        if gpu is not None and not (isinstance(gpu, str) and re.fullmatch(r"[\w-]+!?(:[1-9])?", gpu)):
            problems.append(f"gpu must be a kind that Modal has, such as 'T4' or 'H100', or None; got {gpu!r}.")
        if isinstance(modules, str) or not all(isinstance(name, str) for name in modules):
            problems.append(f"modules must be names of modules, such as ['my_designs']; got {modules!r}.")
        else:
            problems += [
                f"modules must be names of modules that can be imported here; got {name!r}."
                for name in modules
                if not name.isidentifier() or find_spec(name) is None
            ]
        problems += unknown_options("ModalBackend", options, _OPTIONS) + problems_of(secrets)
        if problems:
            raise InvalidInputError(problems)
        super().__init__(n_zones, coordinate_every)
        self._modal = require("modal", "modal")
        if image is not None and not isinstance(image, self._modal.Image):
            raise InvalidInputError(f"image must be a modal.Image; got {image!r}.")
        self._n_workers, self._gpu, self._modules, self._timeout = index(n_workers), gpu, tuple(modules), index(timeout)
        self._secrets, self._image, self._options = (PASSWORD,) if secrets is None else tuple(secrets), image, options
        self._running: tuple[Any, Any] | None = None

    @override
    def _stop(self) -> None:
        self._running = None
        try:
            super()._stop()
        except self._modal.exception.Error as error:  # Modal ends an app whose leader is silent
            _logger.warning("Modal did not hear that the run has ended (see: modal app list): %s", error)

    def app(self) -> tuple[Any, Any]:
        """Define the app and its function that runs a task, without starting them."""
        app = self._modal.App("adagrid")
        secrets = known(self._secrets)
        image = self._image or image_like_here(self._gpu is not None)
        define = app.function(
            image=image.add_local_python_source(*self._modules) if self._modules else image,
            gpu=self._gpu,
            max_containers=self._n_workers,
            timeout=self._timeout,
            retries=self._modal.Retries(max_retries=_RETRIES, backoff_coefficient=1.0),
            secrets=[self._modal.Secret.from_dict(secrets)] if secrets else [],
            serialized=True,  # pickled by reference to its module, which the image has
            name="answer",
            **self._options,
        )
        return app, define(answer)

    @override
    def map(self, run: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Run tasks in containers and yield results in order.

        Each result is yielded as soon as it is available.

        Raises:
            BackendError: if Modal cannot be reached, or several containers in a row die of a task.
        """
        with self._entered():
            waiting, under_way = iter(tasks), deque[Any]()
            try:
                function, shared = self._started()
                work = _send(run, shared)
                while True:
                    for task in islice(waiting, _AHEAD * self._n_workers - len(under_way)):
                        under_way.append(function.spawn(shared, work, task))
                    if not under_way:
                        return
                    answered = under_way[0].get()
                    under_way.popleft()
                    yield _result(answered)
            except self._modal.exception.Error as error:
                raise self._failure(error) from error
            finally:
                self._cancel(under_way)

    def _started(self) -> tuple[Any, Any]:
        """Return the running app's function and its containers' shared dictionary."""
        if self._running is None:
            app, function = self.app()
            with ExitStack() as stack:
                stack.enter_context(app.run())
                self._running = function, stack.enter_context(self._modal.Dict.ephemeral())
                self._open = stack.pop_all()
        return self._running

    def _cancel(self, calls: Iterable[Any]) -> None:
        """Cancel calls whose results are no longer needed."""
        for call in calls:
            try:
                call.cancel()
            except self._modal.exception.Error:  # the app has ended, and so has the call
                return

    def _failure(self, error: Exception) -> BackendError:
        kinds = self._modal.exception
        if isinstance(error, kinds.AuthError):
            remedy = "Log in: modal token new."
        elif isinstance(error, kinds.FunctionTimeoutError):
            remedy = f"A task took more than {self._timeout} seconds: give it more (timeout=) or a smaller packet_size."
        elif isinstance(error, kinds.RequestSizeError):
            remedy = "The design, or what it holds, is too large to be sent: let it load its data from the image."
        else:
            remedy = (
                "See https://modal.com/apps for what became of the app. If containers died for want of memory, give "
                "them more (memory=), or run the job again with a smaller packet_size."
            )
        return BackendError(f"Modal: {error} {remedy} Everything finished before is saved.")


def answer(shared: Any, work: str, task: Any) -> tuple[bool, Any]:
    """Run a task in a container.

    Args:
        shared: the dictionary that the containers of an app share.
        work: key of the pickled function that runs tasks, in that dictionary.
        task: the task.

    Returns:
        True and the result, or False and the error. Raising it would make Modal repeat the task.
    """
    worker = Worker(lambda run, least: next_number(shared, run, least), lambda: False)  # Modal stops what it cancels
    try:
        run = _loaded(shared, work)
        with working(worker):
            return True, run(task)
    except ModuleNotFoundError as error:
        return False, BackendError(
            f"A container has no module {error.name!r}. One of your own: name it in ModalBackend(modules=[...]); a "
            "library: give an image= that has it. Everything finished before is saved."
        )
    except Exception as error:
        error.add_note(f"In a container of Modal:\n{traceback.format_exc()}")
        return False, error


def _send(run: Callable[[Task], Result], shared: Any) -> str:
    """Store the pickled function for containers and return its key."""
    work = require("cloudpickle", "modal").dumps(run)
    name = f"work-{hashlib.sha256(work).hexdigest()}"
    shared.put(name, work)  # every time, because Modal drops entries unused for a week
    return name


def _loaded(shared: Any, work: str) -> Callable[[Any], Any]:
    """Return the unpickled function, which comes from the leader, never from a database."""
    if work not in _BUILT:
        while len(_BUILT) >= _MOST_BUILT:
            _BUILT.pop(next(iter(_BUILT)))
        _BUILT[work] = require("cloudpickle", "modal").loads(shared[work])
    return _BUILT[work]


def _result(answered: tuple[bool, Any]) -> Any:
    done, value = answered
    if not done:
        raise value
    return value


def next_number(shared: Any, run: str, least: int) -> int:
    """Return the next number of a run; the dictionary accepts each number once."""
    number = least
    while not shared.put(f"number-{run}-{number}", True, skip_if_exists=True):
        number += 1
    return number


def image_like_here(gpu: bool) -> Any:
    """Return an image with the Python and the packages installed here.

    It copies the files of adagrid itself, however adagrid was installed, so that no other version can answer.
    """
    image = require("modal", "modal").Image.debian_slim(python_version=".".join(platform.python_version_tuple()[:2]))
    package, metadata = sources()
    return (
        image.pip_install(*requirements(gpu))
        .add_local_dir(package, "/root/adagrid", ignore=["**/__pycache__"])
        .add_local_file(metadata, f"/root/{metadata.parent.name}/METADATA")
    )


def requirements(gpu: bool) -> list[str]:
    """Return adagrid's dependencies with their versions, such as "numpy==2.4.0"."""
    requirement = require("packaging.requirements", "modal").Requirement
    found = {name: distribution(name).version for name in _MORE}
    waiting = [("adagrid", _EXTRAS)]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        for needed in map(requirement, distribution(name).requires or ()):
            if needed.marker and not any(needed.marker.evaluate({"extra": extra}) for extra in extras or {""}):
                continue
            try:
                found[needed.name.lower()] = distribution(needed.name).version
            except PackageNotFoundError:  # an extra that is not installed here
                continue
            following = (needed.name, frozenset(needed.extras))
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    found.pop("adagrid", None)
    return sorted(f"{name}{'[cuda12]' if gpu and name == 'jax' else ''}=={version}" for name, version in found.items())


def sources() -> tuple[Path, Path]:
    """Return the folder of the package and its METADATA file."""
    metadata = next(file for file in distribution("adagrid").files or () if file.name == "METADATA")
    return Path(inspect.getfile(ModalBackend)).parents[1], Path(str(metadata.locate()))
