/** Azure regions, each with the AWS regions of Neon that lie near it. */

const NEAR: Record<string, readonly string[]> = {
  eastus: ["aws-us-east-1", "aws-us-east-2"],
  eastus2: ["aws-us-east-1", "aws-us-east-2"],
  centralus: ["aws-us-east-2"],
  northcentralus: ["aws-us-east-2"],
  westus2: ["aws-us-west-2"],
  westus3: ["aws-us-west-2"],
  westcentralus: ["aws-us-west-2"],
  germanywestcentral: ["aws-eu-central-1"],
  westeurope: ["aws-eu-central-1", "aws-eu-west-2"],
  switzerlandnorth: ["aws-eu-central-1"],
  francecentral: ["aws-eu-central-1", "aws-eu-west-2"],
  uksouth: ["aws-eu-west-2"],
  northeurope: ["aws-eu-west-2"],
  southeastasia: ["aws-ap-southeast-1"],
  australiaeast: ["aws-ap-southeast-2"],
  brazilsouth: ["aws-sa-east-1"],
}

/** What is wrong with running in `azure` beside a Neon project in `neon`; undefined where they are neighbours. */
export function pairingProblem(azure: string, neon: string): string | undefined {
  const near = NEAR[azure]
  const plain = azure.toLowerCase().replaceAll(" ", "")
  if (near === undefined && NEAR[plain] !== undefined)
    return `azure-native:location "${azure}" is not how Azure writes it: pulumi config set azure-native:location ${plain}`
  if (near === undefined)
    return `azure-native:location "${azure}" has no neighbour among Neon's regions; choose one of ${Object.keys(NEAR).join(", ")}`
  if (!near.includes(neon))
    return `tenantry:neon.region ${neon} is far from ${azure}, and each query would cross that distance; near it is ${near.join(" or ")}`
  return undefined
}
