/** Everything of Tenantry on Azure. "pulumi up" makes it; docs/deploy.md tells the way there. */
import { getClientConfigOutput } from "@pulumi/azure-native/authorization/getClientConfig.js"
import { ResourceGroup } from "@pulumi/azure-native/resources/resourceGroup.js"
import { getStack, log, type Output, interpolate } from "@pulumi/pulumi"
import { createAlerts } from "./alerts.ts"
import { createApi } from "./api-app.ts"
import { readStack } from "./config.ts"
import { createCertificate, createEnvironment } from "./environment.ts"
import { connectVault, createNetwork } from "./network.ts"
import { createObservability, keepDiagnostics } from "./observability.ts"
import type { Place } from "./place.ts"
import { createReconciler } from "./reconciler-app.ts"
import { createRegistry } from "./registry.ts"
import { createIdentity, grant } from "./roles.ts"
import { createSecret, createVault } from "./vault.ts"

const { settings, names } = readStack()
const tags = { application: "tenantry", stack: getStack() }
const { location, domain, images } = settings
const client = getClientConfigOutput()
const group = new ResourceGroup("group", { resourceGroupName: names.resourceGroup, location, tags })
const place: Place = {
  settings,
  names,
  resourceGroupName: group.name,
  location,
  tags,
  subscriptionId: client.subscriptionId,
  directoryId: client.tenantId,
}

const { workspace, insights } = createObservability(place)
const registry = createRegistry(place)
const network = settings.network.private ? createNetwork(place) : undefined

// Two vaults, so that a role on one opens nothing of the other: the API reads tenants' secrets, never Neon's key.
const tenantVault = createVault(place, "tenant-vault", names.tenantVault)
const operatorVault = createVault(place, "operator-vault", names.operatorVault)
const tenantDoor = network && connectVault(place, network, "tenant-vault", tenantVault.id)
const operatorDoor = network && connectVault(place, network, "operator-vault", operatorVault.id)

const apiIdentity = createIdentity(place, "api-identity", names.apiIdentity)
const apiRoles = [
  grant(place, "api-reads-tenants", {
    to: apiIdentity,
    role: "Key Vault Secrets User",
    scope: tenantVault.id,
    onTenants: true,
  }),
  grant(place, "api-pulls", { to: apiIdentity, role: "AcrPull", scope: registry.id }),
]
const reconcilerIdentity = createIdentity(place, "reconciler-identity", names.reconcilerIdentity)
/** Keeps one secret for the reconciler, which may read that one of the vault's. */
const keep = (name: string, value: string) => {
  const secret = createSecret(place, operatorVault, name, value)
  const role = { to: reconcilerIdentity, role: "Key Vault Secrets User", scope: secret.id } as const
  return { ...secret, ready: [secret.resource, grant(place, `reconciler-reads-${name}`, role)] }
}
const neonApiKey = keep(names.neonApiKey, settings.neonApiKey)
const repositoryToken =
  settings.repositoryToken === undefined ? undefined : keep(names.repositoryToken, settings.repositoryToken)
const webhookSecret =
  settings.webhookSecret === undefined ? undefined : keep(names.webhookSecret, settings.webhookSecret)
const reconcilerRoles = [
  grant(place, "reconciler-keeps-tenants", {
    to: reconcilerIdentity,
    role: "Key Vault Secrets Officer",
    scope: tenantVault.id,
    onTenants: true,
  }),
  grant(place, "reconciler-pulls", { to: reconcilerIdentity, role: "AcrPull", scope: registry.id }),
]

const certificateReader =
  domain && createIdentity(place, "certificate-identity", `${names.environment}-certificate`)
const environment = createEnvironment(place, {
  network,
  certificateReader,
  insights: insights.connectionString,
})
const certificate =
  domain &&
  certificateReader &&
  createCertificate(place, environment, certificateReader, operatorVault, [
    grant(place, "environment-reads-certificate", {
      to: certificateReader,
      role: "Key Vault Secrets User",
      scope: interpolate`${operatorVault.id}/secrets/${domain.certificateSecret}`,
    }),
    ...(operatorDoor ? [operatorDoor] : []),
  ])

keepDiagnostics("environment", environment, workspace.id, { logs: true, metrics: false })
keepDiagnostics("tenant-vault", tenantVault.resource, workspace.id, { logs: true, metrics: true })
keepDiagnostics("operator-vault", operatorVault.resource, workspace.id, { logs: true, metrics: true })
keepDiagnostics("registry", registry, workspace.id, { logs: true, metrics: true })

if (!images)
  void log.warn(
    "tenantry:bootstrap: no app is made; push the images, set tenantry:images, remove tenantry:bootstrap",
  )

const shared = { environmentId: environment.id, registryServer: registry.loginServer, tenantVault }
const api =
  images &&
  createApi(place, images.api, {
    ...shared,
    identity: apiIdentity,
    certificateId: certificate?.id,
    dependsOn: [...apiRoles, ...(tenantDoor ? [tenantDoor] : [])],
  })
const reconciler =
  images &&
  createReconciler(place, images.reconciler, {
    ...shared,
    identity: reconcilerIdentity,
    neonApiKey,
    repositoryToken,
    webhookSecret,
    dependsOn: [
      ...reconcilerRoles,
      ...[neonApiKey, repositoryToken, webhookSecret].flatMap((kept) => kept?.ready ?? []),
      ...(tenantDoor ? [tenantDoor] : []),
      ...(operatorDoor ? [operatorDoor] : []),
    ],
  })
if (api && reconciler) {
  keepDiagnostics("api", api, workspace.id, { logs: false, metrics: true })
  createAlerts(place, workspace.id, { api: api.name, apiId: api.id, reconciler: reconciler.name })
}

export const resourceGroup: Output<string> = group.name
export const registryServer: Output<string> = registry.loginServer
export const vaultUri: Output<string> = tenantVault.uri
/** Where the API answers; undefined while nothing is deployed. */
export const apiUrl: Output<string> | undefined =
  api &&
  interpolate`https://${api.configuration.apply((configuration) => configuration?.ingress?.fqdn ?? "")}`
export const deployedImages = images
/** For the TXT record asuid.<suffix> and the CNAME *.<suffix> of a domain of one's own. */
export const domainRecords = domain && {
  asuid: environment.customDomainConfiguration.apply((custom) => custom?.customDomainVerificationId ?? ""),
  target: environment.defaultDomain,
}
/** The command line beside the running reconciler, which is inside the network. */
export const commandLine: Output<string> | undefined =
  reconciler &&
  interpolate`az containerapp exec -g ${group.name} -n ${reconciler.name} --container reconciler --command "node reconciler/main.ts plan"`
