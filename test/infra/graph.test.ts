/** The unmodified program, run by Pulumi's own host: what it would ask of Azure. */
import { readFileSync } from "node:fs"
import path from "node:path"
import { beforeAll, describe, expect, it } from "vitest"
import { renderGraph } from "./golden.ts"
import { type Graph, graphOf, type Registered } from "./graph.ts"
import { CONNECTION_STRING } from "./outputs.ts"
import { configurationOf, ROOT, SECRETS, type Stack } from "./stacks.ts"

const graphs = {} as Record<Stack, Graph>
beforeAll(async () => {
  const run = async (stack: Stack) => (graphs[stack] = await graphOf(stack, configurationOf(stack)))
  await Promise.all([run("dev"), run("prod")])
})

const names = (graph: Graph) => graph.resources.map(({ name }) => name)

const find = (stack: Stack, name: string): Registered => {
  const found = graphs[stack].resources.find((resource) => resource.name === name)
  if (!found) throw new Error(`there is no ${name}: ${graphs[stack].said}`)
  return found
}

describe.each<Stack>(["dev", "prod"])("the stack %s", (stack) => {
  it("is what its golden graph says", async () => {
    expect(graphs[stack], graphs[stack].said).toMatchObject({ code: 0 })
    await expect(renderGraph(graphs[stack])).toMatchFileSnapshot(`golden/${stack}.json`)
  })

  it("shows no secret: in no output, no log, no plain argument", () => {
    const shown = JSON.stringify(graphs[stack])
    for (const secret of [...Object.values(SECRETS), CONNECTION_STRING]) expect(shown).not.toContain(secret)
    expect(find(stack, "neon-api-key").inputs["properties"]).toEqual({ value: { secret: true } })
    expect(JSON.stringify(graphs[stack].outputs)).not.toContain("secret")
  })

  it("gives each identity these roles and no other", () => {
    const roles: Record<string, string> = {
      "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
      "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
      "7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull",
    }
    const granted = graphs[stack].resources
      .filter(({ type }) => type === "azure-native:authorization:RoleAssignment")
      .map(({ inputs }) => {
        const { principalId, roleDefinitionId, scope } = inputs as Record<string, string>
        return `${principalId}: ${roles[roleDefinitionId!.split("/").at(-1)!]} on ${scope}`
      })
    const always = [
      "<principal of api-identity>: AcrPull on <id of registry>",
      "<principal of api-identity>: Key Vault Secrets User on <id of tenant-vault>",
      "<principal of reconciler-identity>: AcrPull on <id of registry>",
      "<principal of reconciler-identity>: Key Vault Secrets Officer on <id of tenant-vault>",
      "<principal of reconciler-identity>: Key Vault Secrets User on <id of operator-vault>/secrets/neon-api-key",
    ]
    const asked = [
      "<principal of certificate-identity>: Key Vault Secrets User on <id of operator-vault>/secrets/shop-wildcard",
      "<principal of reconciler-identity>: Key Vault Secrets User on <id of operator-vault>/secrets/repository-token",
      "<principal of reconciler-identity>: Key Vault Secrets User on <id of operator-vault>/secrets/webhook-secret",
    ]
    expect(granted.toSorted()).toEqual((stack === "prod" ? [...always, ...asked] : always).toSorted())
  })

  it("starts no app before its roles are given", () => {
    expect(find(stack, "api").dependsOn).toEqual(expect.arrayContaining(["api-pulls", "api-reads-tenants"]))
    expect(find(stack, "reconciler").dependsOn).toEqual(
      expect.arrayContaining(["neon-api-key", "reconciler-keeps-tenants", "reconciler-reads-neon-api-key"]),
    )
  })

  it("protects its vaults, whose secrets can be had back for 90 days", () => {
    for (const name of ["tenant-vault", "operator-vault"]) {
      expect(find(stack, name)).toMatchObject({
        protect: true,
        inputs: {
          properties: {
            enableRbacAuthorization: true,
            enablePurgeProtection: true,
            softDeleteRetentionInDays: 90,
            publicNetworkAccess: stack === "prod" ? "Disabled" : "Enabled",
          },
        },
      })
    }
  })

  it("speaks to Key Vault's management in a version that outlives 2027-02-27", () => {
    const ofKeyVault = graphs[stack].resources.filter(
      ({ type, inputs }) =>
        type.startsWith("azure-native:keyvault:") ||
        inputs["resourceProviderNamespace"] === "Microsoft.KeyVault",
    )
    expect(ofKeyVault.length).toBeGreaterThan(2)
    for (const { type, inputs } of ofKeyVault) {
      expect(type).toBe("azure-native:resources:Resource")
      expect(String(inputs["apiVersion"]) >= "2026-02-01").toBe(true)
    }
  })

  it("lets nobody reach the reconciler, and has one replica of it", () => {
    const { configuration, template } = find(stack, "reconciler").inputs as Record<
      string,
      Record<string, unknown>
    >
    expect(configuration).not.toHaveProperty("ingress")
    expect(template).toMatchObject({
      scale: { minReplicas: 1, maxReplicas: 1 },
      terminationGracePeriodSeconds: 60,
    })
  })

  it("has cores and memory only in the pairs that the Consumption profile takes", () => {
    for (const name of ["api", "reconciler"]) {
      const { containers } = find(stack, name).inputs["template"] as {
        containers: { resources: { cpu: number; memory: string } }[]
      }
      const cores = containers.reduce((sum, { resources }) => sum + resources.cpu, 0)
      const memory = containers.reduce((sum, { resources }) => sum + Number.parseFloat(resources.memory), 0)
      expect(memory).toBe(cores * 2)
      expect(cores * 4).toBe(Math.round(cores * 4))
      expect(cores).toBeLessThanOrEqual(4)
    }
  })
})

it("prod reaches its vaults by private addresses only", () => {
  expect(find("prod", "reconciler").dependsOn).toEqual(
    expect.arrayContaining(["operator-vault-endpoint-dns", "tenant-vault-endpoint-dns"]),
  )
  expect(find("prod", "api").dependsOn).toContain("tenant-vault-endpoint-dns")
})

it("the committed stacks hold no secret in the clear", () => {
  for (const stack of ["dev", "prod"]) {
    const text = readFileSync(path.join(ROOT, `Pulumi.${stack}.yaml`), "utf8")
    expect(text).not.toMatch(/(?:neonApiKey|repositoryToken|webhookSecret):(?!\n\s+secure:)/)
  }
})

it("without images, or where Azure would refuse a name, it stops and makes nothing; bootstrap makes all but the apps", async () => {
  const { "tenantry:images": _, ...bare } = configurationOf("dev")
  const [stopped, misnamed, started] = await Promise.all([
    graphOf("dev", bare),
    graphOf("production-of-acme", configurationOf("dev")),
    graphOf("dev", { ...bare, "tenantry:bootstrap": "true" }),
  ])
  expect(stopped.said).toContain("tenantry:images is not set")
  expect(misnamed.said).toContain('vault cannot be named "acme-production-of-acme-tenants"')
  for (const { code, said, resources } of [stopped, misnamed]) {
    expect(code).not.toBe(0)
    expect(said).not.toContain("    at ")
    expect(resources).toEqual([])
  }

  expect(started).toMatchObject({ code: 0, said: expect.stringContaining("no app is made") })
  const missing = names(graphs.dev).filter((name) => !names(started).includes(name))
  expect(missing).toEqual(["api", "api-diagnostics", "reconciler"])
})
