"""Terraform's check, with a made-up terraform: what it skips, what it reports, and that it leaves nothing behind."""

import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest

from infra.terraform import check
from infra.terraform.check import CheckFailed, Result, Skipped, find_plugins, take_line

PROVIDER = "registry.example/hashicorp/aws/5.100.0/linux_amd64/terraform-provider-aws_v5.100.0_x5"

SCRIPT = """#!/bin/sh
echo "$1 $PWD ${TF_DATA_DIR:-} ${AWS_PROFILE:-none}" >> "$CALLS"
case "$1" in
  version) echo '{"terraform_version": "'"${SAYS_VERSION:-1.11.4}"'"}' ;;
  fmt) [ "${BAD:-}" != fmt ] || { echo main.tf; exit 3; } ;;
  init) touch .terraform.lock.hcl; [ "${BAD:-}" != init ] || { echo "no such provider" >&2; exit 1; } ;;
  validate) [ "${BAD:-}" != validate ] || { echo "Unsupported argument"; exit 1; } ;;
  test) cat "$EVENTS"; [ "${BAD:-}" != test ] ;;
esac
"""

PLAN = {"type": "aws_sns_topic", "address": "aws_sns_topic.x", "change": {"after": {"kms_master_key_id": "key"}}}


def event(kind: str, **fields: Any) -> str:
    return json.dumps(
        {"@level": "info", "@testrun": fields.pop("run", "platform"), **fields, "type": kind}, separators=(",", ":")
    )


def summary(status: str = "pass", passed: int = 12) -> str:
    return event(
        "test_summary", test_summary={"status": status, "passed": passed}, **{"@message": "Failure! 1 failed."}
    )


def diagnostic(detail: str, severity: str = "error") -> str:
    place = {"filename": "tests/platform.tftest.hcl", "start": {"line": 7}}
    return event("diagnostic", diagnostic={"severity": severity, "summary": "Failed", "detail": detail, "range": place})


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a terraform, a provider in a named folder, and a test that passes."""
    binary = tmp_path / "bin" / "terraform"
    binary.parent.mkdir()
    binary.write_text(SCRIPT)
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    provider = tmp_path / "plugins" / PROVIDER
    provider.parent.mkdir(parents=True)
    provider.touch()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for name in [name for name in os.environ if name.startswith(("TF_", "AWS_", "DUTCHBOOK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{binary.parent}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("EVENTS", str(tmp_path / "events"))
    monkeypatch.setenv("TF_PLUGINS_DIR", str(tmp_path / "plugins"))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    say(tmp_path, event("test_plan", test_plan={"resource_changes": [PLAN]}), summary())
    return tmp_path


def say(machine: Path, *events: str) -> None:
    (machine / "events").write_text("".join(f"{line}\n" for line in events))


def calls(machine: Path) -> list[list[str]]:
    return [line.split() for line in (machine / "calls").read_text().splitlines()]


def tree() -> set[Path]:
    return {file for file in check.HERE.rglob("*") if "__pycache__" not in file.parts}


# -- when all is well --------------------------------------------------------------------------------------------------


def test_both_environments_are_checked_in_a_copy(
    machine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "a-real-account")
    before = tree()
    assert check.main() == 0
    assert capsys.readouterr().out.splitlines() == [
        "terraform: staging: 12 tests passed, 1 resources looked at",
        "terraform: production: 12 tests passed, 1 resources looked at",
    ]
    assert [call[0] for call in calls(machine)] == ["version", "fmt", *["init", "validate", "test"] * 2]
    for step, folder, *rest in calls(machine):
        inside = step in {"init", "validate", "test"}
        assert folder.startswith(str(machine / "scratch")) == inside
        assert rest[-1] == "none", "no account is passed on"
        if inside:
            assert rest[0].startswith(str(machine / "scratch"))
    assert list((machine / "scratch").iterdir()) == []
    assert tree() == before


def test_the_copy_has_the_shared_tests_and_nothing_private(machine: Path, tmp_path: Path) -> None:
    folder = check.copy_for("staging", tmp_path / "copy")
    tests = {file.name for file in (folder / "tests").glob("*.tftest.hcl")}
    assert {"jurisdictions.tftest.hcl", "platform.tftest.hcl", "staging.tftest.hcl"} <= tests
    assert (folder / "tests" / "mocks" / "us").is_dir()
    assert (folder / "../../topics.json").resolve().is_file()
    assert not list((tmp_path / "copy").rglob("*.py"))


# -- what is not there -------------------------------------------------------------------------------------------------


def test_without_terraform_it_says_so(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(machine / "nowhere"))
    assert check.main() == 0
    assert capsys.readouterr().out == "terraform: SKIPPED: no terraform binary on this machine\n"


def test_an_old_terraform_is_not_used(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAYS_VERSION", "1.9.8")
    assert check.main() == 0
    assert capsys.readouterr().out == "terraform: SKIPPED: terraform 1.9.8 is older than 1.11\n"


def test_without_a_provider_form_alone_is_checked(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TF_PLUGINS_DIR")
    monkeypatch.setattr(check, "plugin_folders", lambda _environment: iter([machine / "empty"]))
    assert check.main() == 0
    said = capsys.readouterr().out
    assert said.startswith("terraform: SKIPPED: validate and test: no provider hashicorp/aws 5.100.x on this machine")
    assert len(said.splitlines()) == 1
    assert [call[0] for call in calls(machine)] == ["version", "fmt"]


def test_a_named_folder_without_the_provider_is_a_mistake(machine: Path) -> None:
    with pytest.raises(CheckFailed, match=r"TF_PLUGINS_DIR: no hashicorp/aws 5.100.x in /no/such"):
        find_plugins({"TF_PLUGINS_DIR": "/no/such"})


def test_the_registry_is_used_only_when_asked_for(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "plugin_folders", lambda _environment: iter(()))
    assert find_plugins({"DUTCHBOOK_TERRAFORM_REGISTRY": "1"}) is None
    with pytest.raises(Skipped):
        find_plugins({"DUTCHBOOK_TERRAFORM_REGISTRY": "0"})


def test_the_provider_is_found_where_providers_lie(machine: Path) -> None:
    home = machine / "home"
    for folder in (home / "tf-plugins", home / ".terraform.d/plugins", home / "cache", home / "mirror"):
        provider = folder / PROVIDER
        provider.parent.mkdir(parents=True)
        provider.touch()
    configuration = home / ".terraformrc"
    configuration.write_text('provider_installation {\n  filesystem_mirror {\n    path = "~/mirror"\n  }\n}\n')
    looked_at = list(check.plugin_folders({"HOME": str(home), "TF_PLUGIN_CACHE_DIR": str(home / "cache")}))
    assert [folder for folder in looked_at if check.has_provider(folder) and home in folder.parents] == [
        home / "tf-plugins", home / "cache", home / "mirror", home / ".terraform.d/plugins",
    ]  # fmt: skip
    (home / "old" / "registry.terraform.io/hashicorp/aws/5.99.0/linux_amd64").mkdir(parents=True)
    assert not check.has_provider(home / "old")


# -- what is wrong -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("fmt", "terraform: fmt would change\nmain.tf\n"),
        ("init", "terraform: staging: init\nno such provider\n"),
        ("validate", "terraform: staging: validate\nUnsupported argument\n"),
        ("test", "terraform: staging: test\nterraform test ended with code 1\n"),
    ],
)
def test_each_step_that_fails_fails_the_check(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bad: str, said: str
) -> None:
    monkeypatch.setenv("BAD", bad)
    assert check.main() == 1
    assert capsys.readouterr().err == said
    assert list((machine / "scratch").iterdir()) == []


def test_a_failed_assertion_is_named_with_its_place(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BAD", "test")
    say(machine, diagnostic("No store may be public."), diagnostic("a hint", "warning"), summary("fail"))
    assert check.main() == 1
    said = capsys.readouterr().err
    assert "tests/platform.tftest.hcl:7: Failed: No store may be public.\n" in said
    assert "hint" not in said


def test_what_the_sweep_finds_fails_the_check(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(machine, event("test_plan", test_plan={"resource_changes": [PLAN | {"type": "aws_lb"}]}), summary())
    assert check.main() == 1
    assert "aws_sns_topic.x: a way in from outside" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([summary()], "no plan of the run 'platform' was seen"),
        ([event("test_plan", run="other", test_plan={"resource_changes": [PLAN]}), summary()], "no plan of the run"),
        ([event("test_plan", test_plan={"resource_changes": [PLAN]}), summary("fail")], "Failure! 1 failed."),
        (["Segmentation fault"], "Segmentation fault"),
    ],
)
def test_silence_is_no_success(machine: Path, capsys: pytest.CaptureFixture[str], events: list[str], said: str) -> None:
    say(machine, *events)
    assert check.main() == 1
    assert said in capsys.readouterr().err


def test_a_plan_that_is_not_swept_is_not_even_read() -> None:
    result = Result()
    take_line('{"@level":"info","@testrun":"other",' + "x" * 2000 + '"type":"test_plan"}\n', result)
    assert (result.failures, result.resources) == ([], 0)


def test_a_terraform_that_says_nothing_of_its_version_is_reported(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAYS_VERSION", '"')
    with pytest.raises(CheckFailed, match="does not say its version"):
        check.find_terraform()
