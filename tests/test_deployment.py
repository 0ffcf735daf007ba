"""What is given to those who run a coach: Fly's files, compose, systemd's unit; each line that matters, with its reason."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from peers.containers import read

from adapters.serving import GOODBYE
from bot.config import Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "docs/deploy"
STOP = Settings.model_fields["grace"].default + GOODBYE
"""Seconds that a stop takes at most."""


def _seconds(text: str | int) -> int:
    return int(str(text).removesuffix("s"))


def _fly(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text())


BOTH = pytest.mark.parametrize("name", ["fly.toml", "docs/deploy/fly.postgres.toml"])


@BOTH
def test_a_machine_on_fly_never_stops_by_itself_and_is_told_to_end_in_order(name: str) -> None:
    fly = _fly(name)
    service, check = fly["http_service"], fly["http_service"]["checks"][0]
    assert service["auto_stop_machines"] == "off", "a machine that stops for want of visitors owes questions to nobody"
    assert service["min_machines_running"] >= 1, "whoever polls has no visitors that would start it"
    assert fly["restart"][0]["policy"] == "always", "a process that ended because its database stayed away is to be started again"
    assert fly["kill_signal"] == "SIGTERM", "Fly's own is SIGINT; one is as good, but a second one ends at once"
    assert STOP < _seconds(fly["kill_timeout"]) <= 300, f"a stop takes up to {STOP:.0f} s, a grade in hand included, and Fly's most is 300"
    assert check["path"] == "/healthz" and check["method"] == "GET", "/readyz would take the machine away while a platform is"
    assert _seconds(check["grace_period"]) >= 30, "the first start of a machine reads every pack"
    port = int(fly["env"]["COACH_PORT"])
    assert service["internal_port"] == port == fly["metrics"]["port"], "one port answers webhooks, checks and figures"
    assert fly["metrics"]["path"] == "/metrics", "Fly's own Prometheus asks there, past its proxy"
    assert service["force_https"], "Telegram posts to https alone, and its secret is in each request"
    assert fly["env"]["COACH_TELEGRAM_WEBHOOK_URL"] == f"https://{fly['app']}.fly.dev", "updates come to this app's own address"
    assert {name for name in fly["env"] if "TOKEN" in name or "SECRET" in name or "KEY" in name} == set(), "secrets are no file's business"
    assert fly["vm"][0]["memory"] == "1gb", "some 240 MB while it serves and grades, and room for pictures, documents and voices"
    stages = read(ROOT / "Dockerfile")
    assert fly["build"]["build-target"] in stages, "the stage is one of the Dockerfile's"
    assert ((ROOT / name).parent / fly["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile", "it is looked for beside this file"


def test_the_first_one_keeps_its_data_on_a_volume() -> None:
    fly = _fly("fly.toml")
    (volume,) = fly["mounts"]
    assert volume["destination"] == "/data" == read(ROOT / "Dockerfile")["coach"].last("VOLUME"), "the image keeps everything there"
    assert fly["env"]["COACH_DATABASE"].startswith("sqlite:////data/"), "a machine's own disk is gone at every deploy"
    assert fly["build"]["build-target"] == "rooted", "Fly's volumes belong to root: the coach could not write there"
    assert fly["deploy"]["strategy"] == "rolling", "a volume has one machine: a second one (bluegreen, canary) can't come up beside it"


def test_the_second_one_shares_postgresql_among_several_machines() -> None:
    fly = _fly("docs/deploy/fly.postgres.toml")
    assert fly["http_service"]["min_machines_running"] >= 2, "one goes on while another is replaced"
    assert "mounts" not in fly, "nothing is kept on a machine: whichever is asked answers"
    assert "COACH_DATABASE" not in fly["env"], "its URL holds a password: it is a secret"
    assert fly["deploy"]["strategy"] == "rolling", "one machine after the other"
    assert fly["build"]["build-target"] == "coach", "without a volume nothing needs root"


def test_compose_starts_the_coach_after_its_database_and_lets_both_end_in_order() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    coach, database = compose["services"]["coach"], compose["services"]["database"]
    assert coach["depends_on"]["database"]["condition"] == "service_healthy", "it would end with a sentence, and be started again"
    assert _seconds(coach["stop_grace_period"]) > STOP, "Docker's own ten seconds would cut a grade off"
    assert coach["restart"] == database["restart"] == "always", "what ended by itself is to be started again"
    assert coach["environment"]["COACH_DATABASE"].startswith("postgresql://coach:${POSTGRES_PASSWORD"), "no password stands in a file"
    assert coach["ports"] == ["127.0.0.1:8080:8080"], "figures are for this machine; a proxy in front speaks https"
    assert coach["read_only"] and coach["cap_drop"] == ["ALL"], "it writes to /data and /tmp, and needs no privilege"
    assert any(volume.endswith(":/data") for volume in coach["volumes"]), "what can be made again needs not be at every start"
    assert re.fullmatch(r"postgres:\d+\.\d+-\w+", database["image"]), "an exact version"
    assert database["volumes"][0].split(":")[0] in compose["volumes"], "the data outlives the container"


def test_the_unit_is_one_that_systemd_takes_and_that_ends_in_order(tmp_path: Path) -> None:
    unit = (DEPLOY / "coach.service").read_text()
    known = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith(("#", "Environment=")))
    assert int(known["TimeoutStopSec"]) > STOP, "a grade in hand is finished"
    assert known["Restart"] == "always" and known["StartLimitIntervalSec"] == "0", "it is started again however often it ended"
    assert known["DynamicUser"] == "yes" and known["NoNewPrivileges"] == "yes", "nobody in particular, and never more"
    assert known["KillMode"] == "mixed", "the signal goes to the coach, which ends what it has begun"
    assert "COACH_HOST=127.0.0.1" in unit, "figures are for this machine alone"
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    (tmp_path / "coach.service").write_text(unit.replace("/opt/interview-coach/.venv/bin/coach", sys.executable))
    checked = subprocess.run([analyze, "verify", str(tmp_path / "coach.service")], capture_output=True, text=True, check=False)
    if "Failed to" in checked.stderr and "bus" in checked.stderr:
        pytest.skip("systemd-analyze can't work here")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_every_way_from_a_clone_to_a_running_coach_takes_less_than_ten_commands() -> None:
    """Each of them is in docs/operating.md as one block, and names files that are there."""
    told = (ROOT / "docs/operating.md").read_text()
    for heading in ("Fly", "Fly with PostgreSQL", "A server of your own, with systemd", "Docker compose"):
        section = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^##)", told, re.MULTILINE | re.DOTALL)
        assert section is not None, heading
        block = re.search(r"```sh\n(.*?)```", section[1], re.DOTALL)
        assert block is not None, heading
        commands = [line for line in re.sub(r"\\\n", "", block[1]).splitlines() if line.strip() and not line.startswith("#")]
        assert 1 < len(commands) < 10, f"{heading}: {len(commands)} commands"
        for file in re.findall(r"\b(?:docs/deploy/[\w.]+|fly\.toml)", block[1]):
            assert (ROOT / file).is_file(), file
