"""A real Apache Kafka: KRaft, one or three nodes, free loopback ports, a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError

VERSION = "4.1.0"
PASSWORDS = {"worker": "worker-secret-1", "stranger": "stranger-secret-2"}
"""Of the SASL users: `worker` may do everything, `stranger` nothing."""

_START_TIMEOUT_S = 90.0
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>parts</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{version}</version>
  </dependency></dependencies>
</project>
"""
_JVM = ("-Xms96m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


def free_ports(n: int) -> list[int]:
    """Return n ports nobody listens on."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def jars() -> Path:
    """Return the folder of Kafka's jars; fetched through Maven the first time."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "audit-anomaly-detector" / f"kafka-{VERSION}"
    if not (folder / "libs").is_dir():
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
        fresh.mkdir(parents=True, exist_ok=True)
        (fresh / "pom.xml").write_text(_POM.format(version=VERSION))
        goal = ["dependency:copy-dependencies", "-DoutputDirectory=libs"]
        subprocess.run(["mvn", "-q", "-B", *goal], cwd=fresh, check=True, timeout=600)
        folder.mkdir(exist_ok=True)
        shutil.move(fresh / "libs", folder / "libs")
        shutil.rmtree(fresh)
    return folder / "libs"


def _java(*arguments: str | Path) -> list[str]:
    return ["java", *_JVM, "-cp", f"{jars()}/*", *map(str, arguments)]


@dataclass(slots=True)
class Certificates:
    """A certificate authority of our own, and one nobody trusts."""

    folder: Path
    ca: Path = field(init=False)
    wrong_ca: Path = field(init=False)
    server: Path = field(init=False)

    def __post_init__(self) -> None:
        """Issue them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        authority, other = trustme.CA(), trustme.CA()
        self.ca, self.wrong_ca = self.folder / "ca.pem", self.folder / "wrong-ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        other.cert_pem.write_to_path(self.wrong_ca)
        issued = authority.issue_cert("localhost", "127.0.0.1")
        key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
        pkcs8 = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self.server = self.folder / "server.pem"
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        self.server.write_bytes(pkcs8 + chain)


@dataclass(slots=True)
class _Node:
    number: int
    folder: Path
    port: int
    controller_port: int
    secure_ports: dict[str, int]
    process: subprocess.Popen[bytes] | None = None


class KafkaCluster:
    """Some nodes; every node is broker and controller.

    Args:
        folder: where logs, data and certificates go.
        n_nodes: one, or three for a cluster that survives the loss of a node.
    """

    def __init__(self, folder: Path, n_nodes: int = 1) -> None:
        self.folder = folder
        self.certificates = Certificates(folder / "certificates")
        self._cluster_id = uuid.uuid4().hex[:22]
        names = ("SSL", "SASL_SSL", "SASL_PLAINTEXT")
        ports = iter(free_ports(n_nodes * 5))
        self._nodes = [
            _Node(i, folder / f"node{i}", next(ports), next(ports), {n: next(ports) for n in names})
            for i in range(1, n_nodes + 1)
        ]

    @property
    def bootstrap(self) -> str:
        """Addresses without encryption or password."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self._nodes)

    def secure(self, protocol: str) -> str:
        """Address of the first node's SSL, SASL_SSL or SASL_PLAINTEXT listener."""
        return f"localhost:{self._nodes[0].secure_ports[protocol]}"

    def start(self) -> None:
        """Format and start all nodes; return when every one answers."""
        for node in self._nodes:
            self._format(node)
            self._spawn(node)
        self.wait()

    def wait(self) -> None:
        """Return when every running node answers.

        Raises:
            TimeoutError: it does not; with the end of its output.
        """
        deadline = time.monotonic() + _START_TIMEOUT_S
        running = [node for node in self._nodes if node.process is not None]
        while time.monotonic() < deadline:
            if self._n_brokers() == len(running):
                return
            time.sleep(0.2)
        outputs = [(node.folder / "output").read_text()[-2000:] for node in running]
        raise TimeoutError("\n".join(outputs))

    def _n_brokers(self) -> int:
        try:
            for node in self._nodes:
                if node.process is not None:
                    socket.create_connection(("127.0.0.1", node.port), 1).close()
        except OSError:
            return 0
        try:
            admin = self.admin(bootstrap_timeout_ms=3000)
        except KafkaError:
            return 0
        try:
            return len(admin.describe_cluster()["brokers"])
        except KafkaError:
            return 0
        finally:
            admin.close()

    def admin(self, **options: object) -> KafkaAdminClient:
        """Return an administration client; the caller closes it."""
        servers = [
            f"127.0.0.1:{node.port}" for node in self._nodes if node.process is not None
        ] or [self.bootstrap]
        return KafkaAdminClient(bootstrap_servers=servers, **options)

    def create_topic(self, name: str, partitions: int = 1, **configs: str) -> str:
        """Create a topic, on three nodes with three replicas; return its name."""
        configs = {key.replace("_", "."): value for key, value in configs.items()}
        n_replicas = len(self._nodes)
        if n_replicas > 1:
            configs.setdefault("min.insync.replicas", "2")
        admin = self.admin()
        try:
            topic = NewTopic(name, partitions, n_replicas, topic_configs=configs)
            admin.create_topics([topic])
            admin.wait_for_topics([name])
        finally:
            admin.close()
        return name

    def kill(self, number: int) -> None:
        """End a node as a power cut would."""
        self._end(self._nodes[number - 1], signal.SIGKILL)

    def restart(self, number: int) -> None:
        """Start a node again on its old data."""
        self._spawn(self._nodes[number - 1])

    def stop(self) -> None:
        """End all nodes."""
        for node in self._nodes:
            self._end(node, signal.SIGKILL)

    def _end(self, node: _Node, number: int) -> None:
        if node.process is not None:
            node.process.send_signal(number)
            node.process.wait(30)
            node.process = None

    def _format(self, node: _Node) -> None:
        node.folder.mkdir(parents=True)
        (node.folder / "server.properties").write_text(self._properties(node))
        scram = [
            part
            for user, password in PASSWORDS.items()
            for part in ("--add-scram", f"SCRAM-SHA-256=[name={user},password={password}]")
        ]
        settings = ["-t", self._cluster_id, "-c", str(node.folder / "server.properties")]
        command = _java("kafka.tools.StorageTool", "format", *settings, *scram)
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def _spawn(self, node: _Node) -> None:
        with (node.folder / "output").open("ab") as output:
            node.process = subprocess.Popen(
                _java("kafka.Kafka", node.folder / "server.properties"),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def _properties(self, node: _Node) -> str:
        voters = ",".join(f"{n.number}@127.0.0.1:{n.controller_port}" for n in self._nodes)
        listeners = [f"PLAINTEXT://127.0.0.1:{node.port}"]
        listeners += [f"{name}://localhost:{port}" for name, port in node.secure_ports.items()]
        n = len(self._nodes)
        users = " ".join(f'user_{name}="{word}"' for name, word in PASSWORDS.items())
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        bearer = (
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
            'unsecuredLoginStringClaim_sub="broker";'
        )
        content = {
            "process.roles": "broker,controller",
            "node.id": node.number,
            "controller.quorum.voters": voters,
            "listeners": ",".join([*listeners, f"CONTROLLER://127.0.0.1:{node.controller_port}"]),
            "advertised.listeners": ",".join(listeners),
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": (
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,"
                "SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"
            ),
            "log.dirs": node.folder / "data",
            "offsets.topic.replication.factor": n,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": n,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.min.isr": 1 if n == 1 else 2,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "auto.create.topics.enable": "false",
            "num.network.threads": 2,
            "num.io.threads": 2,
            "broker.session.timeout.ms": 4000,
            "log.retention.check.interval.ms": 1000,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:worker",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.certificates.server,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificates.ca,
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,OAUTHBEARER",
        }
        for listener in ("sasl_ssl", "sasl_plaintext"):
            prefix = f"listener.name.{listener}"
            content[f"{prefix}.plain.sasl.jaas.config"] = f"{plain} {users};"
            content[f"{prefix}.scram-sha-256.sasl.jaas.config"] = scram
            content[f"{prefix}.oauthbearer.sasl.jaas.config"] = bearer
        return "".join(f"{name}={value}\n" for name, value in content.items())


@contextmanager
def running(folder: Path, n_nodes: int = 1) -> Iterator[KafkaCluster]:
    """Start a cluster, and stop it whatever happens."""
    cluster = KafkaCluster(folder, n_nodes)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
