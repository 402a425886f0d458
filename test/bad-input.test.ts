/** Whatever a person gets wrong is one line that says what, where and what to do, without a stack. */
import { mkdirSync } from "node:fs"
import path from "node:path"
import { describe, expect, test } from "vitest"
import { runHere } from "./command-line.ts"
import { folderOf } from "./reconciler/folder.ts"

const ID = "id: 78b0c444-49aa-4308-b35f-9ff530b31920\n"
const FLEET = "fleet: sample\ndeletion: retire\ngracePeriodDays: 30\nmaxRemovals: 5\nmaxRemovalShare: 0.5\n"
const KEYS = "the keys are id, name, seed, suspended, protected, hosts, cell"
const NAME = 'must be letters and digits, with "-" or "_" inside, such as "Shopify" or "north-wind"'
const ALONE = "must be the host's name alone, without scheme, port or path, such as shop.brand.example"
const LABELS =
  "must be letters, digits and inner hyphens between dots, at most 63 each and 253 in all, such as shop.brand.example"
const ONE_TENANT = "a host leads to one tenant, so keep it in one file"
const hostsOf = (count: number) => Array.from({ length: count }, (_, n) => `, h${n}.example`).join("")
const UUID = 'must be a UUID like "78b0c444-49aa-4308-b35f-9ff530b31920"'

/** By their paths; undefined is one that is not there. */
type Files = Record<string, string | undefined>

/** Runs the words in a folder of these files; messages name files as paths in it. */
async function say(words: readonly string[], files: Files = {}, variables: Record<string, string> = {}) {
  const all: Files = {
    "fleet.yaml": FLEET,
    "migrations/0001_a.sql": "create table a (b int);\n",
    ...files,
  }
  const there = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const folder = await folderOf(Object.fromEntries(there))
  mkdirSync(path.join(folder, "tenants"), { recursive: true })
  const environment = {
    TENANTS_DIR: path.join(folder, "tenants"),
    MIGRATIONS_DIR: path.join(folder, "migrations"),
    FLEET_FILE: path.join(folder, "fleet.yaml"),
    STATUS_PORT: "1",
    ...variables,
  }
  const at = (word: string) => word.replaceAll("@", `${folder}/`)
  const { code, output } = await runHere(words.map(at), environment)
  return { code, lines: output.trimEnd().replaceAll(`${folder}/`, "").split("\n") }
}

describe("validate", () => {
  test.for<[what: string, files: Files, ...lines: string[]]>([
    [
      "no YAML",
      { "tenants/a.yaml": "id: [" },
      "tenants/a.yaml:1: is not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]; check brackets, quotes and indentation here and on the line before",
    ],
    [
      "a tab",
      { "tenants/a.yaml": `${ID}\tname: A\n` },
      "tenants/a.yaml:2: is not valid YAML: a tab indents this line; use spaces",
    ],
    [
      "a key twice",
      { "tenants/a.yaml": `${ID}name: A\nname: B\n` },
      "tenants/a.yaml:3: is not valid YAML: the key name is there twice; keep one",
    ],
    [
      "two documents",
      { "tenants/a.yaml": `${ID}name: A\n---\n${ID}` },
      'tenants/a.yaml:3: is not valid YAML: it holds several documents; keep one, and remove the lines "---"',
    ],
    [
      "nothing",
      { "tenants/a.yaml": "" },
      `tenants/a.yaml:1: must hold keys (${KEYS.slice(13)}), one a line, such as "id: …"`,
    ],
    [
      "a list",
      { "tenants/a.yaml": "- a\n" },
      `tenants/a.yaml:1: must hold keys (${KEYS.slice(13)}), one a line, such as "id: …"`,
    ],
    [
      "an unknown key",
      { "tenants/a.yaml": `${ID}name: A\nseeds: demo\n` },
      `tenants/a.yaml:3: seeds: is not known here; ${KEYS}`,
    ],
    [
      "no name",
      { "tenants/a.yaml": ID },
      "tenants/a.yaml:1: name: is missing; it must be text; quote a name that YAML would read as a number, a date or a boolean",
    ],
    [
      "no id",
      { "tenants/a.yaml": "name: A\n" },
      `tenants/a.yaml:1: id: is missing; it ${UUID}; uuidgen makes one`,
    ],
    ["an id that is none", { "tenants/a.yaml": "id: shopify\nname: A\n" }, `tenants/a.yaml:1: id: ${UUID}`],
    [
      "an id of zeros",
      { "tenants/a.yaml": "id: 00000000-0000-0000-0000-000000000000\nname: A\n" },
      "tenants/a.yaml:1: id: must be a UUID of its own, such as uuidgen makes",
    ],
    [
      "a number as name",
      { "tenants/a.yaml": `${ID}name: 42\n` },
      "tenants/a.yaml:2: name: must be text; quote a name that YAML would read as a number, a date or a boolean",
    ],
    [
      "a cell that is no project's id",
      { "tenants/a.yaml": `${ID}name: A\ncell: East 1\n` },
      "tenants/a.yaml:3: cell: must be the id of a Neon project: lower-case letters, digits, hyphens",
    ],
    ["a name with a blank", { "tenants/a.yaml": `${ID}name: a b\n` }, `tenants/a.yaml:2: name: ${NAME}`],
    ["a name with a slash", { "tenants/a.yaml": `${ID}name: a/b\n` }, `tenants/a.yaml:2: name: ${NAME}`],
    [
      "a name of 55 bytes",
      { "tenants/a.yaml": `${ID}name: ${"a".repeat(55)}\n` },
      "tenants/a.yaml:2: name: must be at most 54 bytes, so that the database's name fits Postgres's 63",
    ],
    [
      "a name that is not composed",
      { "tenants/a.yaml": `${ID}name: Cafe\u0301\n` },
      "tenants/a.yaml:2: name: must be in Unicode's composed form (NFC)",
    ],
    [
      "a seed that is a path",
      { "tenants/a.yaml": `${ID}name: A\nseed: ../x\n` },
      "tenants/a.yaml:3: seed: must be lower-case letters, digits and hyphens",
    ],
    [
      "a seed that is not there",
      { "tenants/a.yaml": `${ID}name: A\nseed: nope\n` },
      "tenants/a.yaml:3: seed: there is no migrations/seeds/nope.sql; the seeds are: none",
    ],
    [
      "text where true or false belongs",
      { "tenants/a.yaml": `${ID}name: A\nprotected: "yes"\n` },
      "tenants/a.yaml:3: protected: must be true or false",
    ],
    [
      "an alias of nothing",
      { "tenants/a.yaml": `${ID}name: *none\n` },
      "tenants/a.yaml:1: is not valid YAML: Unresolved alias (the anchor must be set before the alias): none",
    ],
    [
      "a file of 64 KiB and more",
      { "tenants/a.yaml": `${ID}name: A\n#${"x".repeat(70_000)}\n` },
      "tenants/a.yaml:1: is larger than 64 KiB: it should hold a few lines",
    ],
    [
      "one id twice",
      { "tenants/a.yaml": `${ID}name: A\n`, "tenants/team/b.yaml": `name: B\n${ID}` },
      "tenants/a.yaml:1: id: is also in tenants/team/b.yaml; an id belongs to one tenant for ever, so give the newer file a fresh one",
      "tenants/team/b.yaml:2: id: is also in tenants/a.yaml; an id belongs to one tenant for ever, so give the newer file a fresh one",
    ],
    [
      "one name twice",
      { "tenants/a.yaml": `${ID}name: Acme\n`, "tenants/b.yaml": `${ID.replace("7", "8")}name: ACME\n` },
      "tenants/a.yaml:2: name: is also in tenants/b.yaml; upper and lower case do not count, so choose another name",
      "tenants/b.yaml:2: name: is also in tenants/a.yaml; upper and lower case do not count, so choose another name",
    ],
    [
      "what is no list of hosts",
      { "tenants/a.yaml": `${ID}name: A\nhosts: shop.brand.example\n` },
      "tenants/a.yaml:3: hosts: must be a list of hosts' names, such as [shop.brand.example]",
    ],
    [
      "hosts that are none, each by its line",
      {
        "tenants/a.yaml": `${ID}name: A\nhosts:\n${[
          "good.example",
          '"*.brand.example"',
          "https://brand.example/shop",
          "brand.example:443",
          "10.0.0.1",
          '"[2001:db8::1]"',
          "brand.example.",
          "shop",
          "shop_one.example",
          `${"a".repeat(64)}.example`,
          "other.localhost",
          "café.example",
          '"a b.example"',
          "443",
        ]
          .map((host) => `  - ${host}\n`)
          .join("")}`,
      },
      'tenants/a.yaml:5: hosts: "*.brand.example" must be one host: there are no wildcards, so list each host',
      `tenants/a.yaml:6: hosts: "https://brand.example/shop" ${ALONE}`,
      `tenants/a.yaml:7: hosts: "brand.example:443" ${ALONE}`,
      'tenants/a.yaml:8: hosts: "10.0.0.1" must be a name in DNS, not an address',
      'tenants/a.yaml:9: hosts: "[2001:db8::1]" must be a name in DNS, not an address',
      'tenants/a.yaml:10: hosts: "brand.example." must be without the dot at the end',
      'tenants/a.yaml:11: hosts: "shop" must be a whole name with its domain, such as shop.brand.example',
      `tenants/a.yaml:12: hosts: "shop_one.example" ${LABELS}`,
      `tenants/a.yaml:13: hosts: "${"a".repeat(64)}.example" ${LABELS}`,
      "tenants/a.yaml:14: hosts: must not be in localhost: <name>.localhost is each tenant's host in development",
      "tenants/a.yaml:15: hosts: must be in ASCII: write xn--caf-dma.example",
      `tenants/a.yaml:16: hosts: ${LABELS}`,
      "tenants/a.yaml:17: hosts: must be a host's name, such as shop.brand.example",
    ],
    [
      "a host twice in one file, capitals apart",
      { "tenants/a.yaml": `${ID}name: A\nhosts:\n  - a.example\n  - A.example\n` },
      "tenants/a.yaml:5: hosts: a.example is there twice; keep one",
    ],
    [
      "more hosts than a tag holds",
      { "tenants/a.yaml": `${ID}name: A\nhosts: [${"a".repeat(60)}.example${hostsOf(20)}]\n` },
      "tenants/a.yaml:3: hosts: must be at most 256 characters together, so that they fit one tag of Key Vault: name fewer or shorter ones",
    ],
    [
      "one host in two files",
      {
        "tenants/a.yaml": `${ID}name: A\nhosts: [shop.example]\n`,
        "tenants/b.yaml": `${ID.replace("7", "8")}name: B\nhosts:\n  - b.example\n  - SHOP.example\n`,
      },
      `tenants/a.yaml:3: hosts: shop.example is also in tenants/b.yaml; ${ONE_TENANT}`,
      `tenants/b.yaml:3: hosts: shop.example is also in tenants/a.yaml; ${ONE_TENANT}`,
    ],
    [
      "a fleet file without a key",
      { "fleet.yaml": FLEET.replace("fleet: sample\n", "") },
      "fleet.yaml:1: fleet: is missing; it must be lower-case letters, digits and hyphens, at most 63",
    ],
    [
      "a fleet file with another deletion",
      { "fleet.yaml": FLEET.replace("retire", "purge") },
      'fleet.yaml:2: deletion: must be "retire" or "forbid"',
    ],
    [
      "a share of the fleet above one",
      { "fleet.yaml": FLEET.replace("0.5", "50") },
      "fleet.yaml:5: maxRemovalShare: must be a number from 0 to 1",
    ],
    [
      "a canary that is no count",
      { "fleet.yaml": `${FLEET}rollout:\n  canary: many\n` },
      "fleet.yaml:7: rollout.canary: must be a count, or a list of tenants' names",
    ],
    [
      "a migration that is no SQL",
      { "migrations/0001_a.sql": "create tabel a ();\n" },
      'migrations/0001_a.sql:1: syntax: syntax error at or near "tabel"',
    ],
    [
      "a migration with a bad name",
      { "migrations/2_b.sql": "select 1;\n" },
      'migrations/2_b.sql: the name must be a four-digit number, "_" and lower-case words, such as 0005_add_stock.sql',
    ],
    [
      "two migrations with one number",
      { "migrations/0001_b.sql": "select 1;\n" },
      "migrations/0001_b.sql: has the same number as 0001_a.sql; give it the next free one",
    ],
    [
      "no policy, without which there is no pass",
      { "fleet.yaml": undefined },
      "fleet.yaml:1: cannot be read (ENOENT): check that it exists and its permissions",
    ],
  ])("of %s", async ([, files, ...expected]) => {
    const { code, lines } = await say(["validate"], files)
    expect(lines.slice(0, -1)).toEqual(expected)
    expect(lines.at(-1)).toMatch(/^\d+ tenants are valid, [1-9]\d* problems$/)
    expect(code).toBe(1)
  })
})

const UNKNOWN = (what: string, verb: string) => `${what}; "tenantry ${verb}--help" lists what there is`

test.for<[words: string, message: string]>([
  ["nonsense", UNKNOWN("unknown command 'nonsense'", "")],
  ["plna", UNKNOWN("unknown command 'plna' (Did you mean plan?)", "")],
  ["plan --jsno", UNKNOWN("unknown option '--jsno' (Did you mean --json?)", "plan ")],
  ["plan extra", UNKNOWN("too many arguments for 'plan'. Expected 0 arguments but got 1: extra.", "plan ")],
  ["plan --out", UNKNOWN("option '--out <file>' argument missing", "plan ")],
  ["status --nmae plan", UNKNOWN("unknown option '--nmae' (Did you mean --name?)", "status ")],
  ["new", UNKNOWN("missing required argument 'name'", "new ")],
  ["rename Acme", UNKNOWN("missing required argument 'name'", "rename ")],
  ["import x", UNKNOWN("required option '--id <uuid>' not specified", "import ")],
  ["new no.dots", `no.dots is no tenant's name: it ${NAME}`],
  ["new Acme --seed ../x", "../x is no seed: it must be lower-case letters, digits and hyphens"],
  [
    "new Acme --host a.example --host *.b.example",
    '--host: "*.b.example" must be one host: there are no wildcards, so list each host',
  ],
  ["new Acme --host a.example --host A.example", "--host: a.example is there twice; keep one"],
  ["new Acme --host", UNKNOWN("option '--host <host>' argument missing", "new ")],
  ["rename Nobody Else", "no file in tenants declares a tenant named Nobody"],
  ["validate @nowhere", "the tenants folder nowhere cannot be read (ENOENT): check TENANTS_DIR"],
  ["schema world", "the schema must be one of tenant, fleet, plan, not world"],
  ["completion fish", "the shell must be one of bash, zsh, not fish"],
  ["approve Acme destroy", "the change must be one of retire, purge, recreate, not destroy"],
  ["approve Acme retire --minutes soon", "--minutes must be a number from 1 to 1440, not soon"],
  ["import x --id 12 --name Acme", `12 is no tenant's id: it ${UUID}`],
  ["status", 'no reconciler answers on port 1: start one with "npm start"'],
  ["status --condition Sad", "--condition must be one of Ready, Reconciling, Stalled, not Sad"],
  [
    "status --state gone",
    "--state must be one of absent, reserved, active, suspended, retired, purging, not gone",
  ],
  ["status --page 0", "--page must be a whole number from 1, not 0"],
  ["status --limit x", "--limit must be a whole number from 1, not x"],
  ["drift --settle -1", "--settle must be a number from 0 to 3600, not -1"],
  ["apply --max-changes many", "--max-changes must be a whole number from 0, not many"],
  ["apply --max-removals -1", "--max-removals must be a whole number from 0, not -1"],
  ["apply @plan.json", "plan.json: cannot be read; make it with: tenantry plan --out plan.json"],
  [
    "apply @fleet.yaml",
    "fleet.yaml: is no plan of this version; make it with: tenantry plan --out fleet.yaml",
  ],
  [
    "new Acme --cell East",
    "East is no cell: it must be the id of a Neon project: lower-case letters, digits, hyphens",
  ],
  ["migrate --to 4", "4 is no step's number: it must be four digits, such as 0004"],
  ["migrate down --confirm some", "--confirm must be a whole number from 0, not some"],
])("tenantry %s", async ([words, message]) => {
  const { code, lines } = await say(words.split(" "))
  expect(lines).toEqual([message])
  expect(code).toBe(1)
})

test.for<[variable: string, value: string, message: string]>([
  ["NEON_API_URL", "console.neon.tech", "must be a URL such as https://console.neon.tech/api/v2"],
  ["NEON_API_KEY", "short", "must be a Neon API key"],
  ["NEON_PROJECT_ID", "../x", "must be an id of Neon's: lower-case letters, digits, hyphens"],
  [
    "NEON_CELLS",
    "quiet-sea-1",
    "must be project/branch, with commas between two: quiet-sea-1/br-one,quiet-sea-2/br-two",
  ],
  [
    "NEON_CELLS",
    "p/br-2",
    "must name each project once, and not that of NEON_PROJECT_ID again: p is there twice",
  ],
  ["KEY_VAULT_URL", "http://v", "must be a URL such as https://my-vault.vault.azure.net"],
  ["RECONCILE_INTERVAL", "1m", "must be a whole number"],
  ["WATCH_POLL_INTERVAL", "99999", "must be from 0 to 60000"],
])("the environment with %s=%s", async ([variable, value, message]) => {
  const environment = {
    NEON_API_URL: "http://127.0.0.1:1",
    NEON_API_KEY: "key-of-nobody",
    NEON_PROJECT_ID: "p",
    NEON_BRANCH_ID: "b",
    NEON_DATABASE_OWNER: "o",
    KEY_VAULT_URL: "https://127.0.0.1:1",
    [variable]: value,
  }
  const { code, lines } = await say(["plan"], {}, environment)
  expect(lines).toEqual([`environment: ${variable} ${message}`])
  expect(code).toBe(1)
})

test("--debug adds where an error comes from, before the verb or after it, and nothing else does", async () => {
  for (const words of [
    ["--debug", "new", "no.dots"],
    ["new", "no.dots", "--debug"],
  ]) {
    const { lines } = await say(words)
    expect(lines[0]).toMatch(/^no\.dots is no tenant's name/)
    expect(lines.filter((line) => /^ {4}at .*shared\.ts:\d+/.test(line))).toHaveLength(1)
  }
})
