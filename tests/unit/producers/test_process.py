from typing import Any

import pytest

from producers.home import require_home
from producers.kalshi.feed import make_feed as make_kalshi
from producers.polymarket.feed import make_feed as make_polymarket
from producers.process import first_cause, main
from runtime.settings import SettingsError
from schemas.records import Venue
from tests.unit.producers.support import FakePublisher, make_tools


def test_a_producer_refuses_a_foreign_region() -> None:
    require_home("kalshi", "us")
    with pytest.raises(SettingsError, match="DUTCHBOOK_REGION is eu: the kalshi producer runs in region us only"):
        require_home("kalshi", "eu")


@pytest.mark.parametrize(
    ("venue", "make", "region"), [("kalshi", make_kalshi, "eu"), ("polymarket", make_polymarket, "us")]
)
def test_the_region_setting_is_what_counts(
    venue: Venue, make: Any, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUTCHBOOK_REGION", region)
    with pytest.raises(SettingsError, match=f"DUTCHBOOK_REGION is {region}"):
        make(make_tools(venue, FakePublisher()))


def test_a_wrong_setting_ends_with_its_name_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DUTCHBOOK_BOOK_DEPTH", "many")
    assert main("kalshi", make_kalshi) == 2
    assert "DUTCHBOOK_BOOK_DEPTH" in capsys.readouterr().err


def test_the_first_cause_is_found_inside_groups() -> None:
    cause = KeyError("k")
    assert first_cause(ExceptionGroup("a", [ExceptionGroup("b", [cause]), ValueError()])) is cause
