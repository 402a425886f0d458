/** What Azure would answer, as far as the program looks at it. */

/** The argument that names a resource, by its type. */
const NAMED_BY: Record<string, string> = {
  "azure-native:resources:ResourceGroup": "resourceGroupName",
  "azure-native:containerregistry:Registry": "registryName",
  "azure-native:app:ManagedEnvironment": "environmentName",
  "azure-native:app:ContainerApp": "containerAppName",
  "azure-native:network:VirtualNetwork": "virtualNetworkName",
  "azure-native:network:PrivateEndpoint": "privateEndpointName",
  "azure-native:privatedns:PrivateZone": "privateZoneName",
  "azure-native:resources:Resource": "resourceName",
}

type Values = Record<string, unknown>

/** What nobody may see either, though Azure gives it out. */
export const CONNECTION_STRING = "InstrumentationKey=00000000-0000-4000-8000-00000000abcd"

/** An id that says whose it is. */
export const idOf = (name: string): string => `<id of ${name}>`

/** A resource's state after it was made: its inputs, and what Azure adds. */
export function stateOf(type: string, name: string, inputs: Values): Values {
  const named = NAMED_BY[type]
  const own = named === undefined ? {} : { name: inputs[named] }
  switch (type) {
    case "azure-native:managedidentity:UserAssignedIdentity":
      return { ...inputs, ...own, principalId: `<principal of ${name}>`, clientId: `<client of ${name}>` }
    case "azure-native:containerregistry:Registry":
      return { ...inputs, ...own, loginServer: `${String(inputs["registryName"])}.azurecr.io` }
    case "azure-native:applicationinsights:Component":
      return { ...inputs, ...own, connectionString: CONNECTION_STRING }
    case "azure-native:app:ManagedEnvironment":
      return {
        ...inputs,
        ...own,
        defaultDomain: "calm-field.eastus2.azurecontainerapps.io",
        customDomainConfiguration: { customDomainVerificationId: "<verification id>" },
      }
    case "azure-native:app:ContainerApp": {
      const configuration = inputs["configuration"] as { ingress?: Values }
      const fqdn = `${String(inputs["containerAppName"])}.calm-field.eastus2.azurecontainerapps.io`
      const ingress = configuration.ingress && { ingress: { ...configuration.ingress, fqdn } }
      return { ...inputs, ...own, configuration: { ...configuration, ...ingress } }
    }
    default:
      return { ...inputs, ...own }
  }
}

export const CLIENT = {
  subscriptionId: "<subscription>",
  tenantId: "<directory>",
  clientId: "",
  objectId: "",
}
