import { expect, test } from "vitest"
import { readConfig } from "../../reconciler/config.ts"

const GOOD = {
  NEON_API_URL: "https://console.neon.tech/api/v2",
  NEON_API_KEY: "napi_0123456789",
  NEON_PROJECT_ID: "quiet-sun-123",
  NEON_BRANCH_ID: "br-main-1",
  NEON_DATABASE_OWNER: "owner_1",
  KEY_VAULT_URL: "https://my-vault.vault.azure.net",
}

const linesOf = (environment: NodeJS.ProcessEnv): string[] => {
  try {
    readConfig(environment)
  } catch (error) {
    return (error as Error).message.split("\n")
  }
  return []
}

test("the six variables that say where the world is are enough", () => {
  expect(readConfig(GOOD)).toEqual({
    sources: { tenantsDir: "./tenants", fleetFile: "./fleet.yaml", migrationsDir: "./migrations" },
    neon: {
      apiUrl: "https://console.neon.tech/api/v2",
      apiKey: "napi_0123456789",
      cells: [{ projectId: "quiet-sun-123", branchId: "br-main-1" }],
      owner: "owner_1",
      pollInterval: 1000,
      requestsPerSecond: 8,
    },
    vaultUrl: "https://my-vault.vault.azure.net",
    vaultWritesPerSecond: 25,
    statusPort: 3001,
    interval: 60_000,
    polling: 0,
    drain: 10_000,
    sqlConcurrency: 8,
    authority: undefined,
    metrics: { byTenant: false, port: undefined, host: undefined },
  })
})

test("the status page is opened by the tokens of an issuer, by nobody's, or without any by AUTH=off", () => {
  const issuer = { OIDC_ISSUER: "https://login.example/", OIDC_AUDIENCE: "tenantry" }
  expect(readConfig({ ...GOOD, ...issuer }).authority).toMatchObject({
    kind: "issuer",
    settings: { issuer: "https://login.example/", audience: "tenantry", adminScope: "tenants:admin" },
  })
  expect(readConfig({ ...GOOD, OIDC_ISSUER: issuer.OIDC_ISSUER }).authority).toBeUndefined()
  expect(readConfig({ ...GOOD, AUTH: "off" }).authority).toEqual({ kind: "off" })
})

test("seconds in the environment are milliseconds in the configuration", () => {
  const { interval, drain } = readConfig({ ...GOOD, RECONCILE_INTERVAL: "5", DRAIN_SECONDS: "0" })
  expect({ interval, drain }).toEqual({ interval: 5000, drain: 0 })
})

test("further cells are named with their branches; the first stays the first", () => {
  const cells = (NEON_CELLS: string) => readConfig({ ...GOOD, NEON_CELLS }).neon.cells
  const own = { projectId: "quiet-sun-123", branchId: "br-main-1" }
  expect(cells(" quiet-sea-2/br-two , quiet-sea-3/br-three")).toEqual([
    own,
    { projectId: "quiet-sea-2", branchId: "br-two" },
    { projectId: "quiet-sea-3", branchId: "br-three" },
  ])
  expect(cells("")).toEqual([own])
})

const BAD_CELL = "must be project/branch, with commas between two: quiet-sea-1/br-one,quiet-sea-2/br-two"
test.for(["quiet-sea-2", "quiet-sea-2/", "a/b/c", "a/b,Quiet/br", "../x/br", "a b/c"])(
  "NEON_CELLS=%s is one line that says how cells are written",
  (NEON_CELLS) => expect(linesOf({ ...GOOD, NEON_CELLS })).toEqual([`environment: NEON_CELLS ${BAD_CELL}`]),
)

test.for(["quiet-sun-123/br-other", "quiet-sea-2/br-1,quiet-sea-2/br-2"])(
  "NEON_CELLS=%s names a project twice, which is said",
  (NEON_CELLS) => {
    const twice = NEON_CELLS.startsWith("quiet-sun") ? "quiet-sun-123" : "quiet-sea-2"
    expect(linesOf({ ...GOOD, NEON_CELLS })).toEqual([
      `environment: NEON_CELLS must name each project once, and not that of NEON_PROJECT_ID again: ${twice} is there twice`,
    ])
  },
)

test("each variable that is missing is one line, and all are said at once", () => {
  const lines = Object.keys(GOOD).map(
    (name) =>
      `environment: ${name} is not set; "npm start" makes a local world that sets it, docs/deploy.md says what it is in production`,
  )
  expect(linesOf({})).toEqual(lines)
  for (const [n, name] of Object.keys(GOOD).entries())
    expect(linesOf({ ...GOOD, [name]: undefined })).toEqual([lines[n]])
})

test.for<[string, string, string]>([
  ["NEON_API_URL", "", "must be a URL such as https://console.neon.tech/api/v2"],
  ["NEON_API_URL", "console.neon.tech", "must be a URL such as https://console.neon.tech/api/v2"],
  ["NEON_API_URL", "file:///etc/passwd", "must be a URL such as https://console.neon.tech/api/v2"],
  ["NEON_API_KEY", "short", "must be a Neon API key"],
  ["NEON_PROJECT_ID", "../other", "must be an id of Neon's: lower-case letters, digits, hyphens"],
  ["NEON_BRANCH_ID", "", "must be an id of Neon's: lower-case letters, digits, hyphens"],
  ["NEON_DATABASE_OWNER", 'o"; drop', "must be the name of a role"],
  [
    "KEY_VAULT_URL",
    "http://my-vault.vault.azure.net",
    "must be a URL such as https://my-vault.vault.azure.net",
  ],
])("%s=%s is one line that says what it must be", ([name, text, message]) => {
  expect(linesOf({ ...GOOD, [name]: text })).toEqual([`environment: ${name} ${message}`])
})

test.for([
  ["STATUS_PORT", "65536"],
  ["STATUS_PORT", "-1"],
  ["RECONCILE_INTERVAL", "0"],
  ["NEON_POLL_INTERVAL", "1"],
  ["NEON_REQUESTS_PER_SECOND", "0"],
  ["VAULT_WRITES_PER_SECOND", "0"],
  ["SQL_CONCURRENCY", "101"],
  ["DRAIN_SECONDS", "601"],
  ["LOG_LEVEL", "loud"],
  ["TENANTS_DIR", ""],
  ["FLEET_FILE", ""],
  ["MIGRATIONS_DIR", ""],
] as const)("%s=%s is refused in one line that names it", ([name, text]) => {
  const lines = linesOf({ ...GOOD, [name]: text })
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(new RegExp(`^environment: ${name} (?!is not set)`))
})

test.for([
  ["STATUS_PORT", "http"],
  ["RECONCILE_INTERVAL", "1m"],
] as const)("%s=%s is no number, and is not called missing", ([name, text]) => {
  expect(linesOf({ ...GOOD, [name]: text })).toEqual([
    expect.stringMatching(`^environment: ${name} must be a whole number`),
  ])
})

test.for([
  ["STATUS_PORT", "1.5"],
  ["STATUS_PORT", ""],
  ["SQL_CONCURRENCY", "2.5"],
] as const)("%s=%s is refused: half a port, half a connection or none said is a slip", ([name, text]) => {
  expect(linesOf({ ...GOOD, [name]: text })).toHaveLength(1)
})
