# The coach in a container: made with the lock that `make run` uses, run by somebody who owns /data and nothing else.
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /venv
COPY requirements.txt ./
RUN /venv/bin/pip install --require-hashes --only-binary=:all: -r requirements.txt
COPY pyproject.toml README.md ./
COPY bot bot
COPY adapters adapters
COPY content content
RUN /venv/bin/pip install --no-deps --no-build-isolation . \
    && /venv/bin/pip uninstall --yes setuptools wheel pip

FROM python:3.11.14-slim-bookworm AS base
# What reads questions aloud; --build-arg VOICE= leaves it out.
ARG VOICE=espeak-ng
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini=0.19.* ${VOICE:+espeak-ng=1.51*} \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 coach \
    && install -d -o coach -g coach /data
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH HOME=/home/coach PYTHONUNBUFFERED=1 \
    COACH_DATABASE=sqlite:////data/coach.db COACH_CACHE=/data/cache COACH_FILES=/data/files COACH_PORT=8080 COACH_LOG_JSON=1
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ['COACH_PORT'] + '/healthz', timeout=4)"]

# For hosts whose volumes belong to root, such as Fly: gives /data to the coach, and root up for good.
FROM base AS rooted
# hadolint ignore=DL3002
USER 0:0
ENTRYPOINT ["tini", "-s", "--", "sh", "-c", "chown -R coach:coach /data && exec setpriv --reuid=coach --regid=coach --clear-groups --no-new-privs \"$@\"", "sh"]
CMD ["coach", "run"]

FROM base AS coach
USER 10001:10001
ENTRYPOINT ["tini", "-s", "--"]
CMD ["coach", "run"]
