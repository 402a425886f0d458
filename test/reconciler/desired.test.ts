import { mkdir, symlink } from "node:fs/promises"
import { execFileSync } from "node:child_process"
import path from "node:path"
import { expect, test } from "vitest"
import { readTenants } from "../../reconciler/desired.ts"
import { formatProblem } from "../../reconciler/yaml-file.ts"
import { folderOf } from "./folder.ts"

const ids = [1, 2, 3, 4].map((n) => `${n}8b0c444-49aa-4308-b35f-9ff530b31920`)
const file = (n: number, name: string) => `id: ${ids[n]}\nname: ${name}\n`

/** What is read of these files, with paths relative to the folder. */
async function read(files: Record<string, string>) {
  const folder = await folderOf(files)
  const { tenants, problems, held } = await readTenants(folder)
  return {
    names: tenants.map(({ name }) => name),
    problems: problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, "")),
    held: [...held],
  }
}

test("files at any depth declare tenants; hidden files, editors' leftovers and other files do not", async () => {
  const found = await read({
    "a.yaml": file(0, "Ada"),
    "team/b.yml": file(1, "Bob"),
    "team/deep/c.yaml": file(2, "Cleo"),
    ".d.yaml": file(3, "Dan"),
    "d.yaml~": file(3, "Dan"),
    ".d.yaml.swp": "x",
    "README.md": "x",
  })
  expect(found).toEqual({ names: ["Ada", "Bob", "Cleo"], problems: [], held: [] })
})

test("a hidden folder declares nothing, such as the copies that a mounted volume keeps in ..data", async () => {
  const found = await read({ "a.yaml": file(0, "Ada"), "..2026_11_22/a.yaml": file(0, "Ada") })
  expect(found).toEqual({ names: ["Ada"], problems: [], held: [] })
})

test("a folder named like a file, and a link to nowhere, are files that cannot be read", async () => {
  const folder = await folderOf({ "a.yaml": file(0, "Ada") })
  await mkdir(path.join(folder, "x.yaml"))
  await symlink(path.join(folder, "nowhere"), path.join(folder, "b.yaml"))
  await symlink(path.join(folder, "x.yaml"), path.join(folder, "c.yaml"))
  const { tenants, problems } = await readTenants(folder)
  expect(tenants.map(({ name }) => name)).toEqual(["Ada"])
  expect(problems.map((problem) => problem.message.split(":")[0])).toEqual([
    "cannot be read (ENOENT)",
    "is a folder where a file should be",
    "is a folder where a file should be",
  ])
})

test("one id in two files: neither is believed, each names the other, and the tenant is held", async () => {
  const remedy = "an id belongs to one tenant for ever, so give the newer file a fresh one"
  const found = await read({
    "a.yaml": file(0, "Ada"),
    "b.yaml": `# upper case is the same id\nname: Bob\nid: ${ids[0]!.toUpperCase()}\n`,
    "c.yaml": file(2, "Cleo"),
  })
  expect(found).toEqual({
    names: ["Cleo"],
    problems: [`a.yaml:1: id: is also in b.yaml; ${remedy}`, `b.yaml:3: id: is also in a.yaml; ${remedy}`],
    held: [ids[0]],
  })
})

test("an id that a broken file names too is not believed", async () => {
  const found = await read({ "a.yaml": file(0, "Ada"), "b.yaml": `id: ${ids[0]}\nname: "not a name"\n` })
  expect(found.names).toEqual([])
  expect(found.held).toEqual([ids[0]])
  expect(found.problems).toHaveLength(3)
})

test("one name in two files, whatever its case or width: neither gets it, and both tenants are held", async () => {
  const remedy = "upper and lower case do not count, so choose another name"
  const found = await read({
    "a.yaml": file(0, "Acme"),
    "b.yaml": file(1, "ACME"),
    "c.yaml": file(2, "Ａcme"),
    "d.yaml": file(3, "Acme2"),
  })
  expect(found).toEqual({
    names: ["Acme2"],
    problems: [
      `a.yaml:2: name: is also in b.yaml, c.yaml; ${remedy}`,
      `b.yaml:2: name: is also in a.yaml, c.yaml; ${remedy}`,
      `c.yaml:2: name: is also in a.yaml, b.yaml; ${remedy}`,
    ],
    held: ids.slice(0, 3),
  })
})

test("one host in two files: neither tenant is believed, both are held, and everybody else goes on", async () => {
  const remedy = "a host leads to one tenant, so keep it in one file"
  const found = await read({
    "a.yaml": `${file(0, "Ada")}hosts: [a.example, both.example]\n`,
    "b.yaml": `${file(1, "Bob")}hosts: [Both.Example]\n`,
    "c.yaml": `${file(2, "Cleo")}hosts: [c.example]\n`,
  })
  expect(found).toEqual({
    names: ["Cleo"],
    problems: [
      `a.yaml:3: hosts: both.example is also in b.yaml; ${remedy}`,
      `b.yaml:3: hosts: both.example is also in a.yaml; ${remedy}`,
    ],
    held: ids.slice(0, 2),
  })
})

test("hosts are read in lower case", async () => {
  const folder = await folderOf({ "a.yaml": `${file(0, "Ada")}hosts: [Shop.BRAND.example]\n` })
  const { tenants } = await readTenants(folder)
  expect(tenants).toMatchObject([{ hosts: ["shop.brand.example"] }])
})

test("a faulty file holds the tenant that it names, and stops nobody else", async () => {
  const found = await read({
    "a.yaml": `${file(0, "Ada")}colour: red\n`,
    "b.yaml": "id: [",
    "c.yaml": file(2, "Cleo"),
  })
  expect(found.names).toEqual(["Cleo"])
  expect(found.held).toEqual([ids[0]])
  expect(found.problems).toEqual([
    expect.stringMatching(/^a\.yaml:3: colour: is not known here; the keys are id, name/),
    expect.stringMatching(/^b\.yaml:\d: is not valid YAML: /),
  ])
})

test("a folder that is away is no empty folder", async () => {
  const folder = await folderOf({})
  await expect(readTenants(path.join(folder, "tenants"))).rejects.toThrow(/ENOENT/)
  expect(await readTenants(folder)).toEqual({ tenants: [], problems: [], held: new Set() })
})

test("a seed that is not there is the file's fault, with line and remedy, and makes nothing", async () => {
  const folder = await folderOf({ "a.yaml": `${file(0, "Ada")}seed: nope\n` })
  const { tenants, problems, held } = await readTenants(folder, new Set(["demo"]))
  expect(tenants).toEqual([])
  expect(held.size).toBe(1)
  expect(problems).toMatchObject([
    { line: 3, key: "seed", message: "there is no migrations/seeds/nope.sql; the seeds are: demo" },
  ])
})

test("a folder behind a link, and a pipe, are faults: what they seem to declare is not gone", async () => {
  const folder = await folderOf({ "a.yaml": file(0, "Ada"), "B.YAML": file(1, "Bob") })
  const elsewhere = await folderOf({ "c.yaml": file(2, "Cleo") })
  await symlink(elsewhere, path.join(folder, "eu"))
  await symlink(path.join(elsewhere, "c.yaml"), path.join(folder, "linked.yaml"))
  execFileSync("mkfifo", [path.join(folder, "pipe.yaml")])
  const { tenants, problems } = await readTenants(folder)
  expect(tenants.map(({ name }) => name).toSorted()).toEqual(["Ada", "Bob", "Cleo"])
  expect(problems.map((problem) => `${path.basename(problem.file)}: ${problem.message}`)).toEqual([
    "eu: is a folder where a file should be: links to folders are not followed, and a folder's name does not end in .yaml",
    "pipe.yaml: is no ordinary file: put a file in its place, or move it away",
  ])
})
