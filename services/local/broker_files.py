"""What the local broker is started with: one KRaft node on loopback, as strict as Strimzi where it matters."""

from pathlib import Path

JAVA_OPTIONS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
"""Small and quick to start; a broker of one machine gains nothing from the server compiler in its first minutes."""

QUIET_LOG = """\
<Configuration status="WARN">
  <Appenders>
    <Console name="out"><PatternLayout pattern="%d{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}{UTC} %p %c{1}: %m%n"/></Console>
  </Appenders>
  <Loggers>
    <Logger name="kafka.server" level="INFO"/>
    <Logger name="kafka.server.KafkaConfig" level="WARN"/>
    <Logger name="org.apache.kafka.raft.KafkaRaftClient" level="INFO"/>
    <Logger name="org.apache.kafka.storage.internals.log.LogLoader" level="INFO"/>
    <Root level="WARN"><AppenderRef ref="out"/></Root>
  </Loggers>
</Configuration>
"""


def server_properties(data: Path, broker_port: int, controller_port: int) -> str:
    """server.properties of a single node that is broker and controller, without topics made by accident."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{broker_port},CONTROLLER://127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        # one node can hold one copy
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # small: fewer files, buffers and threads
        "offsets.topic.num.partitions": 3,
        "transaction.state.log.num.partitions": 3,
        "share.coordinator.state.topic.num.partitions": 1,
        "log.index.size.max.bytes": 1 << 20,
        "log.cleaner.dedupe.buffer.size": 8 << 20,
        "num.network.threads": 2,
        "num.io.threads": 4,
        # quick: nobody else may join a group or hold the last broker's registration
        "group.initial.rebalance.delay.ms": 0,
        "broker.heartbeat.interval.ms": 500,
        "broker.session.timeout.ms": 3000,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
