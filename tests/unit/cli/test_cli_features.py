"""`ct features` before anything is read: what is missing is named."""

from cli_runner import ct


def test_settings_without_features_are_named(tmp_path):
    done = ct(tmp_path, "features", "materialize", "flights")
    assert done.code == 2
    assert "the settings local of flights name no features" in done.err


def test_a_time_that_is_none_is_refused(tmp_path):
    done = ct(tmp_path, "features", "materialize", "flights", "--settings", "local-features", "--until", "noon")
    assert (done.code, "--until noon" in done.err) == (2, True)
    assert not (tmp_path / "features").exists()
