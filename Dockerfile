FROM python:3.11-slim AS build
WORKDIR /build
RUN python -m venv /venv
COPY requirements.txt ./
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY pyproject.toml README.md ./
COPY bot bot
COPY adapters adapters
COPY content content
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 coach && install -d -o coach /data
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH COACH_DATABASE=sqlite:////data/coach.db COACH_CACHE=/data/cache PYTHONUNBUFFERED=1
USER coach
VOLUME /data
EXPOSE 8080
CMD ["coach", "run"]
