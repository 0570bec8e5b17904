"""What can go wrong with a request, and what each protocol answers it with.

ServingError                 HTTP  gRPC
├─ InvalidRequestError       400   INVALID_ARGUMENT
├─ UnauthenticatedError      401   UNAUTHENTICATED
├─ ModelNotFoundError        404   NOT_FOUND
├─ BodyTooLargeError         413   RESOURCE_EXHAUSTED
├─ EncodingNotKnownError     415   INVALID_ARGUMENT
├─ OverloadedError           503   UNAVAILABLE, with Retry-After
├─ FeaturesNotReadableError  503   UNAVAILABLE
└─ TooSlowError              504   DEADLINE_EXCEEDED
"""


class ServingError(Exception):
    """A request that is answered with {"error": message} and this status."""

    status = 500
    grpc_status = "INTERNAL"


class InvalidRequestError(ServingError):
    """The request does not fit the API or the model's signature."""

    status = 400
    grpc_status = "INVALID_ARGUMENT"


class UnauthenticatedError(ServingError):
    """The caller has not shown the token."""

    status = 401
    grpc_status = "UNAUTHENTICATED"


class ModelNotFoundError(ServingError):
    """No such model or version is loaded."""

    status = 404
    grpc_status = "NOT_FOUND"


class BodyTooLargeError(ServingError):
    """The request's body is larger than this server takes."""

    status = 413
    grpc_status = "RESOURCE_EXHAUSTED"


class EncodingNotKnownError(ServingError):
    """The request's body is packed in a way that is not unpacked here."""

    status = 415
    grpc_status = "INVALID_ARGUMENT"


class OverloadedError(ServingError):
    """More requests wait than this server lets wait."""

    status = 503
    grpc_status = "UNAVAILABLE"


class FeaturesNotReadableError(ServingError):
    """The file of features is not there, or is none."""

    status = 503
    grpc_status = "UNAVAILABLE"


class TooSlowError(ServingError):
    """The answer took longer than it may."""

    status = 504
    grpc_status = "DEADLINE_EXCEEDED"
