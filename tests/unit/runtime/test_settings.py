"""Secrets may come as text or as files, one way at a time; what is wrong is named, and no secret is shown."""

import pytest

from runtime.settings import InfluxSettings, KalshiSettings, PostgresSettings, SettingsError, load

SECRET = "a-secret-of-its-own"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"KEY_ID": "id"}, "DUTCHBOOK_KALSHI_KEY_ID and DUTCHBOOK_KALSHI_PRIVATE_KEY_FILE (or DUTCHBOOK_KALSHI_PRIV"),
        ({"PRIVATE_KEY": SECRET}, "go together"),
        ({"PRIVATE_KEY_FILE": "key.pem"}, "go together"),
        (
            {"KEY_ID": "id", "PRIVATE_KEY": SECRET, "PRIVATE_KEY_FILE": "key.pem"},
            "of DUTCHBOOK_KALSHI_PRIVATE_KEY_FILE and DUTCHBOOK_KALSHI_PRIVATE_KEY set one, not both",
        ),
    ],
)
def test_kalshis_key_is_whole_and_single(given: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"DUTCHBOOK_KALSHI_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load(KalshiSettings)
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"USERNAME": "u"}, "DUTCHBOOK_INFLUX_USERNAME and DUTCHBOOK_INFLUX_PASSWORD go together"),
        ({"PASSWORD": SECRET}, "DUTCHBOOK_INFLUX_USERNAME and DUTCHBOOK_INFLUX_PASSWORD go together"),
        (
            {"USERNAME": "u", "PASSWORD": SECRET, "TOKEN": SECRET},
            "set DUTCHBOOK_INFLUX_TOKEN, or DUTCHBOOK_INFLUX_USERNAME and _PASSWORD, not both",
        ),
    ],
)
def test_influx_is_signed_in_to_in_one_way(given: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"DUTCHBOOK_INFLUX_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load(InfluxSettings)
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "credentials"),
    [
        ({}, {"token": "dutchbook:dutchbook"}),
        ({"TOKEN": "t"}, {"token": "t"}),
        ({"USERNAME": "u", "PASSWORD": "p"}, {"username": "u", "password": "p"}),
    ],
)
def test_what_influx_is_signed_in_to_with(
    given: dict[str, str], credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"DUTCHBOOK_INFLUX_{name}", value)
    assert load(InfluxSettings).credentials() == credentials


def test_secrets_do_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KALSHI_KEY_ID": "id",
        "KALSHI_PRIVATE_KEY": SECRET,
        "INFLUX_USERNAME": "u",
        "INFLUX_PASSWORD": SECRET,
        "POSTGRES_PASSWORD": SECRET,
    }.items():
        monkeypatch.setenv(f"DUTCHBOOK_{name}", value)
    for kind in (KalshiSettings, InfluxSettings, PostgresSettings):
        settings = load(kind)
        assert SECRET not in f"{settings!r} {settings} {settings.model_dump()}"
