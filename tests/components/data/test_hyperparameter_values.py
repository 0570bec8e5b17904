"""A module's dataclass of hyperparameters takes what the settings say, or says what is wrong with it."""

import dataclasses

import pytest

from kfp_ct.data.hyperparameter_values import filled


@dataclasses.dataclass(frozen=True)
class Hyperparameters:
    epochs: int = 3
    learning_rate: float = 1e-3
    hidden: tuple[int, ...] = (64,)
    optimizer: str = "adam"
    shuffle: bool = False


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"epochs": 5, "shuffle": True, "optimizer": "sgd"}, {"epochs": 5, "shuffle": True, "optimizer": "sgd"}),
        ({"learning_rate": 1}, {"learning_rate": 1}),
        ({"hidden": [8, 8]}, {"hidden": (8, 8)}),
    ],
)
def test_values_of_the_settings_stand_over_the_defaults(given, expected):
    assert filled(Hyperparameters, given) == Hyperparameters(**expected)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epcohs": 5}, "hyperparameters.epcohs is none that this module has: did you mean epochs?"),
        ({"width": 5}, "expected one of epochs, learning_rate, hidden, optimizer, shuffle"),
        ({"epochs": "five"}, "hyperparameters.epochs is 'five': expected such as 3"),
        ({"epochs": 2.5}, "hyperparameters.epochs is 2.5: expected such as 3"),
        ({"epochs": True}, "hyperparameters.epochs is True: expected such as 3"),
        ({"shuffle": 1}, "hyperparameters.shuffle is 1: expected such as False"),
        ({"hidden": 8}, r"hyperparameters.hidden is 8: expected such as \(64,\)"),
        ({"learning_rate": None}, "hyperparameters.learning_rate is None: expected such as 0.001"),
    ],
)
def test_a_name_that_would_change_nothing_and_a_value_of_another_type_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        filled(Hyperparameters, given)
