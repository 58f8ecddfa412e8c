"""What is defined for Modal, and all of it that runs without Modal: its containers are processes here."""

from __future__ import annotations

import importlib
import inspect
import multiprocessing
import os
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing.managers import BaseManager

import cloudpickle
import modal
import pytest
from modal._serialization import deserialize, serialize
from packaging.requirements import Requirement

import adagrid as ada
from adagrid.backends.modal import answer, image_like_here, next_number, requirements, sources
from adagrid.errors import BackendError, InvalidInputError, MissingExtraError
from adagrid.testing import BackendContract
from tests.support import flat
from tests.support.jobcases import assert_same, run_case, tables
from tests.support.paths import ROOT

SECRET = "canary-4711-song"


class Shared:
    """As much of modal.Dict as is used."""

    def __init__(self):
        self.held = {}

    def put(self, key, value, *, skip_if_exists=False):
        if skip_if_exists and key in self.held:
            return False
        self.held[key] = value
        return True

    def __getitem__(self, key):
        return self.held[key]


class Server(BaseManager):
    """Serves one to several processes, one call at a time."""


Server.register("Shared", Shared, exposed=["put", "__getitem__"])


class Call:
    """As much of modal.FunctionCall as is used."""

    def __init__(self, future):
        self._future = future

    def get(self, timeout=None, *, index=0):
        return deserialize(self._future.result(timeout), None)

    def cancel(self, terminate_containers=False):
        self._future.cancel()


def contain(function: bytes, arguments: bytes, secrets: dict[str, str]) -> bytes:
    """Run in a process what a container would, from what it would be sent."""
    os.environ.update(secrets)
    shared, work, task = deserialize(arguments, None)
    return serialize(deserialize(function, None)(shared, work, task))


@pytest.fixture(scope="module")
def here():
    """Modal, played by two processes."""
    context = multiprocessing.get_context("spawn")
    began = []

    @contextmanager
    def run(self, **_):
        began.append("app")
        yield self
        began.append("end")

    with Server(ctx=context) as server, ProcessPoolExecutor(2, mp_context=context) as pool:

        @contextmanager
        def ephemeral(**_):
            yield server.Shared()

        def spawn(self, *arguments):
            calls.append(arguments)
            return Call(pool.submit(contain, self._source_info_.serialized_function(), serialize(arguments), secrets))

        def from_dict(env_dict):
            secrets.update(env_dict)
            return secret(env_dict)

        calls, secrets, secret = [], {}, modal.Secret.from_dict
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(modal.App, "run", run)
            patch.setattr(modal.Dict, "ephemeral", ephemeral)
            patch.setattr(modal.Function, "spawn", spawn)
            patch.setattr(modal.Secret, "from_dict", from_dict)
            yield type("Here", (), {"began": began, "calls": calls})


@pytest.fixture(scope="module")
def backend(here):
    with ada.ModalBackend(n_workers=2) as backend:
        yield backend


class TestModalBackend(BackendContract):
    @pytest.fixture
    def backend(self, backend):
        return backend


@pytest.mark.parametrize("case", [pytest.param("validate_z", marks=pytest.mark.smoke), "staged_validate_z"])
def test_same_tables_as_in_one_process(case, backend):
    assert_same(run_case(case, backend=backend, packet_size=2), tables(run_case(case)))


def test_design_of_a_script(backend):
    """It is sent along."""

    class Written(ada.ZTest):
        pass

    grid = ada.cartesian_grid([-1], [0], n=2)
    runs = [
        flat.validate(Written(), threshold=1.96, grid=grid, n_sims=512, backend=where)
        for where in (ada.LocalBackend(), backend)
    ]
    assert_same(runs[1], tables(runs[0]))


def test_check_that_is_left_to_the_reader(here, monkeypatch, capsys):
    """It passes where Modal is played, secret included."""
    monkeypatch.setenv("ADAGRID_CLICKHOUSE_PASSWORD", "other")
    text = (ROOT / "docs" / "distributed.md").read_text()
    code = text.split("cat > check_modal.py <<'EOF'\n")[1].split("EOF\n")[0]
    exec(compile(code, "check_modal.py", "exec"), {"__name__": "__main__"})
    assert "equal: True" in capsys.readouterr().out


def test_module_that_containers_do_not_have(backend, monkeypatch, tmp_path):
    (tmp_path / "only_here.py").write_text("def run(task):\n    return task\n")
    monkeypatch.syspath_prepend(tmp_path)
    only_here = importlib.import_module("only_here")
    with pytest.raises(BackendError, match=r"no module 'only_here'.*ModalBackend\(modules="):
        list(backend.map(only_here.run, [1]))


def test_played_as_modal_is():
    """What stands in for Modal takes what Modal takes."""
    for real, played in (
        (modal.Dict.put, Shared.put),
        (modal.Dict.__getitem__, Shared.__getitem__),
        (modal.FunctionCall.get, Call.get),
        (modal.FunctionCall.cancel, Call.cancel),
    ):
        parameters = [
            [(each.name, each.kind, each.default) for each in inspect.signature(method).parameters.values()][1:]
            for method in (real, played)
        ]
        assert parameters[0] == parameters[1]


def test_one_app_for_nested_runs_and_its_end(here):
    del here.began[:]
    backend = ada.ModalBackend(n_workers=1)
    with backend, backend:
        assert list(backend.map(abs, [-1])) == list(backend.map(abs, [-1])) == [1]
        assert here.began == ["app"]
    assert here.began == ["app", "end"]
    assert list(backend.map(abs, [-2])) == [2]  # by itself
    assert here.began == ["app", "end"] * 2


def test_work_is_sent_once_and_tasks_as_they_are_needed(here, backend):
    """Large designs, and more packets than memory holds."""
    asked = []

    def tasks():
        for number in range(100):
            asked.append(number)
            yield number

    del here.calls[:]
    large = os.urandom(100_000)
    results = backend.map(lambda task: task + len(large), tasks())
    assert next(results) == 100_000
    assert len(asked) <= 4  # two for each of two containers
    results.close()
    assert len(here.calls) <= 4
    assert all(len(serialize(call[1:])) < 500 for call in here.calls)


def test_app_ends_with_an_interrupted_run(here):
    del here.began[:]
    results = ada.ModalBackend(n_workers=1).map(abs, [-1, -2])
    assert next(results) == 1
    results.close()
    assert here.began == ["app", "end"]


def test_numbers_are_given_once():
    shared = Shared()
    assert [next_number(shared, *asked) for asked in [("a", 2), ("a", 2), ("b", 2), ("a", 9), ("a", 2)]] == [
        2,
        3,
        2,
        9,
        4,
    ]


@pytest.mark.sample
def test_error_comes_whole_and_is_no_reason_to_try_again():
    """Modal tries again what raises: only a container that died is worth it."""

    def fails(task):
        raise ada.errors.ModelError(f"Tile {task}: NaN")

    shared = Shared()
    shared.put("work", cloudpickle.dumps(fails))
    function = ada.ModalBackend(n_workers=1).app()[1]
    done, error = deserialize(serialize(function.local(shared, "work", 7)), None)
    assert not done
    assert type(error) is ada.errors.ModelError
    assert str(error) == "Tile 7: NaN"
    assert "in fails" in error.__notes__[0]


def test_definition(monkeypatch):
    """All is set when it runs, and the values of secrets are nowhere to be read."""
    monkeypatch.setenv("ADAGRID_CLICKHOUSE_PASSWORD", SECRET)
    given = {}
    function_of = modal.App.function
    monkeypatch.setattr(modal.App, "function", lambda app, **more: given.update(more) or function_of(app, **more))
    backend = ada.ModalBackend(3, 2, n_workers=7, gpu="L4", timeout=600, cpu=4, memory=8192, region="eu")
    app, function = backend.app()
    assert app.name == "adagrid"
    assert (backend.n_zones, backend.coordinate_every) == (3, 2)
    assert given["max_containers"] == 7
    assert (given["gpu"], given["timeout"], given["cpu"], given["memory"], given["region"]) == (
        "L4",
        600,
        4,
        8192,
        "eu",
    )
    assert given["retries"].max_retries == 3
    assert [repr(secret) for secret in given["secrets"]] == ["Secret.from_dict([ADAGRID_CLICKHOUSE_PASSWORD])"]
    assert SECRET not in repr(vars(backend)) + repr(function) + repr(given)
    assert deserialize(function._source_info_.serialized_function(), None) is answer  # found in the image by its name
    monkeypatch.delenv("ADAGRID_CLICKHOUSE_PASSWORD")
    backend.app()
    assert given["secrets"] == []


@pytest.mark.parametrize("gpu", [False, True])
def test_image_has_what_is_here(gpu, monkeypatch):
    """This Python, this adagrid, and each requirement of pyproject.toml in the version that is installed."""
    steps = []
    for name in ("pip_install", "add_local_dir", "add_local_file"):
        step = getattr(modal.Image, name)
        monkeypatch.setattr(
            modal.Image, name, lambda *args, _step=step, **more: steps.append(args[1:]) or _step(*args, **more)
        )
    image_like_here(gpu)
    pinned, (package, there), (metadata, named) = steps
    assert pinned == tuple(requirements(gpu))
    pins = {Requirement(pin).name: Requirement(pin) for pin in pinned}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in [*project["dependencies"], *project["optional-dependencies"]["clickhouse"], "cloudpickle", "jaxlib"]:
        pin = pins[Requirement(text).name]
        assert str(pin.specifier) == f"=={version(pin.name)}"
        assert pin.extras == ({"cuda12"} if gpu and pin.name == "jax" else set())
    assert not {"adagrid", "pytest", "modal", "matplotlib", "distributed"} & set(pins)
    assert (package / "__init__.py").samefile(ada.__file__)
    assert there == "/root/adagrid"
    assert f"\nVersion: {ada.__version__}\n" in metadata.read_text()
    assert named == f"/root/adagrid-{ada.__version__}.dist-info/METADATA"


def test_package_and_metadata_alone_can_be_imported(tmp_path):
    """As they lie in the image."""
    package, metadata = sources()
    (tmp_path / "adagrid").symlink_to(package)
    (tmp_path / metadata.parent.name).mkdir()
    (tmp_path / metadata.parent.name / "METADATA").write_bytes(metadata.read_bytes())
    code = "import adagrid, sys; print(adagrid.__version__, adagrid.__file__, 'modal' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, env={"PATH": ""}
    )
    assert answer.stdout.split() == [ada.__version__, str(tmp_path / "adagrid" / "__init__.py"), "False"]


def test_modules_of_ones_own(monkeypatch, tmp_path):
    (tmp_path / "my_designs.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    added = []
    add = modal.Image.add_local_python_source
    monkeypatch.setattr(
        modal.Image, "add_local_python_source", lambda image, *names: added.extend(names) or add(image, *names)
    )
    ada.ModalBackend(n_workers=1, modules=["my_designs"]).app()
    ada.ModalBackend(n_workers=1, modules=["my_designs"], image=modal.Image.debian_slim()).app()
    assert added == ["my_designs"] * 2


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (modal.exception.AuthError("Token missing."), "modal token new"),
        (modal.exception.FunctionTimeoutError("Timed out."), "more than 86400 seconds.*timeout="),
        (modal.exception.RequestSizeError("Too large."), "too large to be sent"),
        (modal.exception.InternalError("Lost."), "smaller packet_size"),
    ],
)
def test_failures_of_modal(error, remedy, here, monkeypatch):
    def failing(self, *_):
        raise error

    monkeypatch.setattr(modal.Function, "spawn", failing)
    with pytest.raises(BackendError, match=f"^Modal: {error} .*{remedy}.*Everything finished before is saved"):
        list(ada.ModalBackend(n_workers=1).map(abs, [-1]))


def test_nobody_is_logged_in(monkeypatch, tmp_path):
    """By Modal's own client, which asks nobody before it has a token."""
    code = "import adagrid as ada; list(ada.ModalBackend(n_workers=1).map(abs, [-1]))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MODAL_")}
    environment |= {"MODAL_CONFIG_PATH": str(tmp_path / "none.toml")}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert "BackendError: Modal: Token missing" in answer.stderr
    assert "Log in: modal token new." in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "rules"),
    [
        (
            {"n_workers": 0, "n_zones": 1.5, "gpu": 4, "modules": ["no_such_module"], "speed": 3},
            ["n_workers must be .*got 0", "n_zones must", "gpu must be a kind.*got 4", "'no_such_module'", "'speed'"],
        ),
        ({"timeout": 86401}, ["timeout must be at most 86400, a day"]),
        ({"modules": "my_designs"}, ["modules must be names"]),
        ({"secrets": ["canary-4711"]}, ["number 1 of them is not"]),
        ({"image": "me/adagrid:0.1.0"}, ["image must be a modal.Image; got 'me/adagrid:0.1.0'"]),
    ],
)
def test_bad_arguments(arguments, rules):
    """All at once, and never a secret."""
    with pytest.raises(InvalidInputError) as error:
        ada.ModalBackend(**({"n_workers": 1} | arguments))
    assert len(error.value.problems) == len(rules)
    assert all(any(re.search(rule, problem) for problem in error.value.problems) for rule in rules)
    assert "canary" not in str(error.value)


def test_missing_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "modal", None)
    with pytest.raises(MissingExtraError, match=r"adagrid\[modal\]"):
        ada.ModalBackend(n_workers=1)
