# Images, a target each: `components-library` and `components` (what tasks run in: the library, and the user's code too;
# `components-gpu` with CUDA), `serving` (the prediction service), `author` (compiles and deploys). Built with Docker,
# BuildKit or not: docker build --target components --build-arg BASE=… .
#
# Each image is NAME-env, which has nothing of this project, and its sources on top: `ct images build` keeps the first in
# the registry, so that the next commit's image shares those layers wherever it is built.
#
# BASE is Debian 13; a build pins it by digest. Optional inputs of a build lie in infra/build-inputs and never reach an
# image: ca.crt, certificates that this network needs.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS python
# ca-certificates: clients of object stores take the system's, and reach no address without them, http:// neither.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*.log
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Any numeric user works: KFP's launcher writes under these folders, libraries under HOME.
RUN mkdir -p /app /home/ct /gcs /minio /s3 && chmod 1777 /home/ct /gcs /minio /s3
ENV HOME=/home/ct
WORKDIR /app

# The compiler stays here: one of TFX's dependencies is published as source only.
FROM python AS builder
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv python3-dev g++
COPY infra/build-inputs /build-inputs
COPY requirements/uv.txt requirements/install.sh /requirements/
RUN sh /requirements/install.sh uv

FROM builder AS author-venv
COPY requirements/author.txt /requirements/
RUN sh /requirements/install.sh packages author.txt

FROM python AS author-env
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*.log
COPY --from=author-venv /opt/venv /opt/venv

FROM author-env AS author
COPY kfp_ct kfp_ct
COPY components kfp_ct/components
COPY pipelines pipelines
COPY setup.py README.md LICENSE ./
RUN PYTHONDONTWRITEBYTECODE= python3 -m compileall -q /app \
    && printf '#!/bin/sh\nexec python3 -m kfp_ct.cli.main "$@"\n' > /opt/venv/bin/ct && chmod 755 /opt/venv/bin/ct
ENV PYTHONPATH=/app
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kfp-ct author" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
# Root, unlike the others: build steps run in it, and Cloud Build's /workspace and engine socket are root's.
CMD ["ct", "--help"]

FROM builder AS serving-venv
COPY requirements/serving.txt /requirements/
# 40 MB that the service does not use, and no user's code runs here: Arrow's network protocol and what is compiled
# against it, the symbols of uvloop.
RUN sh /requirements/install.sh packages serving.txt \
    && cd /opt/venv/lib/python3*/site-packages \
    && rm -rf pyarrow/include pyarrow/src pyarrow/*flight* \
    && strip --strip-unneeded uvloop/loop.*.so

FROM python AS serving-env
COPY --from=serving-venv /opt/venv /opt/venv

FROM serving-env AS serving
COPY kfp_ct/__init__.py kfp_ct/
COPY kfp_ct/base/__init__.py kfp_ct/base/errors.py kfp_ct/base/
COPY kfp_ct/storage kfp_ct/storage
COPY kfp_ct/serving kfp_ct/serving
RUN PYTHONDONTWRITEBYTECODE= python3 -m compileall -q /app
ENV PYTHONPATH=/app TF_CPP_MIN_LOG_LEVEL=2
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kfp-ct serving" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
USER 1000:1000
EXPOSE 8501 8500
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/readyz', timeout=4)"]
CMD ["python3", "-m", "kfp_ct.serving", "--root", "/models", "--host", "0.0.0.0", "--grpc-port", "8500", \
     "--allowed-host", "*"]

FROM builder AS components-venv
COPY requirements/components-image.txt /requirements/
RUN sh /requirements/install.sh packages components-image.txt

FROM python AS components-env
COPY --from=components-venv /opt/venv /opt/venv

# What tasks run in whose user's code travels by itself (`code: package`): nothing of this repository's pipelines is in it.
# No ENTRYPOINT: KFP and its local Docker runner give the whole command.
FROM components-env AS components-library
# serving: the model is tried in the very server that will serve it.
COPY kfp_ct/__init__.py kfp_ct/
COPY kfp_ct/base kfp_ct/base
COPY kfp_ct/storage kfp_ct/storage
COPY kfp_ct/pages kfp_ct/pages
COPY kfp_ct/serving kfp_ct/serving
COPY kfp_ct/clock kfp_ct/clock
COPY kfp_ct/cloud kfp_ct/cloud
COPY kfp_ct/data kfp_ct/data
COPY kfp_ct/models kfp_ct/models
COPY kfp_ct/cards kfp_ct/cards
COPY components kfp_ct/components
RUN PYTHONDONTWRITEBYTECODE= python3 -m compileall -q /app
ENV PYTHONPATH=/app TF_USE_LEGACY_KERAS=0 TF_CPP_MIN_LOG_LEVEL=2
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kfp-ct components-library" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
USER 1000:1000

# The same with the user's code.
FROM components-library AS components
USER root
COPY pipelines pipelines
RUN PYTHONDONTWRITEBYTECODE= python3 -m compileall -q /app
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kfp-ct components" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
USER 1000:1000

# The same with TensorFlow's CUDA libraries, for tasks that have an accelerator; the driver is the node's. Several GB
# larger: `ct images build` makes it when it is named.
FROM builder AS components-gpu-venv
COPY requirements/components-gpu.txt /requirements/
RUN sh /requirements/install.sh packages components-gpu.txt

FROM python AS components-gpu-env
COPY --from=components-gpu-venv /opt/venv /opt/venv
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM components-gpu-env AS components-gpu
COPY kfp_ct/__init__.py kfp_ct/
COPY kfp_ct/base kfp_ct/base
COPY kfp_ct/storage kfp_ct/storage
COPY kfp_ct/pages kfp_ct/pages
COPY kfp_ct/serving kfp_ct/serving
COPY kfp_ct/clock kfp_ct/clock
COPY kfp_ct/cloud kfp_ct/cloud
COPY kfp_ct/data kfp_ct/data
COPY kfp_ct/models kfp_ct/models
COPY kfp_ct/cards kfp_ct/cards
COPY components kfp_ct/components
COPY pipelines pipelines
RUN PYTHONDONTWRITEBYTECODE= python3 -m compileall -q /app
ENV PYTHONPATH=/app TF_USE_LEGACY_KERAS=0 TF_CPP_MIN_LOG_LEVEL=2
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kfp-ct components-gpu" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
USER 1000:1000
