"""What can go wrong with a request, and the HTTP status TensorFlow Serving answers it with."""


class ServingError(Exception):
    """A request that is answered with {"error": message} and this status."""

    status = 500


class InvalidRequestError(ServingError):
    """The request does not fit the API or the model's signature."""

    status = 400


class ModelNotFoundError(ServingError):
    """No such model or version is loaded."""

    status = 404


class BodyTooLargeError(ServingError):
    """The request's body is larger than this server takes."""

    status = 413


class NotImplementedHereError(ServingError):
    """TensorFlow Serving has this method, this server has not."""

    status = 501


class OverloadedError(ServingError):
    """More requests wait than this server lets wait."""

    status = 503
