"""A plugin of pytest: writes the id of the first test that fails, or of the file that cannot be collected."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser):
    parser.addoption("--first-failure", type=Path, help="file for the id of the first test that fails")


def pytest_configure(config):
    config.pluginmanager.register(_FirstFailure(config.getoption("--first-failure")))


class _FirstFailure:
    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.failed and not self._file.exists():
            self._file.write_text(report.nodeid)
