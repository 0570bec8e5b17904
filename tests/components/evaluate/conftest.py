"""Models and rows to judge them by, made once for all files of this room."""

import evaluations

examples, judge, models = evaluations.FIXTURES
