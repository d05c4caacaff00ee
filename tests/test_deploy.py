"""What is under ``deploy/`` for people to copy works as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from proxy.settings import Settings
from proxy.settings_file import load_with_origins

DEPLOY = Path(__file__).parents[1] / "deploy"
EXAMPLE = DEPLOY / "orchtax.example.yaml"


def test_check_accepts_the_example(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ORCHTAX_")}
    command = [sys.executable, "-m", "proxy.cli", "check", "--json", "--config", str(EXAMPLE)]
    paths = {"PYTHONPATH": str(DEPLOY.parent)}
    done = subprocess.run(command, cwd=tmp_path, env={**clean, **paths}, capture_output=True, timeout=60, check=False)
    answer = json.loads(done.stdout)
    assert answer["problems"] == []
    assert answer["file"] == str(EXAMPLE)


def test_the_example_keeps_to_loopback() -> None:
    settings = load_with_origins(str(EXAMPLE), {}).settings
    assert settings.listen.startswith("127.0.0.1:")
    assert settings.admin.listen.startswith("127.0.0.1:")


def test_the_service_waits_longer_than_a_drain_takes() -> None:
    unit = (DEPLOY / "systemd" / "orchtax.service").read_text("utf-8")
    stop_s = next(int(line.partition("=")[2]) for line in unit.splitlines() if line.startswith("TimeoutStopSec="))
    assert stop_s > Settings().drain_s + 5 + 20  # what the supervisor grants workers beyond it, and the collector
