/** What both apps' containers have in common. */
import type { input } from "@pulumi/azure-native/types/index.js"
import type { Input } from "@pulumi/pulumi"

type Variable = input.app.EnvironmentVarArgs

/** Variables in the order of their names. A value `{secret}` names a secret of the app. */
export const variables = (values: Record<string, Input<string> | { secret: string }>): Variable[] =>
  Object.entries(values)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) =>
      typeof value === "object" && "secret" in value
        ? { name, secretRef: value.secret }
        : { name, value: value as Input<string> },
    )

/** The only pairs that the Consumption profile takes: as many GiB as twice the cores. */
export const resources = (cores: number): input.app.ContainerResourcesArgs => ({
  cpu: cores,
  memory: `${cores * 2}Gi`,
})

/** Live or be started again; ready or get no requests; and 50 seconds to start. */
export const probes = (port: number): input.app.ContainerAppProbeArgs[] => [
  probe("Startup", "/livez", port, { periodSeconds: 5, failureThreshold: 10, initialDelaySeconds: 1 }),
  probe("Liveness", "/livez", port, { periodSeconds: 10, failureThreshold: 3 }),
  probe("Readiness", "/readyz", port, { periodSeconds: 10, failureThreshold: 3 }),
]

const probe = (
  type: string,
  path: string,
  port: number,
  timing: { periodSeconds: number; failureThreshold: number; initialDelaySeconds?: number },
): input.app.ContainerAppProbeArgs => ({
  type,
  httpGet: { path, port, scheme: "HTTP" },
  timeoutSeconds: 5,
  ...timing,
})
