"""Packaging. What `pip install` brings is what starts `ct`; the sets that it works with are extras, and locked."""

from pathlib import Path

from setuptools import find_packages, setup

REQUIREMENTS = Path(__file__).parent / "requirements"


def _requirements(name: str) -> list[str]:
    lines = (REQUIREMENTS / f"{name}.in").read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-"))]


setup(
    name="kfp-ct",
    version="0.1.0",
    description="Continuous training of TensorFlow models: Kubeflow Pipelines components with Cloud Build CI/CD",
    long_description=(Path(__file__).parent / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["kfp_ct", "kfp_ct.*"]),
    package_data={
        # Dotfiles are named: no pattern matches them by itself.
        "kfp_ct": ["**/*", "new/templates/repository/**/.*", "new/templates/repository/.ci/*"],
    },
    exclude_package_data={"": ["*.pyc", "*_cache/*", "*__pycache__/*"]},
    install_requires=["typer"],
    extras_require={
        "author": _requirements("author"),
        "components": _requirements("components-current"),
        "components-older-glibc": _requirements("components-older-glibc"),
    },
    entry_points={"console_scripts": ["ct=kfp_ct.cli.main:main"]},
)
