"""The manifests hang together: names, ports, rights, probes; no cluster runs here."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from detector.kafka.settings import KafkaSettings
from tests.conftest import ROOT
from tests.test_docker import arguments
from tests.test_docker_compose import parse
from tests.test_repository import project

FOLDER = ROOT / "docker" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
RESOURCES: list[dict[str, Any]] = [
    resource
    for name in KUSTOMIZATION["resources"]
    for resource in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))
]
WORKLOADS = [one for one in RESOURCES if one["kind"] in {"Job", "Deployment", "StatefulSet"}]
SERVERS = [one for one in WORKLOADS if one["kind"] != "Job"]
CONTAINERS = [
    (one, container)
    for one in WORKLOADS
    for container in [
        *one["spec"]["template"]["spec"].get("initContainers", []),
        *one["spec"]["template"]["spec"]["containers"],
    ]
]
EACH = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one["metadata"]["name"])
EACH_SERVER = pytest.mark.parametrize("server", SERVERS, ids=lambda one: one["metadata"]["name"])
EACH_CONTAINER = pytest.mark.parametrize(
    ("workload", "container"), CONTAINERS, ids=[container["name"] for _, container in CONTAINERS]
)


def of_kind(kind: str) -> list[dict[str, Any]]:
    """All resources of a kind."""
    return [one for one in RESOURCES if one["kind"] == kind]


def labels(workload: dict[str, Any]) -> dict[str, str]:
    """Labels of its pods."""
    found: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return found


def test_every_manifest_is_part_of_it() -> None:
    """A file that kustomize does not name is applied by nobody."""
    files = {path.name for path in FOLDER.iterdir()} - {"kustomization.yaml"}
    keys = [(one["kind"], one["metadata"]["name"]) for one in RESOURCES]

    assert files == set(KUSTOMIZATION["resources"])
    assert len(keys) == len(set(keys))
    assert {
        "StatefulSet",
        "Deployment",
        "Job",
        "Service",
        "PodDisruptionBudget",
        "NetworkPolicy",
    } <= {kind for kind, _ in keys}


@EACH
def test_pods_are_unprivileged(workload: dict[str, Any]) -> None:
    """As the namespace enforces: `restricted`; the user is the image's."""
    pod = workload["spec"]["template"]["spec"]
    (namespace,) = of_kind("Namespace")
    uid, gid = (int(part) for part in arguments("USER")[-1].split(":"))

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": uid,
        "runAsGroup": gid,
        "fsGroup": gid,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@EACH_CONTAINER
def test_containers_have_limits_and_no_rights(
    workload: dict[str, Any], container: dict[str, Any]
) -> None:
    """Read-only, no capabilities, bounded memory; what is mounted is there."""
    pod = workload["spec"]["template"]["spec"]
    mounted = {one["name"] for one in container["volumeMounts"]}

    assert container["image"] == "audit-anomaly-detector"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    assert mounted <= {one["name"] for one in pod["volumes"]}
    assert all("sizeLimit" in one.get("emptyDir", {"sizeLimit": 0}) for one in pod["volumes"])


def test_our_commands_exist_with_their_options() -> None:
    """As in the compose file."""
    for _, container in CONTAINERS:
        if "args" in container:
            parse(container["args"])


@EACH_SERVER
def test_servers_are_probed_where_they_answer(server: dict[str, Any]) -> None:
    """Alive decides about a restart, ready about traffic; a slow start is not a death."""
    (container,) = server["spec"]["template"]["spec"]["containers"]
    ports = {one["name"] for one in container["ports"]}
    probes = {
        name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    }

    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    assert {probe["port"] for probe in probes.values()} <= ports


@EACH_SERVER
def test_servers_have_a_service_a_budget_and_a_rule_of_traffic(server: dict[str, Any]) -> None:
    """All of them select its pods, by ports that exist."""
    ports = {one["name"] for one in server["spec"]["template"]["spec"]["containers"][0]["ports"]}
    mine = labels(server)
    (service,) = [one for one in of_kind("Service") if one["spec"]["selector"] == mine]
    budgets = [
        one["spec"]
        for one in of_kind("PodDisruptionBudget")
        if one["spec"]["selector"]["matchLabels"] == mine
    ]
    rules = [
        one["spec"]
        for one in of_kind("NetworkPolicy")
        if one["spec"]["podSelector"].get("matchLabels") == mine
    ]

    assert server["spec"]["selector"]["matchLabels"] == mine
    assert server["spec"]["replicas"] >= 2
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    assert len(budgets) == len(rules) == 1
    assert {port["port"] for rule in rules[0]["ingress"] for port in rule["ports"]} <= ports
    if server["kind"] == "StatefulSet":
        assert server["spec"]["serviceName"] == service["metadata"]["name"]


def test_what_is_not_allowed_is_forbidden() -> None:
    """The first policy closes everything, in both directions."""
    (closed,) = [
        one["spec"] for one in of_kind("NetworkPolicy") if one["metadata"]["name"] == "nothing"
    ]

    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_settings_are_the_program_s_and_hold_no_secret() -> None:
    """Passwords are files of Secrets that are made elsewhere."""
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    settings = dict(one.split("=", 1) for one in generated["literals"])
    kafka = {name.removeprefix("DETECTOR_KAFKA_").lower() for name in settings if "KAFKA" in name}

    assert kafka <= set(KafkaSettings.model_fields)
    assert set(settings) - {f"DETECTOR_KAFKA_{name.upper()}" for name in kafka} == {
        "DETECTOR_METRICS_ADDRESS"
    }
    assert all("PASSWORD" not in name or value[0] == "/" for name, value in settings.items())
    assert of_kind("Secret") == []


def test_every_secret_is_told_in_the_readme() -> None:
    """With each key that a container reads as a file."""
    page = (ROOT / "docker" / "README.md").read_text("utf-8")
    for workload in WORKLOADS:
        pod = workload["spec"]["template"]["spec"]
        (name,) = [one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one]
        (command,) = re.findall(rf"create secret generic {name} ([^\n`]*(?:\\\n[^\n`]*)*)", page)
        files = set(re.findall(r"/run/secrets/detector/([\w-]+)", yaml.safe_dump(workload)))
        if "envFrom" in pod["containers"][0]:
            files |= {"kafka-password"}
        assert files <= set(re.findall(r"--from-file=([\w-]+)=", command)), name


def test_the_image_is_this_version_s() -> None:
    """An overlay may say another."""
    (image,) = KUSTOMIZATION["images"]

    assert (image["name"], image["newTag"]) == ("audit-anomaly-detector", project()["version"])
