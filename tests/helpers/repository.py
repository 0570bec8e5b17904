"""The repository that tests belong to, and what set-up has put into it."""

from pathlib import Path

from kfp_ct.project import environments

ROOT = Path(__file__).resolve().parents[2]
AUTHOR = ROOT / environments.AUTHOR
DATA = ROOT / environments.DATA
