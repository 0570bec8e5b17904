"""Which test files belong to which environment."""

# Tests of the author side; every other test file belongs to the component environment.
AUTHOR_PREFIXES = ("test_ct_", "test_pipelines_", "test_project_", "test_e2e_")
