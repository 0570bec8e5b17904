"""The six tests every project has, over the flights example."""

import pyarrow.compute
import pytest

from kfp_ct.testing.bench import Project
from kfp_ct.testing.model_tests import ModelTests


class TestFlights(ModelTests):
    project = Project(
        features_module="pipelines.flights.features",
        model_module="pipelines.flights.model",
        schema_file="pipelines/flights/schema.pbtxt",
        eval_config="pipelines/flights/eval_config.pbtxt",
        label="late",
        hyperparameters={"epochs": 3, "batch_size": 32},
        overfit={"epochs": 25, "learning_rate": 0.02, "patience": 100},
    )

    @pytest.mark.slow
    def test_training_learns_a_few_rows_by_heart(self):
        super().test_training_learns_a_few_rows_by_heart()

    @pytest.mark.slow
    def test_components_work_together(self):
        super().test_components_work_together()

    @classmethod
    def few(cls):
        """The model holds every tenth day out, which would be learnt by nobody's heart."""
        days = cls.bench.table["day"]
        trained_on = pyarrow.compute.not_equal(days, pyarrow.compute.multiply(pyarrow.compute.divide(days, 10), 10))
        return cls.bench.table.filter(trained_on).slice(0, 32)
