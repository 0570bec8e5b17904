"""Signatures by cosign, where it is on the PATH: by a key in a file, in KMS or in a cluster."""

import shutil
import subprocess

from kfp_ct.base.errors import UsageError
from kfp_ct.ci.images.registry import RegistryError

_SECONDS = 300


class Cosign:
    """Signs images in their registry."""

    def __init__(self, key: str) -> None:
        """Finds cosign.

        Args:
            key: As cosign takes it: a file, gcpkms://…, k8s://….

        Raises:
            UsageError: There is no cosign here.
        """
        self._key = key
        self._program = shutil.which("cosign") or ""
        if not self._program:
            raise UsageError(
                "there is no cosign on the PATH\nexpected: it, where a key for it is named\n"
                "fix: install it, or leave out --cosign-key: ct images sign signs by a key of its own"
            )

    def sign(self, reference: str) -> None:
        """Signs an image; the signature lies beside it in the registry, and in no public log.

        Raises:
            RegistryError: cosign failed.
        """
        command = [self._program, "sign", "--yes", "--tlog-upload=false", "--key", self._key, reference]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise RegistryError(f"cosign did not sign {reference}: {said[-1] if said else done.returncode}")
