/** Single switches of the configuration, by Pulumi's own mocks. */
import { runtime } from "@pulumi/pulumi"
import { beforeEach, expect, it, vi } from "vitest"
import { CLIENT, idOf, stateOf } from "./outputs.ts"
import { configurationOf } from "./stacks.ts"

type Made = { type: string; name: string; inputs: Record<string, unknown> }

/** All resources of the stack dev with these changes. */
async function resourcesWith(changes: Record<string, string>): Promise<Made[]> {
  const made: Made[] = []
  await runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        made.push({ type, name, inputs: inputs as Record<string, unknown> })
        return { id: idOf(name), state: stateOf(type, name, inputs as Record<string, unknown>) }
      },
      call: () => CLIENT,
    },
    "tenantry",
    "dev",
  )
  runtime.setAllConfig({ ...configurationOf("dev"), ...changes }, ["tenantry:neonApiKey"])
  await runtime.runInPulumiStack(() => import("../../infra/index.ts"))
  await runtime.disconnect()
  return made
}

beforeEach(() => vi.resetModules())

const names = (made: readonly Made[]) => made.map(({ name }) => name)

it("a private repository brings its token to the sidecar as a file, and to nobody's environment", async () => {
  const token = "ghp_this_is_a_secret_token"
  const made = await resourcesWith({ "tenantry:repositoryToken": token })
  const { template, configuration } = made.find(({ name }) => name === "reconciler")!.inputs as {
    template: {
      containers: { name: string; env: { name: string; value?: string }[]; volumeMounts: unknown[] }[]
    }
    configuration: { secrets: { name: string; value?: string }[] }
  }
  const [reconciler, sidecar] = template.containers
  expect(sidecar!.volumeMounts).toContainEqual({ volumeName: "token", mountPath: "/etc/repository" })
  expect(reconciler!.volumeMounts).toEqual([{ volumeName: "repository", mountPath: "/git" }])
  expect(JSON.stringify([template, configuration])).not.toContain(token)
})

it("a domain has the API find tenants by their host, with a certificate for every subdomain", async () => {
  const made = await resourcesWith({
    "tenantry:domain": JSON.stringify({ suffix: "shop.acme.example", certificateSecret: "wildcard" }),
  })
  expect(names(made)).toContain("wildcard")
  const text = JSON.stringify(made.find(({ name }) => name === "api")!.inputs)
  expect(text).toContain('"name":"TENANT_HOST_SUFFIXES","value":"shop.acme.example"')
  expect(text).toContain(
    '"bindingType":"SniEnabled","certificateId":"<id of wildcard>","name":"*.shop.acme.example"',
  )
})

it("conditionOnPrefix holds both roles on the tenants' vault to secrets of tenants, and only those", async () => {
  const conditioned = (made: readonly Made[]) =>
    names(made.filter(({ inputs }) => inputs["condition"] !== undefined)).toSorted()
  expect(conditioned(await resourcesWith({}))).toEqual([])
  vi.resetModules()
  const made = await resourcesWith({ "tenantry:conditionOnPrefix": "true" })
  expect(conditioned(made)).toEqual(["api-reads-tenants", "reconciler-keeps-tenants"])
  for (const { inputs } of made.filter((one) => one.inputs["condition"] !== undefined)) {
    expect(inputs["conditionVersion"]).toBe("2.0")
    expect(inputs["condition"]).toContain("StringStartsWith 'tenant-'")
    // A list names no secret, so a condition on names would refuse it.
    expect(inputs["condition"]).not.toContain("readMetadata")
  }
})

it("alerts go to the address that is set, and there is none without one", async () => {
  const rules = (made: readonly Made[]) =>
    names(made.filter(({ type }) => type.endsWith(":ScheduledQueryRule"))).toSorted()
  expect(rules(await resourcesWith({}))).toEqual([])
  vi.resetModules()
  const made = await resourcesWith({ "tenantry:alerts": JSON.stringify({ email: "people@acme.example" }) })
  expect(rules(made)).toEqual(["no-pass", "requests-fail", "tenant-not-ready"])
})

const reconciler = (made: readonly Made[]) =>
  made.find(({ name }) => name === "reconciler")!.inputs as {
    configuration: { ingress?: unknown }
    template: { containers: { env: { name: string; value?: string }[] }[] }
  }

it("the reconciler can be called only where its page is wanted, and then by https and with a token", async () => {
  expect(reconciler(await resourcesWith({})).configuration.ingress).toBeUndefined()
  vi.resetModules()
  const settings = { ...JSON.parse(configurationOf("dev")["tenantry:reconciler"]!), page: true } as object
  const { configuration, template } = reconciler(
    await resourcesWith({ "tenantry:reconciler": JSON.stringify(settings) }),
  )
  expect(configuration.ingress).toMatchObject({ external: true, targetPort: 3001, allowInsecure: false })
  expect(template.containers[0]!.env).toContainEqual({ name: "AUTH", value: "on" })
})
