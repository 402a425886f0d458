/** The Container Apps environment, and the certificate of a domain whose subdomains are tenants. */
import { Certificate } from "@pulumi/azure-native/app/certificate.js"
import { ManagedEnvironment } from "@pulumi/azure-native/app/managedEnvironment.js"
import type { UserAssignedIdentity } from "@pulumi/azure-native/managedidentity/userAssignedIdentity.js"
import { interpolate, type Resource } from "@pulumi/pulumi"
import type { Network } from "./network.ts"
import type { Place } from "./place.ts"
import type { Vault } from "./vault.ts"

export function createEnvironment(
  place: Place,
  network: Network | undefined,
  certificateReader: UserAssignedIdentity | undefined,
): ManagedEnvironment {
  const { settings, names, resourceGroupName, location, tags } = place
  return new ManagedEnvironment("environment", {
    resourceGroupName,
    environmentName: names.environment,
    location,
    tags,
    workloadProfiles: [{ name: "Consumption", workloadProfileType: "Consumption" }],
    // A diagnostic setting sends the logs on, so the workspace's key is nowhere in the state.
    appLogsConfiguration: { destination: "azure-monitor" },
    zoneRedundant: settings.network.zoneRedundant,
    ...(network ? { vnetConfiguration: { infrastructureSubnetId: network.apps.id, internal: false } } : {}),
    ...(certificateReader
      ? { identity: { type: "UserAssigned", userAssignedIdentities: [certificateReader.id] } }
      : {}),
  })
}

/** The certificate of *.<suffix>, read from the operator's vault and followed as it is renewed there. */
export function createCertificate(
  { settings, resourceGroupName, location, tags }: Place,
  environment: ManagedEnvironment,
  reader: UserAssignedIdentity,
  vault: Vault,
  dependsOn: Resource[],
): Certificate {
  return new Certificate(
    "wildcard",
    {
      resourceGroupName,
      environmentName: environment.name,
      certificateName: "wildcard",
      location,
      tags,
      properties: {
        certificateType: "ServerSSLCertificate",
        certificateKeyVaultProperties: {
          identity: reader.id,
          keyVaultUrl: interpolate`${vault.uri}/secrets/${settings.domain!.certificateSecret}`,
        },
      },
    },
    { dependsOn },
  )
}
