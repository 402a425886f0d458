/**
 * Key Vaults and the secrets that a deployment puts there.
 *
 * All versions of Key Vault's management API before 2026-02-01 end on 2027-02-27
 * (learn.microsoft.com/azure/key-vault/general/access-control-default). The typed Vault and Secret of azure-native speak
 * 2024-11-01, so both are written with the generic resource, which speaks the version that it is told.
 */
import { Resource } from "@pulumi/azure-native/resources/resource.js"
import {
  type Input,
  interpolate,
  type Output,
  type Resource as Dependency,
  secret as asSecret,
} from "@pulumi/pulumi"
import type { Place } from "./place.ts"

const API_VERSION = "2026-02-01"

export type Vault = { resource: Resource; id: Output<string>; name: Output<string>; uri: Output<string> }

/** A vault opened by roles only, whose secrets and which itself can be had back for 90 days. */
export function createVault(place: Place, logicalName: string, name: string): Vault {
  const { settings, resourceGroupName, location, tags, directoryId } = place
  const resource = new Resource(
    logicalName,
    {
      apiVersion: API_VERSION,
      resourceGroupName,
      resourceProviderNamespace: "Microsoft.KeyVault",
      parentResourcePath: "",
      resourceType: "vaults",
      resourceName: name,
      location,
      tags,
      properties: {
        tenantId: directoryId,
        sku: { family: "A", name: "standard" },
        enableRbacAuthorization: true,
        enableSoftDelete: true,
        softDeleteRetentionInDays: 90,
        enablePurgeProtection: true,
        publicNetworkAccess: settings.network.private ? "Disabled" : "Enabled",
        networkAcls: { bypass: "None", defaultAction: settings.network.private ? "Deny" : "Allow" },
      },
    },
    { protect: true },
  )
  return {
    resource,
    id: resource.id,
    name: resource.name,
    uri: interpolate`https://${resource.name}.vault.azure.net`,
  }
}

export type VaultSecret = {
  resource: Dependency
  /** Without a version: the newest. */ url: Output<string>
  id: Output<string>
}

/** Puts a value into a vault through Azure's management API, which reaches a private vault too. */
export function createSecret(
  { resourceGroupName }: Place,
  vault: Vault,
  name: string,
  value: Input<string>,
): VaultSecret {
  const resource = new Resource(
    name,
    {
      apiVersion: API_VERSION,
      resourceGroupName,
      resourceProviderNamespace: "Microsoft.KeyVault",
      parentResourcePath: interpolate`vaults/${vault.name}`,
      resourceType: "secrets",
      resourceName: name,
      properties: { value: asSecret(value) },
    },
    // Management can write a secret and not delete it.
    { additionalSecretOutputs: ["properties"], retainOnDelete: true },
  )
  return {
    resource,
    url: interpolate`${vault.uri}/secrets/${name}`,
    id: interpolate`${vault.id}/secrets/${name}`,
  }
}
