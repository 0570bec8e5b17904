"""What a process imports for a report."""

import subprocess
import sys

import pytest


@pytest.mark.usefixtures("real_interpreter")
def test_the_report_is_light_to_import():
    heavy = ("tensorflow", "pandas", "pyarrow", "numpy", "kfp", "mlflow")
    check = f"import sys, kfp_ct.report.report; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
