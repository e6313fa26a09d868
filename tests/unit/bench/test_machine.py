"""Describing the machine."""

from bench.machine import lines, processor

CPUINFO = "processor\t: 0\nvendor_id\t: Some\nmodel name\t: A Processor @ 2 GHz\n\nprocessor\t: 1\nmodel name\t: B\n"


def test_processor_is_the_first_model_name() -> None:
    assert processor(CPUINFO) == "A Processor @ 2 GHz"


def test_a_processor_without_a_name_is_called_something() -> None:
    assert processor("processor\t: 0\n")


def facts(load: float) -> dict[str, object]:
    return {
        "processor": "A Processor", "cores": 2, "memory_gib": 4.0, "system": "Linux 6", "python": "CPython 3.11",
        "java": "openjdk 25", "kafka": "4", "packages": {"uvloop": "1"}, "load_before": [load, 0.0, 0.0],
    }  # fmt: skip


def test_a_busy_machine_is_warned_of() -> None:
    assert not any("warning" in line for line in lines(facts(0.4)))
    assert any("warning" in line for line in lines(facts(0.6)))
