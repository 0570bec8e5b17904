"""What object stores refuse, in messages that say what fixes it."""

from kfp_ct.base.errors import ComponentError, ConfigurationError, DataError

_EXPECTED = {"s3://": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (with AWS_ENDPOINT_URL where the store is not AWS)",
             "gs://": "application default credentials"}  # fmt: skip
_RENEW = {"s3://": "export them in this shell; for a step, renew the secret or the role that its environment is from",
          "gs://": "run gcloud auth application-default login, or renew the service account's key"}  # fmt: skip


def no_bucket(uri: str) -> DataError:
    """Returns the error for a bucket that does not exist."""
    scheme = uri[:5].lower()
    return DataError(f"there is no bucket for {uri}\nexpected: {scheme}bucket/path\nfix: correct the bucket's name")


def forbidden(uri: str, verb: str, detail: str) -> ConfigurationError:
    """Returns the error for something that the credentials do not allow; `verb` is read or written."""
    role = "Storage Object Viewer" if verb == "read" else "Storage Object User"
    rights = "s3:GetObject and s3:ListBucket" if verb == "read" else "s3:PutObject and s3:DeleteObject"
    gs = uri.lower().startswith("gs://")
    return ConfigurationError(
        f"{uri} may not be {verb}: {detail}\n"
        f"expected: credentials with {f'the role {role}' if gs else rights} on the bucket\n"
        + (
            "fix: grant the role to the service account that runs this, or run gcloud auth application-default login"
            if gs
            else "fix: allow it in the policy of the access key that runs this, or use another key"
        )
    )


def credentials(uri: str, detail: str) -> ConfigurationError:
    """Returns the error for credentials that are missing, wrong or expired."""
    scheme = uri[:5].lower()
    return ConfigurationError(
        f"{uri} cannot be reached, the credentials are not accepted: {detail}\n"
        f"expected: {_EXPECTED[scheme]}, valid now\nfix: {_RENEW[scheme]}"
    )


def no_certificates(uri: str) -> ConfigurationError:
    """Returns the error for a machine or an image that has no certificates of public authorities."""
    return ConfigurationError(
        f"{uri} cannot be reached: this machine or image has no certificates of authorities\n"
        "expected: those of the system, which clients of object stores take, also for http://\n"
        "fix: install ca-certificates in the image, or name a file of certificates in SSL_CERT_FILE"
    )


def throttled(uri: str, detail: str) -> ComponentError:
    """Returns the error for a store that asked for patience longer than there is any."""
    return ComponentError(
        f"the object store refuses requests for {uri}, also after waiting: {detail}\n"
        "expected: a store that keeps up with the requests\n"
        "fix: run again later; raise the store's request limit, or start fewer runs at a time"
    )


def unreachable(uri: str, detail: str) -> ComponentError:
    """Returns the error for a store that does not answer, or not to the end."""
    return ComponentError(
        f"the object store does not answer for {uri}: {detail}\n"
        "expected: a store at "
        + ("AWS_ENDPOINT_URL, or AWS" if uri.lower().startswith("s3://") else "STORAGE_EMULATOR_HOST, or Google Cloud")
        + "\nfix: see that the store runs and can be reached from here, then run again"
    )


def overwritten(uri: str) -> DataError:
    """Returns the error for an object that is not what it was when it was found."""
    return DataError(
        f"{uri} was overwritten or removed while it was read\nexpected: files that stay as they are\n"
        "fix: run again, and write new data under new names"
    )
