"""The machine that the figures belong to, described."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

from infra.local.parts import INFLUXD_VERSION, KAFKA_VERSION, Parts

PACKAGES: Final = ("aiokafka", "confluent-kafka", "fastavro", "faust-streaming", "msgspec", "uvloop", "websockets")


def describe(parts: Parts) -> dict[str, Any]:
    """Processor, cores, memory, system, versions, and how busy the machine is already."""
    return {
        "processor": processor(Path("/proc/cpuinfo").read_text(errors="replace")),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "java": java_version(parts.java),
        "kafka": KAFKA_VERSION,
        "influxd": INFLUXD_VERSION,
        "packages": {name: version(name) for name in PACKAGES},
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def processor(cpuinfo: str) -> str:
    """The model name in the text of /proc/cpuinfo."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine() or "unknown"


def java_version(java: Path) -> str:
    """The first line that `java -version` says."""
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    return (answer.stderr.splitlines() or ["unknown"])[0].strip()


def lines(machine: dict[str, Any]) -> list[str]:
    """The description for people."""
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    load = " ".join(str(value) for value in machine["load_before"])
    text = [
        f"machine   {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}",
        f"versions  {machine['python']}, Kafka {machine['kafka']}, {machine['java']}, {packages}",
        f"load      {load} (1, 5, 15 minutes, before the first measurement)",
    ]
    if machine["load_before"][0] > machine["cores"] / 4:
        text.append("warning   this machine was not idle before: rates will be too low and latencies too long")
    return text
