/** The API: requests come in by https, and as many replicas answer as there are requests. */
import { ContainerApp } from "@pulumi/azure-native/app/containerApp.js"
import type { UserAssignedIdentity } from "@pulumi/azure-native/managedidentity/userAssignedIdentity.js"
import { type Input, interpolate, type Resource } from "@pulumi/pulumi"
import { probes, resources, variables } from "./container.ts"
import type { Place } from "./place.ts"
import type { Vault } from "./vault.ts"

const PORT = 3000

type Parts = {
  environmentId: Input<string>
  registryServer: Input<string>
  identity: UserAssignedIdentity
  tenantVault: Vault
  /** Of *.<suffix>. */
  certificateId: Input<string> | undefined
  /** What must be there before the first request: roles, and the vault's address. */
  dependsOn: Resource[]
}

export function createApi(place: Place, image: string, parts: Parts): ContainerApp {
  const { settings, names, resourceGroupName, location, tags } = place
  const { minReplicas, maxReplicas, concurrentRequests, cpu } = settings.api
  const { domain } = settings
  return new ContainerApp(
    "api",
    {
      resourceGroupName,
      containerAppName: names.api,
      location,
      tags,
      managedEnvironmentId: parts.environmentId,
      workloadProfileName: "Consumption",
      identity: { type: "UserAssigned", userAssignedIdentities: [parts.identity.id] },
      configuration: {
        activeRevisionsMode: "Single",
        maxInactiveRevisions: 10,
        registries: [{ server: parts.registryServer, identity: parts.identity.id }],
        ingress: {
          external: true,
          targetPort: PORT,
          transport: "auto",
          allowInsecure: false,
          ...(domain && parts.certificateId
            ? {
                customDomains: [
                  {
                    name: `*.${domain.suffix}`,
                    bindingType: "SniEnabled",
                    certificateId: parts.certificateId,
                  },
                ],
              }
            : {}),
        },
      },
      template: {
        // The API gives running requests 25 seconds and its connections 3 more.
        terminationGracePeriodSeconds: 40,
        containers: [
          {
            name: "api",
            image: interpolate`${parts.registryServer}/${image}`,
            env: apiVariables(place, parts),
            resources: resources(cpu),
            probes: probes(PORT),
          },
        ],
        scale: {
          minReplicas,
          maxReplicas,
          rules: [{ name: "http", http: { metadata: { concurrentRequests: String(concurrentRequests) } } }],
        },
      },
    },
    { dependsOn: parts.dependsOn },
  )
}

function apiVariables({ settings }: Place, { identity, tenantVault }: Parts) {
  const { domain, oidc, api } = settings
  return variables({
    ...api.environment,
    PORT: String(PORT),
    KEY_VAULT_URL: tenantVault.uri,
    AZURE_CLIENT_ID: identity.clientId,
    AUTH: "on",
    OIDC_ISSUER: oidc.issuer,
    OIDC_AUDIENCE: oidc.audience,
    // The ingress adds the caller's address to X-Forwarded-For.
    TRUSTED_PROXIES: "1",
    TENANT_FROM: domain ? "header,host" : "header",
    ...(domain ? { TENANT_HOST_SUFFIXES: domain.suffix } : {}),
  })
}
