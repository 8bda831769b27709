"""One command that checks everything: format, lint, types, layers, tests. ``./nb tests`` runs it."""

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PYTHON = [sys.executable, "-m"]
WORKERS = str((os.cpu_count() or 1) + 1)  # tests with real processes wait half of their time
STEPS = (
    ("format", [*PYTHON, "ruff", "format", "--check", "."]),
    ("lint", [*PYTHON, "ruff", "check", "."]),
    ("layers", [str(Path(sys.executable).parent / "lint-imports")]),
    ("types", [*PYTHON, "pyright", "--warnings", "--pythonpath", sys.executable]),
    ("tests", [*PYTHON, "pytest", "-n", WORKERS, "--dist", "worksteal"]),
)


def main() -> int:
    """Run the steps in order; stop at the first that fails."""
    for name, command in STEPS:
        started = time.monotonic()
        print(f"== {name}", flush=True)  # noqa: T201 - the report of a command
        extra = sys.argv[1:] if name == "tests" else []
        if code := subprocess.run([*command, *extra], cwd=HERE, check=False).returncode:
            print(f"== {name} failed", flush=True)  # noqa: T201 - the report of a command
            return code
        print(f"== {name} ok in {time.monotonic() - started:.0f} s", flush=True)  # noqa: T201 - as above
    return 0


if __name__ == "__main__":
    sys.exit(main())
