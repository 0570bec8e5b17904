"""Settings that name a registry or a model of it, for every component that takes one."""

import re
from typing import Annotated

from kfp_ct.base.settings import matching
from kfp_ct.models.model_version import MODEL_NAME, MODEL_NAME_IS, REGISTRY_IS, SCHEMES

ModelName = Annotated[str, matching(f"^{MODEL_NAME}$", MODEL_NAME_IS)]
RegistryUri = Annotated[str, matching(f"^({'|'.join(map(re.escape, SCHEMES))}|\\$\\{{[A-Z_]).", REGISTRY_IS)]
