import { mkdir, symlink } from "node:fs/promises"
import path from "node:path"
import { expect, test } from "vitest"
import { Tenant } from "../../reconciler/tenant.ts"
import { formatProblem, readYamlFile } from "../../reconciler/yaml-file.ts"
import { folderOf } from "./folder.ts"

const ID = "id: 78b0c444-49aa-4308-b35f-9ff530b31920\n"

/** The lines about one file of this content, without the folder. */
async function problemsOf(content: string | Uint8Array): Promise<string[]> {
  const folder = await folderOf({ "t.yaml": content })
  const { problems, value } = readYamlFile(path.join(folder, "t.yaml"), Tenant)
  expect(value === undefined).toBe(problems.length > 0)
  return problems.map((problem) => formatProblem(problem).slice(folder.length + 1))
}

const NAME_PATTERN = 'must be letters and digits, with "-" or "_" inside, such as "Shopify" or "north-wind"'
const NAME_TEXT = "must be text; quote a name that YAML would read as a number, a date or a boolean"
const NO_TEXT = "t.yaml:1: cannot be read as UTF-8 text: save it as such"
const HOLD_KEYS =
  't.yaml:1: must hold keys (id, name, seed, suspended, protected, hosts, cell), one a line, such as "id: …"'
const BAD_UUID = 't.yaml:1: id: must be a UUID like "78b0c444-49aa-4308-b35f-9ff530b31920"'

test.for<[string, string | Uint8Array, string[]]>([
  [
    "an unknown key",
    `${ID}name: A\nnmae: B\n`,
    ["t.yaml:3: nmae: is not known here; the keys are id, name, seed, suspended, protected, hosts, cell"],
  ],
  [
    "a misspelt key, under Windows' line ends",
    `${ID.trim()}\r\nnam: A\r\n`,
    [
      `t.yaml:1: name: is missing; it ${NAME_TEXT}`,
      "t.yaml:2: nam: is not known here; the keys are id, name, seed, suspended, protected, hosts, cell",
    ],
  ],
  ["a missing key", ID, [`t.yaml:1: name: is missing; it ${NAME_TEXT}`]],
  ["no UUID", "id: shopify\nname: A\n", [BAD_UUID]],
  ["a UUID that is too short", "id: 78b0c444-49aa-4308-b35f\nname: A\n", [BAD_UUID]],
  ["a name with a space", `${ID}name: a b\n`, [`t.yaml:2: name: ${NAME_PATTERN}`]],
  ["a name with a slash", `${ID}name: a/b\n`, [`t.yaml:2: name: ${NAME_PATTERN}`]],
  ["a name with a dot", `${ID}name: ..\n`, [`t.yaml:2: name: ${NAME_PATTERN}`]],
  ["a name that ends with a hyphen", `${ID}name: a-\n`, [`t.yaml:2: name: ${NAME_PATTERN}`]],
  ["an empty name", `${ID}name: ""\n`, [`t.yaml:2: name: ${NAME_PATTERN}`]],
  [
    "a name of 55 bytes",
    `${ID}name: ${"é".repeat(27)}a\n`,
    ["t.yaml:2: name: must be at most 54 bytes, so that the database's name fits Postgres's 63"],
  ],
  [
    "a name that is not composed",
    `${ID}name: Cafe\u0301\n`,
    ["t.yaml:2: name: must be in Unicode's composed form (NFC)"],
  ],
  [
    "a seed that is a path",
    `${ID}name: A\nseed: ../x\n`,
    ["t.yaml:3: seed: must be lower-case letters, digits and hyphens"],
  ],
  ["two faults", "id: x\nname: a b\n", [BAD_UUID, `t.yaml:2: name: ${NAME_PATTERN}`]],
  [
    "a key with a dangerous name",
    `${ID}name: A\n__proto__: {x: 1}\n`,
    [
      "t.yaml:3: __proto__: is not known here; the keys are id, name, seed, suspended, protected, hosts, cell",
    ],
  ],
  ["nothing", "", [HOLD_KEYS]],
  ["a comment only", "# soon\n", [HOLD_KEYS]],
  ["a list", "- a\n", [HOLD_KEYS]],
  ["bare text", "shopify\n", [HOLD_KEYS]],
  ["bytes that are no text", new Uint8Array([0, 1, 2, 3]), [NO_TEXT]],
  ["Latin-1", Buffer.from(`${ID}name: Café\n`, "latin1"), [`t.yaml:2: name: ${NAME_PATTERN}`]],
  ["UTF-16", Buffer.from(`\uFEFF${ID}name: A\n`, "utf16le"), [NO_TEXT]],
])("a file with %s is refused, and said why", async ([, content, messages]) => {
  expect(await problemsOf(content)).toEqual(messages)
})

test.for<[string, string, RegExp]>([
  [
    "broken YAML",
    `${ID}name: "A\n`,
    /^t\.yaml:3: is not valid YAML: Missing closing "quote; check brackets, quotes and indentation here and on the line before$/,
  ],
  [
    "a tab as indentation",
    `${ID}\tname: A\n`,
    /^t\.yaml:2: is not valid YAML: a tab indents this line; use spaces$/,
  ],
  [
    "a key twice",
    `${ID}name: A\nname: B\n`,
    /^t\.yaml:3: is not valid YAML: the key name is there twice; keep one$/,
  ],
  [
    "several documents",
    `${ID}name: A\n---\n${ID}name: B\n`,
    /^t\.yaml:3: is not valid YAML: it holds several documents; keep one, and remove the lines "---"$/,
  ],
])("a file with %s is refused, with the line", async ([, content, message]) => {
  expect(await problemsOf(content)).toEqual([expect.stringMatching(message)])
})

test.for<[string, string, string]>([
  ["a number as its name", `${ID}name: 42\n`, `t.yaml:2: name: ${NAME_TEXT}`],
  ["a boolean as its name", `${ID}name: true\n`, `t.yaml:2: name: ${NAME_TEXT}`],
  ["a name of nothing", `${ID}name:\n`, `t.yaml:2: name: ${NAME_TEXT}`],
  [
    "a number as its id",
    "id: 12\nname: A\n",
    `t.yaml:1: id: must be a UUID like "78b0c444-49aa-4308-b35f-9ff530b31920"; uuidgen makes one`,
  ],
  [
    "a number as its seed",
    `${ID}name: A\nseed: 3\n`,
    "t.yaml:3: seed: must be the name of a file in migrations/seeds, without .sql",
  ],
])("a file with %s is not told that the key is missing", async ([, content, message]) => {
  expect(await problemsOf(content)).toEqual([message])
})

const x9 = (name: string) => `[${Array.from({ length: 9 }, () => name).join(", ")}]`

test.for<[string, string]>([
  ["an alias of nothing", `${ID}name: *none\n`],
  [
    "aliases of aliases of aliases",
    `a: &a ${x9("x")}\nb: &b ${x9("*a")}\nc: &c ${x9("*b")}\nd: ${x9("*c")}\n${ID}name: A\n`,
  ],
])("a file with %s is one file's fault, and not the end of the pass", async ([, content]) => {
  expect(await problemsOf(content)).toEqual([expect.stringMatching(/^t\.yaml:\d+: is not valid YAML: /)])
})

test("a file with a byte order mark, an alias, a tag, capitals in its id and a name in any script is a tenant", async () => {
  const folder = await folderOf({
    "bom.yaml": `\uFEFF${ID}name: A\n`,
    "alias.yaml": `id: &id 78B0C444-49AA-4308-B35F-9FF530B31920\nname: *id\n`,
    "tag.yaml": `${ID}name: !!str 42\nseed: demo\n`,
    "greek.yaml": `${ID}name: Ωmega_7\n`,
    "json.yml": `{"id": "78b0c444-49aa-4308-b35f-9ff530b31920", "name": "J"}`,
  })
  const valueOf = (file: string) => readYamlFile(path.join(folder, file), Tenant).value
  const id = "78b0c444-49aa-4308-b35f-9ff530b31920"
  expect(valueOf("bom.yaml")).toEqual({ id, name: "A" })
  expect(valueOf("alias.yaml")).toEqual({ id, name: id.toUpperCase() })
  expect(valueOf("tag.yaml")).toEqual({ id, name: "42", seed: "demo" })
  expect(valueOf("greek.yaml")).toEqual({ id, name: "Ωmega_7" })
  expect(valueOf("json.yml")).toEqual({ id, name: "J" })
})

test("what is there but is no file, or cannot be read, is said so", async () => {
  const folder = await folderOf({})
  await symlink(path.join(folder, "nowhere"), path.join(folder, "dangling.yaml"))
  await mkdir(path.join(folder, "folder.yaml"))
  const messageOf = (name: string) =>
    readYamlFile(path.join(folder, name), Tenant).problems.map(({ message }) => message)
  const remedy = "check that it exists and its permissions"
  expect(messageOf("dangling.yaml")).toEqual([`cannot be read (ENOENT): ${remedy}`])
  expect(messageOf("folder.yaml")).toEqual([
    "is a folder where a file should be: links to folders are not followed, and a folder's name does not end in .yaml",
  ])
})

test("a file of megabytes is refused unread", async () => {
  const folder = await folderOf({ "big.yaml": `${ID}name: A\n${"#".repeat(70_000)}\n` })
  const { problems } = readYamlFile(path.join(folder, "big.yaml"), Tenant)
  expect(problems.map(({ message }) => message)).toEqual([
    "is larger than 64 KiB: it should hold a few lines",
  ])
})
