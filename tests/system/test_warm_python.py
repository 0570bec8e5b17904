"""A warm Python answers as Python does: output, exit codes, signals, files; and is Python itself where it must be."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import warm_python
from interpreters import REAL

SLEEP = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Has imported something that Python does not import by itself, and something that is not there."""
    return warm_python.interpreter(tmp_path_factory.mktemp("warm"), Path(REAL), ("wave", "no_such_module"))


def run(python, *arguments, **options):
    return subprocess.run([python, *arguments], capture_output=True, text=True, **options)


def ended(pid):
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_its_imports_are_done(python):
    done = run(python, "-c", "import sys; print('wave' in sys.modules, __name__)")
    assert (done.stdout, done.stderr, done.returncode) == ("True __main__\n", "", 0)


def test_modules_code_and_files_run_with_arguments_input_folder_and_variables(python, tmp_path):
    (tmp_path / "beside.py").write_text("FOUND = 'beside'")
    script = tmp_path / "script.py"
    script.write_text("import sys, beside; print(beside.FOUND, sys.argv[1:], __file__)")
    assert run(python, "-m", "json.tool", "--compact", input='{"a": 1}').stdout == '{"a":1}\n'
    assert run(python, str(script), "x").stdout == f"beside ['x'] {script}\n"
    code = "import os, sys; print(os.getcwd(), os.environ.get('A'), sys.argv)"
    variables = {**os.environ, "A": "b"}
    assert run(python, "-c", code, "y", cwd=tmp_path, env=variables).stdout == f"{tmp_path} b ['-c', 'y']\n"
    assert run(python, "-c", "import beside", env={**os.environ, "PYTHONPATH": str(tmp_path)}).returncode == 0
    assert run(python, "-c", "import beside", env={**os.environ, "PYTHONPATH": ""}).returncode == 1


def test_warnings_are_filtered_as_asked(python):
    code = "import sys, warnings; warnings.warn('w'); print('wave' in sys.modules)"
    done = run(python, "-W", "ignore", "-c", code)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert run(python, "-W", "error", "-c", code).returncode == 1


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        pytest.param("import sys; sys.exit(3)", 3, "", id="number"),
        pytest.param("import sys; sys.exit('no')", 1, "no\n", id="text"),
        pytest.param("import os; os._exit(4)", 4, "", id="at once"),
        pytest.param("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, "", id="killed"),
        pytest.param("import os; os.abort()", -signal.SIGABRT, "", id="crash"),
    ],
)
def test_it_ends_as_what_it_ran(python, code, exit_code, said):
    done = run(python, "-c", code)
    assert (done.returncode, done.stderr) == (exit_code, said)


def test_a_traceback_is_pythons(python, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("def fail():\n    raise ValueError('why')\n\nfail()\n")
    done = run(python, str(script))
    assert done.returncode == 1
    assert done.stderr == run(REAL, str(script)).stderr
    assert "ValueError: why" in done.stderr


def test_exit_handlers_run_and_threads_are_waited_for(python):
    code = (
        "import atexit, threading, time\n"
        "atexit.register(print, 'last')\n"
        "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()\n"
    )
    assert run(python, "-c", code).stdout == "thread\nlast\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_what_runs(python, number):
    code = f"import signal, sys; signal.signal({number}, lambda *_: sys.exit(7))\n{SLEEP}"
    process = subprocess.Popen([python, "-c", code], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(number)
    assert process.wait(30) == 7
    process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_runs_ends_with_its_stand_in(python, number):
    process = subprocess.Popen([python, "-c", SLEEP], stdout=subprocess.PIPE, text=True)
    pid = int(process.stdout.readline())
    process.send_signal(number)
    assert process.wait(30) == -number
    process.stdout.close()
    deadline = time.monotonic() + 30
    while not ended(pid):
        assert time.monotonic() < deadline, "it outlived its stand-in"
        time.sleep(0.02)


def test_open_files_are_handed_over_by_their_numbers(python):
    reading, writing = os.pipe()
    code = f"import os; os.write({writing}, b'through')"
    assert subprocess.run([python, "-c", code], pass_fds=[writing]).returncode == 0
    os.close(writing)
    assert os.read(reading, 100) == b"through"
    assert os.read(reading, 100) == b"", "nobody else holds it"
    os.close(reading)


def test_what_it_starts_by_sys_executable_is_warm_too(python):
    code = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import sys; print(\"wave\" in sys.modules)'])"
    )
    assert run(python, "-c", code).stdout == "True\n"


@pytest.mark.parametrize(
    ("options", "variables"), [(["-I"], {}), ([], {"PYTHONHASHSEED": "1"}), ([], {"TF_USE_LEGACY_KERAS": "1"})]
)
def test_what_python_reads_at_its_start_is_given_to_python_itself(python, options, variables):
    done = run(python, *options, "-c", "import sys; print('wave' in sys.modules)", env={**os.environ, **variables})
    assert done.stdout == "False\n"


def test_pytest_imports_its_plugins_itself(python, tmp_path):
    (tmp_path / "test_one.py").write_text("import sys\ndef test_one(): assert 'wave' not in sys.modules")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error")
    done = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_server_ends_with_the_last_who_used_it(tmp_path):
    helpers = str(Path(warm_python.__file__).parent)
    code = (
        f"import sys; sys.path.append({helpers!r}); import pathlib, subprocess, warm_python\n"
        f"python = warm_python.interpreter(pathlib.Path({str(tmp_path)!r}), pathlib.Path(sys.executable), ())\n"
        "print(subprocess.run([python, '-c', 'import os; print(os.getpid())'], capture_output=True).returncode)\n"
    )
    assert run(REAL, "-c", code).stdout == "0\n"
    deadline = time.monotonic() + 30
    while servers(tmp_path):
        assert time.monotonic() < deadline, "it outlived its users"
        time.sleep(0.1)


def servers(folder):
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--serve" in words and str(folder).encode() in words and not ended(int(entry.parent.name)):
            found.append(entry)
    return found
