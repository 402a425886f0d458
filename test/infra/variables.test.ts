/** The variables that the program gives each app, and those that the app reads: neither may change without the other. */
import { readFileSync } from "node:fs"
import path from "node:path"
import ts from "typescript"
import { describe, expect, it } from "vitest"
import * as api from "../../api/config.ts"
import { failingPasses, failingRequests, unreadyTenants } from "../../infra/queries.ts"
import { API_TUNABLES, RECONCILER_TUNABLES } from "../../infra/tunables.ts"
import * as reconciler from "../../reconciler/config.ts"
import { ROOT, SECRETS, type Stack } from "./stacks.ts"

type Variable = { name: string; value?: string; secretRef?: string }

/** What the golden graph gives the first container of an app. */
function given(stack: Stack, app: string): Variable[] {
  const file = path.join(ROOT, `test/infra/golden/${stack}.json`)
  const { resources } = JSON.parse(readFileSync(file, "utf8")) as {
    resources: { name: string; inputs: { template: { containers: { env: Variable[] }[] } } }[]
  }
  return resources.find(({ name }) => name === app)!.inputs.template.containers[0]!.env
}

/** Every file that `entry` imports, and itself. */
function closure(entry: string, seen = new Map<string, ts.SourceFile>()): Map<string, ts.SourceFile> {
  if (seen.has(entry)) return seen
  const source = ts.createSourceFile(entry, readFileSync(entry, "utf8"), ts.ScriptTarget.Latest, true)
  seen.set(entry, source)
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) continue
    const { text } = statement.moduleSpecifier
    if (text.startsWith(".")) closure(path.resolve(path.dirname(entry), text), seen)
  }
  return seen
}

/** The names in process.env["NAME"], anywhere in the program. */
function readDirectly(entry: string): string[] {
  const names: string[] = []
  const visit = (node: ts.Node): void => {
    if (
      ts.isElementAccessExpression(node) &&
      node.expression.getText() === "process.env" &&
      ts.isStringLiteral(node.argumentExpression)
    )
      names.push(node.argumentExpression.text)
    ts.forEachChild(node, visit)
  }
  for (const source of closure(path.join(ROOT, entry)).values()) visit(source)
  return names
}

/** Read by an app and never set on Azure, each with its reason. */
const NEVER: Record<"api" | "reconciler", Record<string, string>> = {
  api: {
    HOST: "a container listens on all of its addresses",
    METRICS_HOST: "likewise",
    OTEL_EXPORTER_OTLP_HEADERS: "it may hold a credential: a collector beside the app adds it",
    CONNECTION_TEMPLATE: "it stands in the place of the vault",
    FLEET_ID: "it goes with CONNECTION_TEMPLATE",
    TENANTS_DIR: "it goes with CONNECTION_TEMPLATE",
    MIGRATIONS_DIR: "it goes with TENANTS_DIR, which is not set",
  },
  reconciler: {
    STATUS_HOST: "a container listens on all of its addresses: Azure's probes come from outside",
    METRICS_HOST: "a container listens on all of its addresses",
    OTEL_EXPORTER_OTLP_HEADERS: "it may hold a credential: a collector beside the app adds it",
    NO_COLOR: "it is about a person's terminal",
    FORCE_COLOR: "it is about a person's terminal",
  },
}

const APPS = [
  {
    app: "api",
    entry: "api/main.ts",
    schema: Object.keys(api.Environment.shape),
    tunables: API_TUNABLES as readonly string[],
    never: Object.keys(NEVER.api),
  },
  {
    app: "reconciler",
    entry: "reconciler/main.ts",
    schema: Object.keys(reconciler.ReconcilerEnvironment.shape),
    tunables: RECONCILER_TUNABLES as readonly string[],
    never: Object.keys(NEVER.reconciler),
  },
]

describe.each(APPS)("the variables of the $app", ({ app, entry, schema, tunables, never }) => {
  it("are exactly those that it reads: set by the program, left to the stack, or never set on Azure", () => {
    const set = new Set([...given("dev", app), ...given("prod", app)].map(({ name }) => name))
    const known = [...set, ...tunables, ...never]
    const read = new Set([...schema, ...readDirectly(entry)])
    expect(known.toSorted()).toEqual([...read].toSorted())
  })

  it("are looked for in every file that it imports", () => {
    expect(readDirectly(entry)).toEqual(expect.arrayContaining(["AZURE_CLIENT_ID", "LOG_LEVEL"]))
  })
})

const fromVault = (name: string) =>
  name === "webhook-secret" ? SECRETS.webhookSecret : "a-value-from-the-vault"

describe.each<Stack>(["dev", "prod"])("on the stack %s", (stack) => {
  const environment = (app: string) =>
    Object.fromEntries(
      given(stack, app).map(({ name, value, secretRef }) => [name, value ?? fromVault(secretRef!)]),
    )

  it("the API accepts its variables, and lets nobody in without a token", () => {
    const read = api.readConfig(environment("api"))
    expect(read).toMatchObject({ config: { authority: { kind: "issuer" }, credentials: { kind: "vault" } } })
  })

  it("the reconciler accepts its variables, and reads what git-sync keeps", () => {
    expect(reconciler.readConfig(environment("reconciler")).sources).toEqual({
      tenantsDir: "/git/current/tenants",
      fleetFile: "/git/current/fleet.yaml",
      migrationsDir: "/app/migrations",
    })
  })

  it("the reconciler works on the cells that the stack names, and without any on one", () => {
    const { cells } = reconciler.readConfig(environment("reconciler")).neon
    const further = stack === "prod" ? ["quiet-sea-23456789", "quiet-sea-34567890"] : []
    expect(cells.map(({ projectId }) => projectId)).toEqual(["quiet-sea-12345678", ...further])
  })

  it("credentials are references to the vault, and the API has no reference at all", () => {
    const secrets = (app: string) => given(stack, app).filter(({ secretRef }) => secretRef !== undefined)
    expect(secrets("reconciler")).toEqual([
      ...(stack === "prod" ? [{ name: "EVENTS_WEBHOOK_SECRET", secretRef: "webhook-secret" }] : []),
      { name: "NEON_API_KEY", secretRef: "neon-api-key" },
    ])
    expect(secrets("api")).toEqual([])
  })
})

const quoted = (query: string) => [...query.matchAll(/'([a-z]+(?: [a-z]+)+)'/g)].map(([, text]) => text!)

it("the alerts quote messages that the apps still log", () => {
  const strings = (entry: string) =>
    [...closure(path.join(ROOT, entry)).values()].map((source) => source.text).join("\n")
  const cases = [
    { entry: "reconciler/main.ts", messages: quoted(unreadyTenants("x") + failingPasses("x")) },
    { entry: "api/main.ts", messages: quoted(failingRequests("x", "/id")) },
  ]
  for (const { entry, messages } of cases) {
    expect(messages.length).toBeGreaterThan(1)
    for (const message of messages) expect(strings(entry)).toContain(`"${message}"`)
  }
})
