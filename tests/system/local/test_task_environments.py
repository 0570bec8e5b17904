"""Tasks that install packages run in environments of their own; the package comes from a folder, without a network."""

import zipfile

import kfp
import pytest
from kfp import dsl

import any_packages

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dsl.component(base_image=any_packages.IMAGE, packages_to_install=["moo-of-tests==1.5"], install_kfp_package=False)
def moo(text: str) -> str:
    import sys

    import moo_of_tests

    return f"{moo_of_tests.SOUND} {len(text)} {sys.prefix}"


@dsl.pipeline(name="cows")
def cows(text: str = "x") -> str:
    return moo(text=text).output


def wheel(folder, name, version, files):
    """Writes a wheel; it needs nothing to be built with."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/METADATA": METADATA.format(name=name, version=version)}.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/WHEEL", WHEEL)
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path, monkeypatch, real_interpreter):
    """A folder instead of an index: what uv takes kfp and the package from."""
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    (tmp_path / "wheels").mkdir()
    wheel(tmp_path / "wheels", "kfp", kfp.__version__, {"kfp_here.pth": f"{kfp.__path__[0].removesuffix('/kfp')}\n"})
    return tmp_path / "wheels"


def test_a_package_is_installed_once_into_an_environment_of_its_own(tmp_path, index):
    wheel(index, "moo_of_tests", "1.5", {"moo_of_tests.py": "SOUND = 'moo'\n"})
    file, home = any_packages.compiled(cows, tmp_path / "cows.yaml"), tmp_path / "home"
    done, record = any_packages.run(home, file)
    assert done.code == 0, done.err
    sound, length, prefix = record["outputs"]["Output"].split()
    assert (sound, length) == ("moo", "1")
    assert prefix.startswith(str(home / "environments"))
    (index / "moo_of_tests-1.5-py3-none-any.whl").unlink()
    (tmp_path / "arguments.json").write_text('{"text": "' + "y" * 200_000 + '"}')
    again, record = any_packages.run(home, file, "--arguments", str(tmp_path / "arguments.json"))
    assert again.code == 0, again.err
    assert record["outputs"]["Output"] == f"moo 200000 {prefix}"


def test_what_cannot_be_had_is_refused_with_the_reason_before_anything_runs(tmp_path, index):
    file = any_packages.compiled(cows, tmp_path / "cows.yaml")
    done, record = any_packages.run(tmp_path / "home", file)
    assert (done.code, record) == (2, {})
    assert "the packages that tasks install cannot be installed here: moo-of-tests" in done.err
    assert "moo-of-tests was not found" in done.err
    assert not list((tmp_path / "home").glob("runs/*"))
