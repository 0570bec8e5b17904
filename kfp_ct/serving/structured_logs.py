"""Log lines for people, or for a collector: one JSON object a line, with the request's id and trace."""

import datetime
import json
import logging
import sys


def configure(as_json: bool) -> None:
    """Sets up logging to standard error; every request is logged in JSON only."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("serving").setLevel(logging.INFO)  # where a library has set up logging before
    logging.getLogger("serving.requests").setLevel(logging.INFO if as_json else logging.WARNING)
    if as_json:
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonFormatter())


class JsonFormatter(logging.Formatter):
    """Writes a record as Cloud Logging and its like read it: severity, message, time, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns one line."""
        entry = {
            "severity": record.levelname,
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)
