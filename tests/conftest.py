"""Which tests run in which environment: a component's tests need TensorFlow, the author's tools must not."""

import importlib.util

# Tests of the author side; every other test file belongs to the component environment.
AUTHOR_TESTS = ("test_ct_*.py", "test_pipelines_*.py", "test_project_*.py", "test_e2e_*.py")

IN_COMPONENT_ENVIRONMENT = importlib.util.find_spec("tensorflow") is not None

if IN_COMPONENT_ENVIRONMENT:
    collect_ignore_glob = list(AUTHOR_TESTS)
else:
    collect_ignore_glob = ["test_[!cpe]*.py", "test_c[!t]*.py", "test_e[!2]*.py", "test_p[!ir]*.py"]
