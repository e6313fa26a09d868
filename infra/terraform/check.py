"""`python -m infra.terraform.check`: form, validity and tests of both environments, offline.

Works on a copy in a temporary folder, so nothing is left in the tree and two may run at once. Needs a `terraform` of
1.11 or newer on the path and a provider `hashicorp/aws` 5.100 on this machine; what is missing is said in one line, and
the check ends with 0. `DUTCHBOOK_TERRAFORM_REGISTRY=1` lets Terraform fetch the provider instead.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from infra.terraform.sweep import sweep

HERE: Final = Path(__file__).resolve().parent
ENVIRONMENTS: Final = ("staging", "production")
OLDEST: Final = (1, 11)
PROVIDER: Final = "hashicorp/aws"
PROVIDER_VERSION: Final = "5.100."
PLUGINS_VARIABLE: Final = "TF_PLUGINS_DIR"
REGISTRY_VARIABLE: Final = "DUTCHBOOK_TERRAFORM_REGISTRY"
SWEPT_RUN: Final = "platform"
"""The test run whose whole plan is looked at as well."""

LOCAL_ONLY: Final = shutil.ignore_patterns(
    ".terraform", "*.tfstate*", "*.tfplan", "terraform.tfvars", "backend.hcl", "*.py", "__pycache__"
)


class CheckFailed(RuntimeError):
    """Something is wrong with the configuration, or it could not be checked; the message says what."""


class Skipped(Exception):
    """What is needed is not on this machine; the message says what."""


def main() -> int:
    """Check both environments; 0 when all is right or had to be skipped, else 1."""
    try:
        terraform = find_terraform()
        check_form(terraform)
        plugins = find_plugins(os.environ)
        for environment in ENVIRONMENTS:
            result = check_environment(terraform, plugins, environment)
            print(f"terraform: {environment}: {result.passed} tests passed, {result.resources} resources looked at")
    except Skipped as reason:
        print(f"terraform: SKIPPED: {reason}")
        return 0
    except CheckFailed as error:
        print(f"terraform: {error}", file=sys.stderr)
        return 1
    return 0


# -- what is on this machine -----------------------------------------------------------------------------------------


def find_terraform() -> str:
    """The binary; raises Skipped when there is none, or only an older one."""
    binary = shutil.which("terraform")
    if binary is None:
        raise Skipped("no terraform binary on this machine")
    said = run([binary, "version", "-json"], HERE, child_environment(None))
    try:
        version = str(json.loads(said)["terraform_version"])
        number = tuple(int(part) for part in version.split(".")[:2])
    except (ValueError, KeyError) as error:
        raise CheckFailed(f"{binary} version does not say its version: {said[:200]!r}") from error
    if number < OLDEST:
        raise Skipped(f"terraform {version} is older than {OLDEST[0]}.{OLDEST[1]}")
    return binary


def find_plugins(environment: Mapping[str, str]) -> Path | None:
    """The folder with the provider; None when the registry is to be used. Raises Skipped, or CheckFailed."""
    named = environment.get(PLUGINS_VARIABLE)
    if named:
        if not has_provider(Path(named)):
            raise CheckFailed(f"{PLUGINS_VARIABLE}: no {PROVIDER} {PROVIDER_VERSION}x in {named}")
        return Path(named).resolve()
    if environment.get(REGISTRY_VARIABLE) == "1":
        return None
    for folder in plugin_folders(environment):
        if has_provider(folder):
            return folder.resolve()
    raise Skipped(
        f"validate and test: no provider hashicorp/aws {PROVIDER_VERSION}x on this machine "
        f"({PLUGINS_VARIABLE}=FOLDER names one, {REGISTRY_VARIABLE}=1 fetches it)"
    )


def has_provider(folder: Path) -> bool:
    """Whether the provider lies there as Terraform lays it out, unpacked or as archives."""
    place = f"*/{PROVIDER}"  # below the host that it came from
    unpacked = folder.glob(f"{place}/{PROVIDER_VERSION}*/*/terraform-provider-aws_*")
    archives = folder.glob(f"{place}/terraform-provider-aws_{PROVIDER_VERSION}*.zip")
    return any(True for _ in (*unpacked, *archives))


def plugin_folders(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where providers usually lie: a folder `tf-plugins`, Terraform's cache, its mirrors, its implied mirrors."""
    home = Path(environment.get("HOME", "/nonexistent"))
    for base in (Path("/opt"), Path("/usr/share"), Path("/usr/local"), Path("/usr/local/share"), home):
        yield base / "tf-plugins"
    if environment.get("TF_PLUGIN_CACHE_DIR"):
        yield Path(environment["TF_PLUGIN_CACHE_DIR"])
    yield from configured_mirrors(Path(environment.get("TF_CLI_CONFIG_FILE") or home / ".terraformrc"))
    yield home / ".terraform.d" / "plugins"
    yield home / ".terraform.d" / "plugin-cache"
    for base in (home / ".local/share", Path("/usr/local/share"), Path("/usr/share")):
        yield base / "terraform" / "plugins"


def configured_mirrors(file: Path) -> Iterator[Path]:
    """The folders that Terraform's own configuration file names as mirrors or cache."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    for name in re.findall(r'^\s*(?:path|plugin_cache_dir)\s*=\s*"([^"]+)"', text, re.MULTILINE):
        yield Path(os.path.expandvars(name)).expanduser()


# -- the check -------------------------------------------------------------------------------------------------------


def check_form(terraform: str) -> None:
    """Raise CheckFailed naming the files that `terraform fmt` would change."""
    run([terraform, "fmt", "-check", "-recursive", "-no-color"], HERE, child_environment(None), "fmt would change")


@dataclass(slots=True)
class Result:
    """What a test run came to."""

    passed: int = 0
    resources: int = 0
    failures: list[str] = field(default_factory=list)


def check_environment(terraform: str, plugins: Path | None, environment: str) -> Result:
    """Initialise, validate and test a copy of one environment; raises CheckFailed."""
    with tempfile.TemporaryDirectory(prefix="dutchbook-terraform-") as scratch:
        folder = copy_for(environment, Path(scratch))
        variables = child_environment(plugins) | {"TF_DATA_DIR": str(Path(scratch) / "data")}
        mirror = [] if plugins is None else [f"-plugin-dir={plugins}"]
        init = [terraform, "init", "-backend=false", "-input=false", "-no-color", *mirror]
        run(init, folder, variables, f"{environment}: init")
        run([terraform, "validate", "-no-color"], folder, variables, f"{environment}: validate")
        return run_tests(terraform, folder, variables, environment)


def copy_for(environment: str, scratch: Path) -> Path:
    """The environment's folder in a copy of everything, with the tests that both environments share beside its own."""
    root = scratch / "terraform"
    shutil.copytree(HERE, root, ignore=LOCAL_ONLY)
    folder = root / "envs" / environment
    shutil.copytree(root / "tests", folder / "tests", dirs_exist_ok=True)
    return folder


def run_tests(terraform: str, folder: Path, variables: dict[str, str], environment: str) -> Result:
    """Run `terraform test`, sweep one plan, and return what was counted; raises CheckFailed with everything wrong."""
    argv = [terraform, "test", "-json", "-verbose"]
    process = subprocess.Popen(
        argv, cwd=folder, env=variables, text=True, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    result = Result()
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            take_line(line, result)
    if process.returncode != 0 and not result.failures:
        result.failures.append(f"terraform test ended with code {process.returncode}")
    if result.resources == 0:
        result.failures.append(f"no plan of the run {SWEPT_RUN!r} was seen")
    if result.failures:
        raise CheckFailed("\n".join([f"{environment}: test", *result.failures]))
    return result


def take_line(line: str, result: Result) -> None:
    """One line of `terraform test -json -verbose`. A plan's line is 14 MB: those that are not swept are not parsed."""
    if '"type":"test_plan"' in line[-200:] and f'"@testrun":"{SWEPT_RUN}"' not in line[:1000]:
        return
    try:
        event = json.loads(line)
    except ValueError:
        result.failures.append(line.rstrip())
        return
    kind = event.get("type")
    if kind == "test_plan" and event.get("@testrun") == SWEPT_RUN:
        changes = event["test_plan"]["resource_changes"]
        result.resources += len(changes)
        result.failures += sweep(changes)
    elif kind == "diagnostic" and event["diagnostic"].get("severity") == "error":
        result.failures.append(describe(event["diagnostic"]))
    elif kind == "test_summary":
        result.passed = event["test_summary"].get("passed", 0)
        if event["test_summary"].get("status") != "pass" and not result.failures:
            result.failures.append(event.get("@message", "tests failed"))


def describe(diagnostic: Mapping[str, Any]) -> str:
    """An error as one line or two: where, what, and why."""
    place = diagnostic.get("range") or {}
    where = f"{place['filename']}:{place['start']['line']}: " if place else ""
    return f"{where}{diagnostic.get('summary', '')}: {diagnostic.get('detail', '')}".strip()


# -- running terraform -----------------------------------------------------------------------------------------------


def child_environment(plugins: Path | None) -> dict[str, str]:
    """The environment without accounts and without settings that would change what Terraform does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    if plugins is None and os.environ.get("TF_CLI_CONFIG_FILE"):
        kept["TF_CLI_CONFIG_FILE"] = os.environ["TF_CLI_CONFIG_FILE"]
    elif plugins is not None:
        kept["TF_CLI_CONFIG_FILE"] = os.devnull
    return kept | {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}


def run(argv: list[str], folder: Path, variables: dict[str, str], step: str = "terraform") -> str:
    """What the command wrote to standard output; raises CheckFailed with all that it said when it fails."""
    done = subprocess.run(argv, cwd=folder, env=variables, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise CheckFailed(f"{step}\n{(done.stdout + done.stderr).strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
