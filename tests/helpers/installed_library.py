"""The library as its users have it: a wheel, installed into environments of their own, outside of any clone."""

import dataclasses
import os
import subprocess
import sysconfig
from pathlib import Path

import repository_copy
from kfp_ct.project.environments import component_python
from repository import AUTHOR, ROOT

UV = AUTHOR / "bin" / "uv"
SITE_PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))"


def build_wheel(folder: Path, *options: str) -> Path:
    """Builds the wheel of this repository from a copy, so that nothing is left in it."""
    sources = repository_copy.make(folder / "sources")
    command = [UV, "build", "--quiet", *options, "--out-dir", folder / "dist", sources]
    done = subprocess.run(command, env=outside(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def outside(**variables: str) -> dict[str, str]:
    """The variables of a process that must not find this repository's sources, environments or state."""
    ours = {"PYTHONPATH", "CT_HOME", "CT_COMPONENT_PYTHON", "VIRTUAL_ENV"}
    return {**{name: value for name, value in os.environ.items() if name not in ours}, **variables}


def install(folder: Path, python: Path, wheel: Path) -> Path:
    """Makes an environment with the wheel, and all else that another one has; returns its interpreter."""
    own = folder / "bin" / "python"
    subprocess.run([UV, "venv", "--quiet", "--python", python, folder], env=outside(), check=True)
    command = [UV, "pip", "install", "--quiet", "--no-deps", "--python", own, wheel]
    subprocess.run(command, env=outside(), check=True)
    # Read after the environment's own, so that its kfp_ct comes first; .pth files in it have no effect.
    borrowed = subprocess.run([python, "-c", SITE_PACKAGES], capture_output=True, text=True, check=True).stdout
    Path(_site_packages(own), "borrowed.pth").write_text(borrowed)
    return own


def _site_packages(python: Path) -> str:
    return subprocess.run([python, "-c", SITE_PACKAGES], capture_output=True, text=True, check=True).stdout.strip()


@dataclasses.dataclass(frozen=True)
class OwnRepository:
    """A repository that `ct init` made, with its two environments."""

    root: Path

    def ct(self, *arguments: str, code: int = 0) -> str:
        """Runs its `ct` in it; returns what that prints."""
        return self.run(self.root / ".venv" / "bin" / "ct", *arguments, code=code)

    def test(self, *arguments: str, code: int = 0) -> str:
        """Runs its tests of components."""
        return self.run(self.root / ".venv-components/bin/python", "-m", "pytest", "-q", *arguments, code=code)

    def run(self, *command: str | Path, code: int = 0) -> str:
        """Runs a command in it; returns what that prints."""
        done = subprocess.run(command, cwd=self.root, env=outside(), capture_output=True, text=True)
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        assert done.returncode == code, said
        return said


def make_repository(folder: Path, wheel: Path) -> OwnRepository:
    """Has the installed `ct` make a repository; set-up's place is taken by environments that borrow from these."""
    tools = install(folder / "tools", Path(sysconfig.get_path("scripts"), "python"), wheel)
    root = folder / "my-models"
    subprocess.run([tools.parent / "ct", "init", root], cwd=folder, env=outside(), check=True, capture_output=True)
    install(root / ".venv", AUTHOR / "bin" / "python", wheel)
    install(root / ".venv-components", component_python(ROOT), wheel)
    return OwnRepository(root)
