"""AWS credentials for tests: fixed and fake ones, while whatever the machine has is out of sight."""

from pathlib import Path

import pytest

KEY_ID = "AKIDEXAMPLE"
KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def give(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A role's three values, as a process in a container would be given them."""
    for name in ("AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in zip(
        KEY_VARIABLES, (KEY_ID, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a session"), strict=True
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(folder / "none"))


def take(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are none any more."""
    for name in KEY_VARIABLES:
        monkeypatch.delenv(name)
