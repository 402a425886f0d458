import { describe, expect, it } from "vitest"
import { parseSettings } from "../../infra/settings.ts"
import { configurationOf, SECRETS } from "./stacks.ts"

const problemsOf = (changes: Record<string, string | undefined>): string => {
  const merged = Object.entries({ ...configurationOf("prod"), ...changes })
  const flat = Object.fromEntries(merged.filter((entry): entry is [string, string] => entry[1] !== undefined))
  try {
    parseSettings(flat)
    return ""
  } catch (error) {
    return (error as Error).message
  }
}
const change = (key: string, changes: object) =>
  JSON.stringify({ ...(JSON.parse(configurationOf("prod")[key]!) as object), ...changes })

it("both committed stacks are whole once their owner has said what is theirs", () => {
  for (const stack of ["dev", "prod"] as const)
    expect(() => parseSettings(configurationOf(stack))).not.toThrow()
})

describe("a stack is refused", () => {
  it.each<[string, Record<string, string | undefined>, string]>([
    [
      "without a region",
      { "azure-native:location": undefined },
      "azure-native:location is not set: pulumi config set",
    ],
    [
      "without a name",
      { "tenantry:name": undefined },
      "tenantry:name is not set: pulumi config set tenantry:name",
    ],
    [
      "without Neon's key",
      { "tenantry:neonApiKey": undefined },
      "tenantry:neonApiKey is not set: pulumi config set --secret tenantry:neonApiKey",
    ],
    [
      "without a part of an object",
      { "tenantry:repository": "{}" },
      "tenantry:repository.url is not set: pulumi config set --path tenantry:repository.url",
    ],
    [
      "with text where an object belongs",
      { "tenantry:neon": "quiet-sea" },
      "tenantry:neon must be an object",
    ],
    ["with a key that nobody reads", { "tenantry:regoin": "x" }, "tenantry:regoin is not known here"],
    [
      "with a part that nobody reads",
      { "tenantry:api": change("tenantry:api", { replicas: 3 }) },
      "tenantry:api.replicas is not known here",
    ],
    ["with a name that is too long", { "tenantry:name": "abcdefghijk" }, "tenantry:name must be 3 to 10"],
    [
      "far from its databases",
      { "azure-native:location": "germanywestcentral" },
      "tenantry:neon.region aws-us-east-1 is far from germanywestcentral, and each query would cross that distance; near it is aws-eu-central-1",
    ],
    [
      "where Neon is not",
      { "azure-native:location": "koreacentral" },
      "has no neighbour among Neon's regions",
    ],
    [
      "in a region of Neon's on Azure, which is no more",
      { "tenantry:neon": change("tenantry:neon", { region: "azure-eastus2" }) },
      "tenantry:neon.region must be like aws-us-east-1",
    ],
    [
      "with an image that can change under its tag",
      { "tenantry:images": change("tenantry:images", { api: "tenantry-api:latest" }) },
      "tenantry:images.api must be a name in the registry with its digest",
    ],
    [
      "without images, unless it says bootstrap",
      { "tenantry:images": undefined },
      "tenantry:images is not set, which would take the apps down",
    ],
    [
      "zone redundant without a network",
      { "tenantry:network": change("tenantry:network", { private: false }) },
      "tenantry:network zoneRedundant needs private",
    ],
    [
      "with more replicas at least than at most",
      { "tenantry:api": change("tenantry:api", { minReplicas: 21 }) },
      "tenantry:api minReplicas must not be above maxReplicas",
    ],
    [
      "with cores that have no memory to go with",
      { "tenantry:api": change("tenantry:api", { cpu: 0.6 }) },
      "tenantry:api.cpu must be 0.25, 0.5",
    ],
    [
      "with a variable that is the program's own to set",
      { "tenantry:api": change("tenantry:api", { environment: { AUTH: "off" } }) },
      "tenantry:api.environment",
    ],
    [
      "with a repository without encryption",
      { "tenantry:repository": change("tenantry:repository", { url: "http://github.com/acme/tenants.git" }) },
      "tenantry:repository.url must be an https address",
    ],
  ])("%s", (_, changes, message) => expect(problemsOf(changes)).toContain(message))

  it("with all of its faults at once, one a line", () => {
    const problems = problemsOf({
      "tenantry:name": "A",
      "tenantry:registrySku": "Gold",
      "tenantry:logRetentionDays": "1",
    })
    expect(problems.split("\n")).toHaveLength(4)
  })

  it("without its secrets being shown", () => {
    const problems = problemsOf({
      "tenantry:neonApiKey": "short",
      "tenantry:repositoryToken": "tiny",
      "tenantry:name": "A",
    })
    expect(problems).toContain("tenantry:neonApiKey must be a Neon API key")
    for (const secret of ["short", "tiny", ...Object.values(SECRETS)]) expect(problems).not.toContain(secret)
  })
})
