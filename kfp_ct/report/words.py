"""Names that the endpoint's pages still use; see `kfp_ct.pages.formats` and `kfp_ct.report.metrics`."""

from kfp_ct.pages import formats
from kfp_ct.report import metrics

title, metric, seconds = metrics.title, formats.metric, formats.duration
version, day = formats.version, formats.day
