"""Which rows a model is asked to learn by heart: those whose labels their features explain, of each label some."""

import numpy as np

from kfp_ct.testing.neighbours import explained


def noisy(flipped: float, rare: float, rows: int = 400) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    x = random.normal(size=rows)
    clean = x > np.quantile(x, 1 - rare)
    return {"x": x, "same": np.full(rows, b"a", object)}, clean ^ (random.random(rows) < flipped), clean


def test_what_noise_has_flipped_is_left_out():
    features, labels, clean = noisy(0.3, 0.5)
    kept = explained(features, labels)
    assert kept.mean() > 0.5
    assert (labels == clean)[kept].mean() > 0.97
    assert (labels != clean).mean() > 0.25


def test_a_rare_label_is_kept():
    features, labels, clean = noisy(0.0, 0.05)
    kept = explained(features, labels)
    assert labels[kept].sum() >= 15
    assert clean[kept & labels].all()


def test_texts_lists_and_missing_numbers_are_features_too():
    plan = np.array([b"a", b"b"] * 40, object)
    features = {"plan": plan, "list": np.full((80, 3), np.nan), "missing": np.full(80, np.nan)}
    labels = plan == b"a"
    labels[:4] = ~labels[:4]
    assert explained(features, labels)[4:].all()
    assert not explained(features, labels)[:4].any()
