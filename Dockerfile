# One image for every process; deploy/compose.yaml says which process runs where and with which right.
# Give a mirror or a digest with --build-arg, for example DEBIAN_IMAGE=debian@sha256:….
ARG DEBIAN_IMAGE=docker.io/library/debian:12-slim
ARG NODE_IMAGE=docker.io/library/node:24-bookworm-slim

FROM ${NODE_IMAGE} AS console
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
RUN ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
COPY web ./
RUN ["npm", "run", "build"]

FROM ${DEBIAN_IMAGE} AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements.lock ./
COPY deploy/bootstrap.lock deploy/requirements.lock deploy/
# The lock files carry the hashes of everything that is installed, the build tool included.
RUN python3 -m venv /opt/boot \
    && /opt/boot/bin/pip install --no-cache-dir --require-hashes -r deploy/bootstrap.lock \
    && /opt/boot/bin/uv venv --python /usr/bin/python3 /opt/sallyport \
    && /opt/boot/bin/uv pip install --no-cache --compile-bytecode --python /opt/sallyport/bin/python \
        --require-hashes -r deploy/requirements.lock
COPY LICENSE README.md pyproject.toml ./
COPY alembic alembic
COPY deploy/client deploy/client
COPY deploy/systemd deploy/systemd
COPY broker broker
COPY recorder recorder
COPY spa_knock spa_knock
COPY --from=console /src/web/dist web/dist
RUN for project in deploy/client .; do \
        /opt/boot/bin/uv build --no-cache --wheel --python /usr/bin/python3 --require-hashes \
            --build-constraints requirements.lock --out-dir /wheels "$project" || exit 1; \
    done \
    && /opt/boot/bin/uv pip install --no-cache --compile-bytecode --python /opt/sallyport/bin/python --no-deps /wheels/*.whl

FROM ${DEBIAN_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Sallyport" \
      org.opencontainers.image.description="Zero-trust remote-maintenance access broker for manufacturing plants" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# nft loads the base rule set; setpriv, of Debian's base, gives up every right that a process does not need.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends nftables python3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/sallyport /opt/sallyport
ENV LANG=C.UTF-8 \
    PATH=/opt/sallyport/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1
# Nobody's right by default: the id of the control plane. A process that binds sockets for others starts as root with
# a few capabilities (deploy/compose.yaml) and is its own user before any of its code runs.
USER 61187:61187
WORKDIR /
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=8s --start-period=30s --retries=3 CMD ["sallyport", "alive"]
ENTRYPOINT ["sallyport"]
CMD ["config"]
