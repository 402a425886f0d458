/** Variables that a stack may set itself; the program sets the others that an app reads. */

/** What either app tells of itself. */
const TELEMETRY = [
  "METRICS_PORT",
  "METRICS_TENANT_LABEL",
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
  "OTEL_EXPORTER_OTLP_PROTOCOL",
  "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
  "OTEL_TRACES_EXPORTER",
  "OTEL_TRACES_SAMPLER",
  "OTEL_TRACES_SAMPLER_ARG",
  "OTEL_RESOURCE_ATTRIBUTES",
  "OTEL_SERVICE_NAME",
  "OTEL_SDK_DISABLED",
  "LOG_LEVEL",
] as const

/** Variables of the API that a stack may set; each has a default in api/config.ts. */
export const API_TUNABLES = [
  "TENANT_HEADER",
  "NAMES_INTERVAL_MS",
  "JWT_ALGORITHMS",
  "TENANT_CLAIM",
  "ADMIN_SCOPE",
  "CLOCK_SKEW_SECONDS",
  "JWKS_INTERVAL_MS",
  "RATE_PER_TENANT",
  "RATE_PER_CALLER",
  "CORS_ORIGINS",
  "POOL_MAX",
  "CONNECTIONS_MAX",
  "POOL_WAIT_MS",
  "POOL_IDLE_MS",
  "CONNECT_TIMEOUT_MS",
  "STATEMENT_TIMEOUT_MS",
  "RETRY_MS",
  "NEGATIVE_CACHE_MS",
  ...TELEMETRY,
] as const

/** Variables of the reconciler that a stack may set; each has a default in reconciler/config.ts. */
export const RECONCILER_TUNABLES = [
  "RECONCILE_INTERVAL",
  "WATCH_POLL_INTERVAL",
  "NEON_POLL_INTERVAL",
  "NEON_REQUESTS_PER_SECOND",
  "VAULT_WRITES_PER_SECOND",
  "SQL_CONCURRENCY",
  "DRAIN_SECONDS",
  "JWT_ALGORITHMS",
  "ADMIN_SCOPE",
  "CLOCK_SKEW_SECONDS",
  "JWKS_INTERVAL_MS",
  ...TELEMETRY,
] as const
