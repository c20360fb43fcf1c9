# The edge module with direct mode, which asks a Vision API from the device: both images in one.
#
#   docker build -f deploy/direct.Dockerfile -t visionedge-direct deploy \
#     --build-arg VISIONEDGE=REGISTRY/visionedge:0.1.0-amd64 --build-arg VERIFIER=REGISTRY/verifier:1
#
# Both must be built for the device's architecture, from the same sources. Nothing runs, and what
# both have is taken from the module's image.
ARG VISIONEDGE
ARG VERIFIER

FROM ${VERIFIER} AS verifier

FROM ${VISIONEDGE}
COPY --from=verifier /usr/share/doc/verifier /usr/share/doc/verifier
COPY --from=verifier /opt/site /opt/verifier
ENV PYTHONPATH=/opt/site:/opt/verifier
