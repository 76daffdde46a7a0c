# syntax=docker/dockerfile:1
# gatewatch as an image: build the wheel, install it with its dependencies into a virtual
# environment, then copy only that environment into a slim runtime.
#
#   docker build -t gatewatch .                                   CPU (the default)
#   docker build -t gatewatch:cuda --build-arg TORCH_VARIANT=cuda .
#   docker build -t gatewatch:ray --build-arg EXTRAS=ray,mqtt .     for deploy/ray

ARG PYTHON_VERSION=3.12

# ---------------------------------------------------------------- the wheel
FROM python:${PYTHON_VERSION}-slim AS wheel
WORKDIR /src
# .dockerignore admits only what the image is made from.
COPY . .
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip wheel --no-deps --wheel-dir /dist .

# ---------------------------------------------------------------- the environment
FROM python:${PYTHON_VERSION}-slim AS environment
ARG TORCH_VARIANT=cpu
ARG EXTRAS=audio,cluster,mqtt,video
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_INPUT=1
WORKDIR /build
COPY constraints.txt .
RUN python -m venv /opt/gatewatch
# PyTorch goes in first and alone: its CPU wheels live on PyTorch's own host, and every other
# package comes from the default index. The tested version (constraints.txt) names no variant.
RUN --mount=type=cache,target=/root/.cache/pip \
    set -eu; \
    torch="$(sed -n 's/^\(torch==[0-9][0-9.]*\).*/\1/p' constraints.txt)"; \
    sed '/^torch==/d' constraints.txt > others.txt; \
    case "${TORCH_VARIANT}" in \
        cpu) /opt/gatewatch/bin/pip install --no-deps \
                 --index-url https://download.pytorch.org/whl/cpu "${torch:-torch}" ;; \
        cuda) /opt/gatewatch/bin/pip install -c others.txt "${torch:-torch}" ;; \
        *) echo "TORCH_VARIANT is cpu or cuda, not '${TORCH_VARIANT}'" >&2; exit 64 ;; \
    esac
COPY --from=wheel /dist /dist
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/gatewatch/bin/pip install -c others.txt "$(echo /dist/*.whl)[${EXTRAS}]" \
    && /opt/gatewatch/bin/pip check

# ---------------------------------------------------------------- the runtime
FROM python:${PYTHON_VERSION}-slim AS runtime
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gatewatch" \
      org.opencontainers.image.description="Visual anomaly detection with calibrated thresholds" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

RUN groupadd --gid 10001 gatewatch \
    && useradd --uid 10001 --gid gatewatch --no-create-home \
        --home-dir /nonexistent --shell /usr/sbin/nologin gatewatch \
    && install -d -o gatewatch -g gatewatch -m 0750 /data \
    # KubeRay starts ray by a login shell, which forgets PATH.
    && echo "PATH=/opt/gatewatch/bin:\$PATH" > /etc/profile.d/gatewatch.sh
COPY --from=environment /opt/gatewatch /opt/gatewatch
COPY --chmod=644 deploy/healthcheck.py /opt/gatewatch/healthcheck.py

ENV PATH=/opt/gatewatch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GATEWATCH_DATA_DIR=/data \
    GATEWATCH_HOST=0.0.0.0 \
    GATEWATCH_PORT=8000

USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-I", "/opt/gatewatch/healthcheck.py"]
ENTRYPOINT ["gatewatch"]
CMD ["serve"]
