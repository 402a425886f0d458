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

it("a variable that Pulumi made a number of is text again", () => {
  const flat = {
    ...configurationOf("prod"),
    "tenantry:api": change("tenantry:api", { environment: { POOL_MAX: 8 } }),
  }
  expect(parseSettings(flat).api.environment).toEqual({ POOL_MAX: "8" })
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
      "without a whole object, by the names of its parts",
      { "tenantry:neon": undefined },
      "tenantry:neon.owner is not set: pulumi config set --path tenantry:neon.owner",
    ],
    [
      "without a word of a short list",
      { "tenantry:registrySku": undefined },
      "tenantry:registrySku is not set: pulumi config set tenantry:registrySku",
    ],
    [
      "with a list where an object belongs",
      { "tenantry:neon": "[]" },
      "tenantry:neon must be an object; set",
    ],
    [
      "with a number where text belongs",
      { "tenantry:neon": change("tenantry:neon", { region: 1 }) },
      "tenantry:neon.region must be text",
    ],
    [
      "with a cell that is no branch of a project",
      { "tenantry:neon": change("tenantry:neon", { cells: ["quiet-sea-1"] }) },
      "tenantry:neon.cells.0 must be project/branch, such as quiet-sea-1/br-quiet-sea-1",
    ],
    [
      "with its cells as text",
      { "tenantry:neon": change("tenantry:neon", { cells: "quiet-sea-1/br-quiet-sea-1" }) },
      "tenantry:neon.cells must be a list: pulumi config set --path 'tenantry:neon.cells[0]'",
    ],
    [
      "with two cells of one project",
      { "tenantry:neon": change("tenantry:neon", { cells: ["quiet-sea-12345678/br-other-1"] }) },
      "tenantry:neon.cells must name each project once: a cell is a project of its own",
    ],
    [
      "in a region as the portal writes it",
      { "azure-native:location": "East US 2" },
      '"East US 2" is not how Azure writes it: pulumi config set azure-native:location eastus2',
    ],
    [
      "with a token in the repository's address, where everybody would see it",
      {
        "tenantry:repository": change("tenantry:repository", { url: "https://me:t0ken@github.com/a/b.git" }),
      },
      "tenantry:repository.url must hold no user and no password",
    ],
    [
      "with a key that a line end came along with",
      { "tenantry:neonApiKey": "napi_0123456789\n" },
      "tenantry:neonApiKey must be a Neon API key",
    ],
    [
      "with a range that is somebody's on the internet",
      { "tenantry:network": change("tenantry:network", { addressSpace: "172.1.0.0/16" }) },
      "tenantry:network.addressSpace must be a private range",
    ],
    [
      "with the registry's own name in an image's",
      {
        "tenantry:images": change("tenantry:images", {
          api: `acme.azurecr.io/tenantry-api@sha256:${"a".repeat(64)}`,
        }),
      },
      "tenantry:images.api must be a name in the registry, without the registry's own",
    ],
    [
      "with Neon's key as its certificate, which the environment would then read",
      { "tenantry:domain": change("tenantry:domain", { certificateSecret: "Neon-Api-Key" }) },
      "tenantry:domain.certificateSecret must not be neon-api-key",
    ],
    [
      "with more replicas than may be",
      { "tenantry:api": change("tenantry:api", { maxReplicas: 1000 }) },
      "tenantry:api.maxReplicas must be a whole number from 1 to 300",
    ],
    [
      "with events that nothing signs",
      { "tenantry:webhookSecret": undefined },
      "tenantry:webhookSecret is not set, and tenantry:webhook needs it to sign what is sent: pulumi config set --secret",
    ],
    [
      "with a signature of nothing",
      { "tenantry:webhook": undefined },
      "tenantry:webhook.url is not set, and tenantry:webhookSecret would sign nothing",
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
      "tenantry:images.api must be a name in the registry",
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

  it("in words of its own: no fault of any key reads like the checker's", () => {
    const keys = Object.keys(configurationOf("prod")).filter((key) => key.startsWith("tenantry:"))
    for (const value of [undefined, "", "[]", "{}", "7", "null", '{"x":1}'])
      for (const key of keys)
        for (const line of problemsOf({ [key]: value }).split("\n"))
          expect(line).not.toMatch(/Invalid|expected|undefined|Too (?:small|big)/)
  })

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
      "tenantry:webhookSecret": "hunter2",
      "tenantry:name": "A",
    })
    expect(problems).toContain("tenantry:neonApiKey must be a Neon API key")
    for (const secret of ["short", "tiny", "hunter2", ...Object.values(SECRETS)])
      expect(problems).not.toContain(secret)
  })
})
