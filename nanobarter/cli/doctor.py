"""``nbctl doctor``: what works, what does not, and what to do. Exit 0 all is well, 1 something fails, 5 no daemon."""

import argparse
import resource
import shutil
import stat
from collections.abc import Iterator

import msgspec

from nanobarter.cli.client import Answer, Client
from nanobarter.cli.exits import CommandFailed, Exit
from nanobarter.cli.talk import answer_json
from nanobarter.core.limits import LIMITS
from nanobarter.daemon.config_file import load_config
from nanobarter.daemon.diagnosis import Finding, disk, files, seed
from nanobarter.daemon.facade_doctor import doctor_of
from nanobarter.daemon.home import Home, default_home


def doctor(asked: argparse.Namespace) -> int:
    """Ask the daemon how it is; without one, look at what can be seen from outside."""
    home = Home.open(asked.home or default_home())
    try:
        told = Client(home).get("/v1/doctor")
    except CommandFailed as failed:
        if failed.code != Exit.NO_DAEMON:
            raise
        told = _from_outside(home, failed)
    if asked.json:
        answer_json(told)
    else:
        for line in _lines(told):
            print(line)
    if not told["daemon"]:
        return Exit.NO_DAEMON
    return Exit.DONE if told["ok"] else Exit.FAILED


def _from_outside(home: Home, failed: CommandFailed) -> Answer:
    config = load_config(home.config_path, folders_must_exist=False)
    findings = [
        Finding("daemon", "fail", str(failed), failed.hint),
        Finding("config", "ok", str(home.config_path)),
        disk(shutil.disk_usage(home.path).free, config.offer.space_bytes),
        seed(stat.S_IMODE(home.seed_path.stat().st_mode)),
        files(resource.getrlimit(resource.RLIMIT_NOFILE)[0], LIMITS.connections_max),
    ]
    told: Answer = msgspec.to_builtins(doctor_of(findings, daemon=False))
    return told


def _lines(told: Answer) -> Iterator[str]:
    for row in told["checks"]:
        yield f"{row['state']:<5} {row['name']:<10} {row['told']}"
        if row["hint"] and row["state"] != "ok":
            yield f"{'':<5} {'':<10} -> {row['hint']}"
