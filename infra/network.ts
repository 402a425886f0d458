/** The network of a private stack: one subnet for the apps, one for private endpoints. */
import { Subnet } from "@pulumi/azure-native/network/subnet.js"
import { VirtualNetwork } from "@pulumi/azure-native/network/virtualNetwork.js"
import { PrivateDnsZoneGroup } from "@pulumi/azure-native/network/privateDnsZoneGroup.js"
import { PrivateEndpoint } from "@pulumi/azure-native/network/privateEndpoint.js"
import { PrivateZone } from "@pulumi/azure-native/privatedns/privateZone.js"
import { VirtualNetworkLink } from "@pulumi/azure-native/privatedns/virtualNetworkLink.js"
import type { Input, Resource } from "@pulumi/pulumi"
import type { Place } from "./place.ts"

/** How Azure's own clients find a vault's private address; the name is Azure's. */
const VAULT_ZONE = "privatelink.vaultcore.azure.net"

export type Network = ReturnType<typeof createNetwork>

export function createNetwork({ settings, names, resourceGroupName, location, tags }: Place) {
  const range = settings.network.addressSpace
  const part = (third: number, bits: number) => range.replace("0.0/16", `${third}.0/${bits}`)
  const network = new VirtualNetwork("network", {
    resourceGroupName,
    virtualNetworkName: names.network,
    location,
    tags,
    addressSpace: { addressPrefixes: [range] },
  })
  const apps = new Subnet("apps-subnet", {
    resourceGroupName,
    virtualNetworkName: network.name,
    subnetName: "apps",
    addressPrefix: part(0, 23),
    delegations: [{ name: "apps", serviceName: "Microsoft.App/environments" }],
  })
  const endpoints = new Subnet(
    "endpoints-subnet",
    {
      resourceGroupName,
      virtualNetworkName: network.name,
      subnetName: "endpoints",
      addressPrefix: part(2, 24),
      privateEndpointNetworkPolicies: "Enabled",
    },
    // Azure changes one subnet of a network at a time.
    { dependsOn: [apps] },
  )
  const zone = new PrivateZone("vault-zone", {
    resourceGroupName,
    privateZoneName: VAULT_ZONE,
    location: "global",
    tags,
  })
  const link = new VirtualNetworkLink("vault-zone-link", {
    resourceGroupName,
    privateZoneName: zone.name,
    virtualNetworkLinkName: names.network,
    location: "global",
    registrationEnabled: false,
    virtualNetwork: { id: network.id },
  })
  return { apps, endpoints, zone, link }
}

/** Gives a vault an address in the network. What uses the vault from there depends on the result. */
export function connectVault(
  { resourceGroupName, location, tags }: Place,
  { endpoints, zone, link }: Network,
  name: string,
  vaultId: Input<string>,
): Resource {
  const endpoint = new PrivateEndpoint(`${name}-endpoint`, {
    resourceGroupName,
    privateEndpointName: `${name}-endpoint`,
    location,
    tags,
    subnet: { id: endpoints.id },
    privateLinkServiceConnections: [{ name, privateLinkServiceId: vaultId, groupIds: ["vault"] }],
  })
  return new PrivateDnsZoneGroup(
    `${name}-endpoint-dns`,
    {
      resourceGroupName,
      privateEndpointName: endpoint.name,
      privateDnsZoneGroupName: "default",
      privateDnsZoneConfigs: [{ name: "vault", privateDnsZoneId: zone.id }],
    },
    { dependsOn: [link] },
  )
}
