"""The whole product on one machine: what can be known of it where no container engine runs."""

from __future__ import annotations

import json
import re
import shlex
import stat
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from jsonschema import Draft7Validator

from detector.cli.main import cli
from detector.kafka.settings import KafkaSettings
from detector.store.roles import ROLES
from tests.conftest import ROOT
from tests.parts.postgresql import binary, server
from tests.test_docker import arguments
from tests.test_repository import project

DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EACH = pytest.mark.parametrize("name", SERVICES)
ENDS_BY_ITSELF = {"topics", "tables"}


def bound_files(service: dict[str, Any]) -> list[str]:
    """Paths of the repository that a service sees."""
    return [volume.split(":")[0] for volume in service.get("volumes", []) if volume[0] == "."]


def test_it_fits_the_compose_specification() -> None:
    """That of 2021 (tests/schemas): all but the project's name, which came later."""
    schema = json.loads((ROOT / "tests" / "schemas" / "compose.json").read_text("utf-8"))
    content = {key: value for key, value in COMPOSE.items() if key != "name"}
    wrong = [error.message[:300] for error in Draft7Validator(schema).iter_errors(content)]

    assert wrong == []
    assert re.fullmatch(r"[a-z0-9-]+", COMPOSE["name"])


def test_all_parts_are_there() -> None:
    """One command starts everything."""
    assert set(SERVICES) - ENDS_BY_ITSELF == {
        "kafka", "postgresql", "prometheus", "alertmanager", "grafana", "consumer", "console",
    }  # fmt: skip


@EACH
def test_a_service_can_do_little_harm(name: str) -> None:
    """No root, no rights, nothing to write to but what is named, limits on memory and processor."""
    service = SERVICES[name]

    assert re.fullmatch(r"[1-9]\d*:\d+", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert all(volume.endswith(":ro") for volume in service.get("volumes", []) if volume[0] == ".")


@EACH
def test_a_service_that_runs_on_says_whether_it_is_well(name: str) -> None:
    """And is started again; the others end, and what needs them waits for that."""
    service = SERVICES[name]
    if name in ENDS_BY_ITSELF:
        assert service["restart"] == "no"
        waits = [
            one["depends_on"][name]
            for one in SERVICES.values()
            if name in one.get("depends_on", {})
        ]
        assert waits
        assert all(wait == {"condition": "service_completed_successfully"} for wait in waits)
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"


@EACH
def test_images_have_a_fixed_tag(name: str) -> None:
    """Ours that of this version."""
    image = SERVICES[name]["image"]

    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?", image)
    if image.startswith("audit-anomaly-detector:"):
        assert image == f"audit-anomaly-detector:{project()['version']}"


@EACH
def test_what_a_service_names_exists(name: str) -> None:
    """Files, volumes, secrets, services it waits for."""
    service = SERVICES[name]
    volumes = {one.split(":")[0] for one in service.get("volumes", []) if one[0] != "."}

    assert all((DOCKER / path).exists() for path in bound_files(service))
    assert volumes <= set(COMPOSE["volumes"])
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_no_secret_is_in_the_file() -> None:
    """Passwords are files; what the environment holds is where they lie."""
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|KEY", variable):
                assert value.removeprefix("/run/secrets/") in service["secrets"], variable
        for secret in service.get("secrets", []):
            assert COMPOSE["secrets"][secret] == {"file": f"./secrets/{secret}"}


def test_our_commands_exist_with_their_options() -> None:
    """A renamed option would fail on somebody's machine only."""
    for service in SERVICES.values():
        if service["image"].startswith("audit-anomaly-detector:"):
            parse(service["command"])


def parse(words: list[str]) -> None:
    """Parse a command as its container would, groups too; files in it lie in the image."""
    command: Any = cli
    rest = words
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(words[0], list(rest))
    for word in rest:
        if word.startswith("/usr/share/detector/"):
            assert (ROOT / word.removeprefix("/usr/share/detector/")).exists()
    assert "pipelines /usr/share/detector/pipelines" in arguments("COPY")


def test_the_commands_of_the_readme_exist_with_their_options() -> None:
    """Those of `detector`, in this container or in one's own shell."""
    page = (DOCKER / "README.md").read_text("utf-8").replace("\\\n", " ")
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    told = re.findall(r"(?:^|console |token )detector ([a-z].*)$", blocks, re.MULTILINE)

    assert len(told) == 3
    for command in told:
        parse(shlex.split(command))


def test_the_files_of_the_readme_s_commands_exist() -> None:
    """`sh docker/...`, `-f docker/...`, `-k docker/...`: from the repository's root."""
    page = (DOCKER / "README.md").read_text("utf-8")
    named = set(re.findall(r"(?:^sh|-f|-k) (docker/[\w./-]+)", page, re.MULTILINE))

    assert {"docker/make-secrets.sh", "docker/compose.yaml", "docker/kubernetes"} <= named
    assert all((ROOT / path).exists() for path in named)


def test_settings_of_kafka_are_the_program_s() -> None:
    """An unknown variable is ignored, and the detector would look for its broker elsewhere."""
    names = set(SERVICES["consumer"]["environment"]) - {
        "DETECTOR_STORE", "DETECTOR_METRICS_ADDRESS", "PGPASSWORD_FILE",
    }  # fmt: skip

    assert names == {"DETECTOR_KAFKA_BOOTSTRAP"}
    assert {name.removeprefix("DETECTOR_KAFKA_").lower() for name in names} <= set(
        KafkaSettings.model_fields
    )


def test_topics_are_those_of_the_pipeline() -> None:
    """The broker makes none by itself."""
    made = set(re.findall(r"^make ([\w-]+) ", SERVICES["topics"]["command"][0], re.MULTILINE))
    pipeline = (ROOT / "pipelines" / "access-events.toml").read_text("utf-8")
    named = set(re.findall(r'^topics? = \[?"([\w-]+)"', pipeline, re.MULTILINE))

    assert made == named
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_prometheus_and_grafana_find_the_others_by_name() -> None:
    """Host names of the other files are services here."""
    text = "".join(
        path.read_text("utf-8")
        for path in [
            *DOCKER.glob("prometheus/*.yml"),
            *DOCKER.glob("grafana/provisioning/*/*.yaml"),
        ]
    )
    hosts = set(re.findall(r"(?:\"|//|url: )([a-z]+):\d{4,5}\b", text))

    assert {"consumer", "alertmanager", "prometheus", "postgresql"} <= hosts
    assert hosts <= set(SERVICES)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A copy of the script, and what it has made."""
    (tmp_path / "make-secrets.sh").write_bytes((DOCKER / "make-secrets.sh").read_bytes())
    run_script(tmp_path)
    return tmp_path / "secrets"


def run_script(folder: Path) -> str:
    """Run the script as the README says; return what it printed."""
    command = ["sh", str(folder / "make-secrets.sh")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_every_secret_is_made_once(made: Path) -> None:
    """Long, different, in a closed folder, not printed, and kept when the script runs again."""
    first = {path.name: path.read_text() for path in made.iterdir()}
    said = run_script(made.parent)

    assert said == ""
    assert {path.name: path.read_text() for path in made.iterdir()} == first
    assert set(first) == set(COMPOSE["secrets"])
    assert len(set(first.values())) == len(first)
    assert all(re.fullmatch(r"[\w-]{48}", secret) for secret in first.values())
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_secrets_are_neither_committed_nor_sent_to_the_build() -> None:
    """One `git add .` away."""
    assert "docker/secrets/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert "*" in (ROOT / ".dockerignore").read_text("utf-8").splitlines()


def test_the_roles_get_the_passwords_of_the_files(made: Path, tmp_path: Path) -> None:
    """At the first start, before the tables are there: as the image runs it, on a real server."""
    script = (DOCKER / "postgresql" / "roles.sql").read_text("utf-8")
    (tmp_path / "roles.sql").write_text(script.replace("/run/secrets", str(made)))
    with server() as running:
        url = running.url("postgres")
        command = [binary("psql"), "--no-psqlrc", url, "--file", str(tmp_path / "roles.sql")]
        subprocess.run(command, check=True, capture_output=True)
        with psycopg.connect(url) as db:
            held = db.execute(
                "select rolname, rolcanlogin, rolsuper, rolpassword like 'SCRAM-SHA-256$%%' "
                "from pg_authid where rolname = any(%s)",
                (list(ROLES),),
            ).fetchall()

    assert sorted(held) == [(role, True, False, True) for role in sorted(ROLES)]
