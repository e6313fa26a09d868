"""`python -m tests.launch SERVICE…`: start services of the local stack, print their addresses, end with stdin."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from infra.local.child import ChildSpec
from infra.local.parts import find_parts
from infra.local.ports import PortLease
from infra.local.postgres import postgres, postgres_dsn
from infra.local.services import PORT_NAMES, influxd, kafka
from infra.local.supervise import Supervisor


async def main(services: list[str]) -> None:
    """Run until standard input ends."""
    with (
        tempfile.TemporaryDirectory(prefix="dutchbook-test-") as folder,
        PortLease(PORT_NAMES) as lease,
    ):
        data_dir = Path(folder)
        data_dir.chmod(0o755)  # as root, Postgres runs as nobody and must get in
        async with Supervisor(data_dir, _say, lease.ports) as supervisor:
            supervisor.handle_signals()
            await supervisor.start(*(_spec(service, data_dir, lease.ports) for service in services))
            addresses = {
                "kafka": f"127.0.0.1:{lease.ports['us-kafka']}",
                "influx": f"http://127.0.0.1:{lease.ports['influxd']}",
                "postgres": postgres_dsn(data_dir, lease.ports),
            }
            print(json.dumps(addresses), flush=True)
            await asyncio.to_thread(sys.stdin.read)


def _spec(service: str, data_dir: Path, ports: dict[str, int]) -> ChildSpec:
    parts = find_parts()
    if service == "kafka":
        return kafka("us", parts, data_dir, ports)
    if service == "influx":
        return influxd(parts, data_dir, ports)
    return postgres(parts, data_dir, ports, _say)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
