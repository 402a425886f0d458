/** The Container Apps environment, and the certificate of a domain whose subdomains are tenants. */
import { Certificate } from "@pulumi/azure-native/app/certificate.js"
import { ManagedEnvironment } from "@pulumi/azure-native/app/managedEnvironment.js"
import type { UserAssignedIdentity } from "@pulumi/azure-native/managedidentity/userAssignedIdentity.js"
import { type Input, interpolate, type Resource, secret } from "@pulumi/pulumi"
import type { Network } from "./network.ts"
import type { Place } from "./place.ts"
import type { Vault } from "./vault.ts"

type Parts = {
  network: Network | undefined
  certificateReader: UserAssignedIdentity | undefined
  /** Where traces go: a connection string of Application Insights. */
  insights: Input<string>
}

export function createEnvironment(
  place: Place,
  { network, certificateReader, insights }: Parts,
): ManagedEnvironment {
  const { settings, names, resourceGroupName, location, tags } = place
  return new ManagedEnvironment(
    "environment",
    {
      resourceGroupName,
      environmentName: names.environment,
      location,
      tags,
      workloadProfiles: [{ name: "Consumption", workloadProfileType: "Consumption" }],
      // A diagnostic setting sends the logs on, so the workspace's key is nowhere in the state.
      appLogsConfiguration: { destination: "azure-monitor" },
      // An agent of the environment takes traces by OTLP and tells each app where it is, by OTEL_EXPORTER_OTLP_ENDPOINT and
      // OTEL_EXPORTER_OTLP_PROTOCOL=grpc (learn.microsoft.com/azure/container-apps/opentelemetry-agents).
      appInsightsConfiguration: { connectionString: secret(insights) },
      openTelemetryConfiguration: { tracesConfiguration: { destinations: ["appInsights"] } },
      zoneRedundant: settings.network.zoneRedundant,
      ...(network ? { vnetConfiguration: { infrastructureSubnetId: network.apps.id, internal: false } } : {}),
      ...(certificateReader
        ? { identity: { type: "UserAssigned", userAssignedIdentities: [certificateReader.id] } }
        : {}),
    },
    { additionalSecretOutputs: ["appInsightsConfiguration"] },
  )
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
