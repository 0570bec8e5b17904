"""Packaging: what Beam workers install (`--setup_file`), with the library's version as it is pinned."""

from pathlib import Path

from setuptools import find_packages, setup

PIN = Path(__file__).parent / "requirements" / "kfp-ct.txt"
(library,) = [line.split()[0] for line in PIN.read_text().splitlines() if line.startswith("kfp-ct==")]

setup(
    name="my-repository",
    version="0.1.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["components", "components.*", "pipelines", "pipelines.*"]),
    package_data={"": ["*.sql", "*.pbtxt", "settings/*.yaml"]},
    install_requires=[library],
)
