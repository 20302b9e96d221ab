"""Run a few tests on the oldest Python with the oldest packages, and on the newest with the newest.

Oldest packages are those at the lower bounds of pyproject.toml, exactly; newest ones are the newest that
those bounds admit. An interpreter that cannot make an environment, or for which the packages have no
wheels, is passed over for the next one. The tests are those that ``.ci/quick_tests`` lists. A merge does
not wait for them long: what has not ended within SECONDS (180) is broken off. The last lines say
what ran and what did not.

    python .ci/oldest_and_newest.py FOLDER [SECONDS]      (FOLDER receives the environments)
"""

import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10: pip has a copy
    from pip._vendor import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
NEWEST_NAMED = 14  # python3.10 to python3.14 are looked for
EXTRAS = ("plot", "cli", "dask", "safetensors", "test")


def read_project() -> dict:
    """The table [project] of pyproject.toml."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]


def requirements(project: dict, oldest: bool) -> list[str]:
    """What the tests need, at its lower bounds or above them, without fastkb itself."""
    listed = list(project["dependencies"])
    for extra in EXTRAS:
        listed += project["optional-dependencies"][extra]
    others = [one for one in listed if not one.startswith(project["name"])]
    return [one.replace(">=", "==") if oldest else one for one in others]


def interpreters(project: dict) -> list[tuple[tuple[int, int], str]]:
    """Every admitted Python that starts, one of each version, the oldest first."""
    first = tuple(map(int, re.findall(r"\d+", project["requires-python"])[:2]))
    names = [f"python3.{minor}" for minor in range(first[1], NEWEST_NAMED + 1)]
    candidates = [path for path in map(shutil.which, names) if path]
    candidates += sorted(map(str, Path.home().glob(".pyenv/versions/*/bin/python")))
    found: dict[tuple[int, int], str] = {}
    for path in candidates:
        asked = [path, "-c", "import sys; print(*sys.version_info[:2])"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        version = tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()
        if len(version) == 2 and version >= first:
            found.setdefault((version[0], version[1]), path)
    return sorted(found.items())


def environment(path: str, folder: Path, wanted: list[str], until: float) -> str:
    """Make a virtual environment with these packages; why there is none, or nothing."""
    install = [
        str(folder / "bin" / "python"),
        *("-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--only-binary", ":all:"),  # a package that must be built is not there for this Python
    ]
    for command in ([path, "-m", "venv", str(folder)], [*install, *wanted]):
        done = run(command, until)
        if done.returncode:
            errors = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
            return (errors or done.stdout.splitlines() or ["no reason given"])[-1]
    return ""


def run(command: list[str], until: float) -> subprocess.CompletedProcess[str]:
    """Run a command, its output in one text, until a time of the monotonic clock at the latest."""
    return subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=max(0.0, until - time.monotonic()),
    )


def try_one(which: str, project: dict, work: Path, until: float) -> tuple[bool, list[str], str]:
    """Whether no test failed, what ran and what was passed over, and the tests' output."""
    wanted = requirements(project, which == "oldest")
    tests = (ROOT / ".ci" / "quick_tests").read_text(encoding="utf-8").split()
    found = interpreters(project)
    said = []
    for version, path in found if which == "oldest" else reversed(found):
        name = f"Python {version[0]}.{version[1]} with the {which} packages"
        folder = work / f"{which}-{version[0]}.{version[1]}"
        python = str(folder / "bin" / "python")
        try:
            why_not = environment(path, folder, wanted, until)
            if why_not:
                said.append(f"skipped: {name}: {why_not}")
                continue
            done = run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], until)
        except subprocess.TimeoutExpired:
            return True, [*said, f"skipped: {name}: it would take too long here"], ""
        outcome = "FAILED" if done.returncode else "ran"
        said.append(f"{outcome}: {name}: {done.stdout.splitlines()[-1]}")
        return done.returncode == 0, said, done.stdout
    return True, [*said, f"skipped: no Python could get the {which} packages"], ""


def main() -> int:
    """Both, side by side."""
    project, work = read_project(), Path(sys.argv[1])
    until = time.monotonic() + float(sys.argv[2] if len(sys.argv) > 2 else 180)
    with ThreadPoolExecutor(2) as pool:
        tries = [pool.submit(try_one, w, project, work, until) for w in ("oldest", "newest")]
    both = [one.result() for one in tries]
    for passed, _, output in both:
        if not passed:
            print(output)
    for _, said, _ in both:
        print("\n".join(said))
    return 0 if all(passed for passed, _, _ in both) else 1


if __name__ == "__main__":
    sys.exit(main())
