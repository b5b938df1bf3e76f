# The whole project: docker build --tag d4rl-automl --build-arg DEVICE=cpu .
# With DEVICE=cuda torch and XGBoost use the GPU. How to run it: docs/environments.md.
FROM python:3.12-slim-bookworm

# LightGBM's wheel leaves OpenMP to the system.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*

ARG DEVICE=cpu
COPY envs/container.sh envs/lock.txt /opt/d4rl-automl/envs/
RUN /opt/d4rl-automl/envs/container.sh "$DEVICE"
COPY . /opt/d4rl-automl

# The folder that the user mounts: results, logs, and Snakemake's records.
WORKDIR /project
# Whoever runs it, and owns the mounted folder, may have no home and no name here; Snakemake asks for both.
ENV HOME=/tmp USER=d4rl-automl
ENTRYPOINT ["snakemake", "--snakefile", "/opt/d4rl-automl/workflow/Snakefile"]
CMD ["--help"]
