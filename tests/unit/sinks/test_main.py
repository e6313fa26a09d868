"""The command line of the sinks, and the shape that every sink has."""

import importlib

import pytest

from schemas.topics import creations
from sinks.__main__ import SINKS, main
from sinks.task import SinkTask


@pytest.mark.parametrize("arguments", [["mongo"], [], ["influx", "postgres"]])
def test_a_wrong_name_gets_the_list_of_names(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "influx, postgres" in error
    assert ("'mongo'" in error) == (arguments == ["mongo"])


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DUTCHBOOK_SINK_BATCH_RECORDS", "many")
    assert main(["postgres"]) == 2
    assert "DUTCHBOOK_SINK_BATCH_RECORDS" in capsys.readouterr().err


@pytest.mark.parametrize("name", SINKS)
def test_every_sink_reads_topics_that_exist_in_us(name: str) -> None:
    task: SinkTask = importlib.import_module(SINKS[name]).make_task()
    assert task.name == name
    assert set(task.topics) <= {creation.name for creation in creations("us")}
    task.stop()
