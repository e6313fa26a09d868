"""The foreign services of the local stack: two Kafka clusters, MirrorMaker 2, InfluxDB, PostgreSQL.

Each function writes the service's settings below the data folder and returns the `ChildSpec` that runs it. Everything
listens on 127.0.0.1 only.
"""

import asyncio
import base64
import http.client
import math
import time
import urllib.parse
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from infra.local.child import ChildSpec, NotReady, Run, attempt
from infra.local.parts import Parts
from infra.local.postgres import postgres

PORT_NAMES = ("us-kafka", "us-controller", "eu-kafka", "eu-controller", "influxd", "postgres")
INFLUX_DATABASE = "market"
PROBE_S = 1.0
FRESH_HEARTBEAT_S = 3.0  # they beat every second; a restarted mirror needs longer than this to come back

# Class data sharing is the JDK's default archive. The first compiler tier alone
# halves the start-up work of three JVMs on two cores; `Heap.full_compiler` turns the second on for measurements.
JVM_FLAGS = ("-XX:+UseSerialGC", "-Xshare:auto", "-Djava.awt.headless=true", "-XX:+ExitOnOutOfMemoryError")

LOG4J = """status = error
appender.main.type = Console
appender.main.name = main
appender.main.layout.type = PatternLayout
appender.main.layout.pattern = %d{{ISO8601}} %-5p %c{{1}}: %m%n
rootLogger.level = {level}
rootLogger.appenderRef.main.ref = main
logger.started.name = kafka.server.KafkaRaftServer
logger.started.level = info
"""

# Apache Kafka documentation, "Broker Configs" and "KRaft"; one node is broker and controller.
SERVER = """process.roles = broker,controller
node.id = 1
controller.quorum.voters = 1@127.0.0.1:{controller}
listeners = PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners = PLAINTEXT://127.0.0.1:{port}
controller.listener.names = CONTROLLER
inter.broker.listener.name = PLAINTEXT
listener.security.protocol.map = CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs = {logs}
auto.create.topics.enable = false
num.partitions = 1
offsets.topic.replication.factor = 1
offsets.topic.num.partitions = 4
transaction.state.log.replication.factor = 1
transaction.state.log.min.isr = 1
transaction.state.log.num.partitions = 4
share.coordinator.state.topic.replication.factor = 1
share.coordinator.state.topic.min.isr = 1
group.initial.rebalance.delay.ms = 0
log.message.timestamp.type = CreateTime
log.message.timestamp.after.max.ms = 9223372036854775807
log.segment.bytes = 67108864
num.network.threads = 2
num.io.threads = 4
log.cleaner.dedupe.buffer.size = 16777216
message.max.bytes = 8388608
"""

INFLUXD = """reporting-disabled = true
bind-address = "127.0.0.1:{backup}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  index-version = "tsi1"
  query-log-enabled = false
  max-series-per-database = 0
  max-values-per-tag = 0
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  flux-enabled = true
  log-enabled = false
  max-body-size = 0
[logging]
  level = "warn"
"""


MIRRORMAKER = "org.apache.kafka.connect.mirror.MirrorMaker"

# Unless told that plug-ins announce themselves, Connect looks through every class of every jar: 2 s and 300 MB.
# A killed mirror's successor waits until its dead member is given up; 6 s is the least a broker allows by default.
QUICK_MIRROR = """
plugin.discovery = service_load
us.plugin.discovery = service_load
eu.plugin.discovery = service_load
us.scheduled.rebalance.max.delay.ms = 0
eu.scheduled.rebalance.max.delay.ms = 0
us.session.timeout.ms = 6000
eu.session.timeout.ms = 6000
us.heartbeat.interval.ms = 2000
eu.heartbeat.interval.ms = 2000
"""


@dataclass(frozen=True, slots=True)
class Java:
    """How the JVMs are run: the program, the jars, whether the optimising compiler may work too, and other jars."""

    program: Path
    libs: Path
    full_compiler: bool = False
    more_libs: tuple[Path, ...] = ()

    def command(self, heap_mb: int, log4j: Path, main: str, *arguments: str) -> tuple[str, ...]:
        """A JVM with this heap limit running the class `main` of the Kafka jars."""
        tiers = () if self.full_compiler else ("-XX:TieredStopAtLevel=1",)
        heap = ("-Xms64m", f"-Xmx{heap_mb}m")
        logging = f"-Dlog4j2.configurationFile={log4j.as_uri()}"
        jars = ":".join(f"{folder}/*" for folder in (self.libs, *self.more_libs))
        return (str(self.program), *heap, *JVM_FLAGS, *tiers, logging, "-cp", jars, main, *arguments)


def write_log4j(folder: Path, level: str = "warn") -> Path:
    """The logging settings of a JVM: warnings to standard output, which the supervisor keeps small."""
    file = folder / "log4j2.properties"
    file.write_text(LOG4J.format(level=level))
    return file


def kafka(
    region: str, parts: Parts, data_dir: Path, ports: Mapping[str, int], full_compiler: bool = False
) -> ChildSpec:
    """The single-node KRaft cluster of a region. Ready when it answers a metadata request."""
    folder = data_dir.absolute() / f"{region}-kafka"
    logs = folder / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    port = ports[f"{region}-kafka"]
    properties = folder / "server.properties"
    properties.write_text(SERVER.format(port=port, controller=ports[f"{region}-controller"], logs=logs))
    java = Java(parts.java, parts.kafka_libs, full_compiler)
    log4j = write_log4j(folder)

    async def prepare(run: Run) -> None:
        if not (logs / "meta.properties").exists():
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "x")
            arguments = ("format", "--ignore-formatted", "-t", cluster, "-c", str(properties))
            await run(java.command(128, log4j, "kafka.tools.StorageTool", *arguments))

    def probe() -> None:
        from confluent_kafka.admin import AdminClient

        AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0}).list_topics(timeout=PROBE_S)

    return ChildSpec(
        name=f"{region}-kafka",
        argv=java.command(384, log4j, "kafka.Kafka", str(properties)),
        cwd=folder,
        prepare=prepare,
        ready=attempt(probe),
        ready_within_s=90,
        stop_within_s=15,
    )


def mirrormaker(
    properties: str, parts: Parts, data_dir: Path, ports: Mapping[str, int], full_compiler: bool = False
) -> ChildSpec:
    """MirrorMaker 2 in dedicated mode, both directions in one JVM. Ready when fresh heartbeats cross both ways.

    `properties` is the text of its settings file, as `schemas.topics.mirrormaker_properties` makes it.
    """
    folder = data_dir.absolute() / "mirrormaker"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "mm2.properties"
    file.write_text(properties + QUICK_MIRROR)
    java = Java(parts.java, parts.kafka_libs, full_compiler)
    bootstraps = {region: f"127.0.0.1:{ports[f'{region}-kafka']}" for region in ("us", "eu")}

    async def prepare(_run: Run) -> None:
        await asyncio.to_thread(create_heartbeats, tuple(bootstraps.values()))

    def probe() -> None:
        for source, target in (("eu", "us"), ("us", "eu")):
            if age_of_last(bootstraps[target], f"{source}.heartbeats") > FRESH_HEARTBEAT_S:
                raise NotReady(f"no fresh heartbeat from {source} has reached {target}")

    return ChildSpec(
        name="mirrormaker",
        argv=java.command(384, write_log4j(folder), MIRRORMAKER, str(file)),
        cwd=folder,
        prepare=prepare,
        ready=attempt(probe),
        ready_within_s=120,
        after=("us-kafka", "eu-kafka"),
        stop_within_s=15,
    )


def create_heartbeats(bootstraps: Sequence[str]) -> None:
    """Create MirrorMaker's topic `heartbeats` in each cluster.

    It would do so itself, but after its first look at the topics, and copy it only from the next look on, 10 s later.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic

    topic = NewTopic("heartbeats", num_partitions=1, replication_factor=1, config={"cleanup.policy": "compact"})
    for bootstrap in bootstraps:
        client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        try:
            client.create_topics([topic])["heartbeats"].result(timeout=30)
        except KafkaException as problem:
            if problem.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def age_of_last(bootstrap: str, topic: str) -> float:
    """Seconds since the newest record of partition 0 was made, by its timestamp; infinite when there is none."""
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "probe", "log_level": 0})
    try:
        end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=PROBE_S)[1]
        consumer.assign([TopicPartition(topic, 0, max(0, end - 1))])
        message = consumer.poll(PROBE_S)
    except KafkaException:
        return math.inf
    finally:
        consumer.close()
    return time.time() - message.timestamp()[1] / 1000 if message and not message.error() else math.inf


def influxd(parts: Parts, data_dir: Path, ports: Mapping[str, int]) -> ChildSpec:
    """InfluxDB 1.8 with Flux and the v2 write API. Ready when it answers and the database `market` exists.

    `ports` needs `influxd`; its backup service, which cannot be turned off, gets whatever port the kernel gives it.
    """
    folder = data_dir.absolute() / "influxd"
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "influxd.conf"
    settings.write_text(INFLUXD.format(folder=folder, port=ports["influxd"], backup=0))
    statement = urllib.parse.urlencode({"q": f'create database "{INFLUX_DATABASE}"'})

    def probe() -> None:
        for method, path in (("GET", "/ping"), ("POST", f"/query?{statement}")):
            connection = http.client.HTTPConnection("127.0.0.1", ports["influxd"], timeout=PROBE_S)
            with closing(connection):
                connection.request(method, path)
                answer = connection.getresponse()
                if answer.status >= 300:
                    raise NotReady(f"{method} {path} answers {answer.status} {answer.reason}")

    return ChildSpec(
        name="influxd",
        argv=(str(parts.influxd), "-config", str(settings)),
        cwd=folder,
        ready=attempt(probe),
        ready_within_s=60,
        stop_within_s=15,
    )


def foreign_services(
    parts: Parts, data_dir: Path, ports: Mapping[str, int], mirrormaker_properties: str
) -> Sequence[ChildSpec]:
    """All five, in the order in which they are worth showing."""
    return (
        kafka("us", parts, data_dir, ports),
        kafka("eu", parts, data_dir, ports),
        influxd(parts, data_dir, ports),
        postgres(parts, data_dir, ports),
        mirrormaker(mirrormaker_properties, parts, data_dir, ports),
    )
