/** Files are read as they are at one moment, and parsed again only where they changed. */
import { readFileSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { spawn } from "node:child_process"
import { once } from "node:events"
import path from "node:path"
import { expect, onTestFinished, test } from "vitest"
import { createFileMemory, readTenants } from "../../reconciler/desired.ts"
import { TransientError } from "../../reconciler/errors.ts"
import { readFolder } from "../../reconciler/tenants-folder.ts"
import { folderOf } from "./folder.ts"

const tenant = (n: number, name: string) => `id: ${n}8b0c444-49aa-4308-b35f-9ff530b31920\nname: ${name}\n`
const HOUR_AGO = new Date(Date.now() - 3_600_000)

test("a file that comes while the folder is read is read too", async () => {
  const folder = await folderOf({ "a.yaml": "a", "b.yaml": "b" })
  let reads = 0
  const found = await readFolder(folder, ({ file, real }) => {
    if (reads++ === 0) writeFileSync(path.join(folder, "0.yaml"), "0")
    return [path.basename(file), readFileSync(real, "utf8")]
  })
  expect(found).toEqual([
    ["0.yaml", "0"],
    ["a.yaml", "a"],
    ["b.yaml", "b"],
  ])
})

test("a commit that replaces another one while it is read is seen whole, by the names of the link", async () => {
  const folder = await folderOf({
    "old/tenants/a.yaml": "old",
    "old/tenants/b.yaml": "old",
    "new/tenants/a.yaml": "new",
    "new/tenants/b.yaml": "new",
  })
  symlinkSync("old", path.join(folder, "current"))
  let reads = 0
  const directory = path.join(folder, "current/tenants")
  const found = await readFolder(directory, ({ file, real }) => {
    const text = readFileSync(real, "utf8")
    if (reads++ === 0) {
      symlinkSync("new", path.join(folder, "next"))
      renameSync(path.join(folder, "next"), path.join(folder, "current"))
    }
    return `${path.relative(folder, file)} ${text}`
  })
  expect(found).toEqual(["current/tenants/a.yaml new", "current/tenants/b.yaml new"])
})

test("a folder that never comes to rest is not acted on, and tried again later", async () => {
  const folder = await folderOf({ "a.yaml": "a" })
  let reads = 0
  const reading = readFolder(folder, () => writeFileSync(path.join(folder, `${reads++}.tmp`), ""))
  await expect(reading).rejects.toThrow(TransientError)
  await expect(reading).rejects.toThrow(/changed each of 10 times that it was read/)
})

test("a folder that comes and goes below is no reason to call all of it unreadable", async () => {
  const folder = await folderOf({ "a.yaml": tenant(1, "Ada"), "team/b.yaml": tenant(2, "Bob") })
  const churn = spawn("sh", ["-c", "while mkdir -p x/y/z && rm -r x; do :; done"], { cwd: folder })
  onTestFinished(async () => {
    churn.kill()
    await once(churn, "close")
  })
  await once(churn, "spawn")
  for (let reads = 0; reads < 20; reads++) {
    const names = await readTenants(folder).then(
      ({ tenants }) => tenants.map(({ name }) => name),
      (error: unknown) => error,
    )
    if (names instanceof TransientError) continue
    expect(names).toEqual(["Ada", "Bob"])
  }
})

test("what did not change is not parsed again, and what is gone is forgotten", async () => {
  const folder = await folderOf({ "a.yaml": tenant(1, "Ada"), "b.yaml": tenant(2, "Bob") })
  const [a, b] = [path.join(folder, "a.yaml"), path.join(folder, "b.yaml")]
  const memory = createFileMemory()
  await readTenants(folder, undefined, memory)
  const first = memory.files
  // Written again with the same content, as a checkout does: another date, the same tenant.
  writeFileSync(`${a}.new`, tenant(1, "Ada"))
  renameSync(`${a}.new`, a)
  writeFileSync(b, tenant(2, "Bea"))
  expect((await readTenants(folder, undefined, memory)).tenants.map(({ name }) => name)).toEqual([
    "Ada",
    "Bea",
  ])
  expect(memory.files.get(a)!.read).toBe(first.get(a)!.read)
  expect(memory.files.get(b)!.read).not.toBe(first.get(b)!.read)
  rmSync(b)
  await readTenants(folder, undefined, memory)
  expect([...memory.files.keys()]).toEqual([a])
})

test("an edit of the same length is seen, whatever date it is given", async () => {
  const folder = await folderOf({ "a.yaml": tenant(1, "Ada") })
  const file = path.join(folder, "a.yaml")
  const memory = createFileMemory()
  for (const name of ["Ada", "Bob", "Cyd", "Dan"]) {
    writeFileSync(file, tenant(1, name))
    utimesSync(file, HOUR_AGO, HOUR_AGO)
    expect((await readTenants(folder, undefined, memory)).tenants[0]?.name).toBe(name)
  }
})

test("an id in hundreds of files is one short line for each", async () => {
  const files = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [`${index}.yaml`, tenant(1, `T${index}`)]),
  )
  const { problems, held } = await readTenants(await folderOf(files))
  expect(problems).toHaveLength(300)
  expect(problems[0]!.message).toMatch(/^is also in \S+, \S+, \S+ and 296 more files; an id belongs/)
  expect(held.size).toBe(1)
})

test("a link to a folder that is away is no empty folder", async () => {
  const folder = await folderOf({})
  symlinkSync(path.join(folder, "nowhere"), path.join(folder, "link"))
  await expect(readTenants(path.join(folder, "link"))).rejects.toThrow(/cannot be read \(ENOENT\)/)
})
