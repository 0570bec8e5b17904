"""The notebook of the documentation runs from its first cell to its last, and shows what its page promises."""

import notebooks
from repository import ROOT


def test_the_notebook_runs_and_shows_statistics_anomalies_and_results(tmp_path, monkeypatch):
    monkeypatch.setenv("CT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(ROOT / "docs")

    *_, ran, statistics, anomalies, evaluation, verdict = notebooks.run(ROOT / "docs" / "notebook.ipynb")

    assert {state for _, state, _ in ran.value} == {"SUCCEEDED"}
    assert "train 2" in statistics.printed
    assert "'carrier', 'distance', 'rain'" in statistics.printed
    assert "<svg" in statistics.value._repr_html_()
    assert anomalies.printed.startswith("[]\nFAILED in validate-data\n")
    assert "rain (train): missing values" in anomalies.printed
    assert "yes threshold AUC 0.9" in evaluation.printed
    assert "<svg" in evaluation.value._repr_html_()
    assert "blessed: True" in verdict.printed
