# The image holds the service and its model; no compiler, no torch. It listens on 0.0.0.0 and so needs a key:
#   docker build -t echolot .
#   docker run --read-only --tmpfs /tmp -p 8000:8000 -e ECHOLOT_API_KEYS=shop:<sha256> echolot
FROM python:3.11-slim AS build
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY model model
COPY training training
COPY serving serving
RUN python -m venv /opt/echolot \
    && /opt/echolot/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt . \
    && /opt/echolot/bin/python -m compileall -q /opt/echolot/lib

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home echolot \
    && mkdir /data && chown echolot /data
COPY --from=build /opt/echolot /opt/echolot
# Byte code was made in the build: nothing has to be written while it runs.
ENV PATH=/opt/echolot/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ECHOLOT_HOST=0.0.0.0 \
    ECHOLOT_PORT=8000 \
    ECHOLOT_DATA_DIR=/data
USER echolot
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['ECHOLOT_PORT'] + '/readyz', timeout=2)"]
CMD ["echolot", "serve"]
