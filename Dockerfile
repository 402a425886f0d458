# One target per app: docker build --target api . and docker build --target reconciler .
# The images need no file system to write to: docker run --read-only works.
# The base is named by its digest, which no tag moves: docker buildx imagetools inspect node:24.21.0-bookworm-slim

FROM node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6 AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6 AS app
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.description="GitOps for database-per-tenant on Neon and Azure Key Vault"
ENV NODE_ENV=production
# What a request makes dies young, and the process stays small: see docs/performance.md.
ENV NODE_OPTIONS=--max-semi-space-size=16
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json ./
COPY reconciler reconciler
# The image's own unprivileged user, by number, so that "must not be root" can be checked. All files stay root's.
USER 1000:1000
# Node is process 1 and handles SIGTERM itself.
STOPSIGNAL SIGTERM

FROM app AS api
LABEL org.opencontainers.image.title="tenantry-api"
COPY api api
ENV PORT=3000
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/livez`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "api/main.ts"]

FROM app AS reconciler
LABEL org.opencontainers.image.title="tenantry-reconciler"
COPY migrations migrations
ENV MIGRATIONS_DIR=/app/migrations
ENV STATUS_PORT=3001
EXPOSE 3001
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.STATUS_PORT}/livez`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "reconciler/main.ts", "run"]
