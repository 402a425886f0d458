import { once } from "node:events"
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { get, type IncomingMessage } from "node:http"
import { tmpdir } from "node:os"
import path from "node:path"
import { json } from "node:stream/consumers"
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest"
import { parse } from "yaml"
import { changeTenantFile, readTenantFiles, removeTenantFile } from "../../api/tenant-files.ts"
import { believeTokens } from "../../api/tokens.ts"
import type { NamedTenant } from "../../api/directory.ts"
import { startIssuer } from "../../local/issuer.ts"
import { TransientError } from "../../reconciler/errors.ts"
import { TenantId } from "../../reconciler/tenant.ts"
import { tokenSettings } from "../token-settings.ts"
import { type Answer, type Api, FLEET, newTenantId, startWorld, type World } from "./world.ts"

let world: World
let folder: string
let api: Api
/** What a reconciler would have made of the folder: the vault's list. */
let listed: NamedTenant[]

beforeAll(async () => {
  world = await startWorld()
}, 60_000)
afterAll(() => world?.close())
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "tenantry-tenants-"))
  listed = []
  api = await world.serve({
    folder,
    listTenants: () => Promise.resolve(listed),
    cache: { refused: { atMost: 0, recheck: 0 } },
  })
})
afterEach(async () => {
  await api.close()
  await rm(folder, { recursive: true, force: true })
})

const send = (method: string, target: string, body?: unknown, from = api, more = {}): Promise<Answer> =>
  from.send(target, {
    method,
    headers: body === undefined ? more : { ...more, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
const files = async () => (await readdir(folder)).sort()
type Declared = { id: string; name: string; hosts?: string[] }
const declared = async () =>
  Promise.all(
    (await files()).map(async (file) => parse(await readFile(path.join(folder, file), "utf8")) as Declared),
  )

/** Does what is declared, as the reconciler does: the vault says so at the end. */
async function reconcile() {
  const tenants = await declared()
  listed = tenants.map(({ id, name, hosts }) => ({
    id: TenantId.parse(id),
    name,
    hosts: hosts?.map((host) => host.toLowerCase()).toSorted(),
    state: "active",
    schema: "0005:x",
    isSettled: true,
  }))
  for (const { id } of listed)
    world.vault.set(id, { state: "active", uri: "postgres://u:p@h/d", fleet: FLEET })
}

test("a tenant that is asked for becomes a file, and is answered once it is served", async () => {
  const asked = send("POST", "/tenants?wait=30", { name: "Acme", seed: "demo" })
  await expect.poll(files).toEqual(["acme.yaml"])
  const [file] = await declared()
  expect(file).toEqual({ id: expect.any(String), name: "Acme", seed: "demo" })
  expect(await send("GET", "/tenants/acme")).toMatchObject({
    status: 200,
    body: { name: "Acme", id: file!.id, state: "declared", schema: null },
  })
  await reconcile()
  const answer = await asked
  expect(answer).toMatchObject({ status: 201, body: { tenantId: file!.id, databaseName: "products-Acme" } })
  expect((await send("GET", answer.headers.get("location")!)).body).toEqual({
    name: "Acme",
    id: file!.id,
    state: "active",
    schema: "0005:x",
    hosts: [],
  })
})

test("who does not wait gets 202 and a place to look", async () => {
  const answer = await send("POST", "/tenants?wait=0", { name: "Acme" })
  expect(answer).toMatchObject({ status: 202, body: { databaseName: "products-Acme" } })
  expect((await send("GET", answer.headers.get("location")!)).body.state).toBe("declared")
})

test("who waits for a tenant waits no longer than asked for, however long the vault takes", async () => {
  const silent = await world.serve({
    folder,
    listTenants: () => Promise.resolve(listed),
    readVault: () => new Promise(() => {}),
  })
  expect(await send("POST", "/tenants?wait=1", { name: "Acme" }, silent)).toMatchObject({ status: 202 })
  await silent.close()
})

test("a rename edits one line, and everything else in the file stays", async () => {
  const id = newTenantId()
  const text = `# ours\nid: ${id} # for ever\nname: Acme\nhosts: [ Shop.Acme.example ] # ours too\nprotected: true # do not remove\n`
  await writeFile(path.join(folder, "some-file.yaml"), text)
  expect((await send("GET", "/tenants/acme")).body).toMatchObject({
    state: "declared",
    hosts: ["shop.acme.example"],
  })
  await reconcile()
  const asked = send("PATCH", "/tenants/ACME?wait=30", { newName: "Acme-Corp" })
  await expect.poll(async () => (await declared())[0]!.name).toBe("Acme-Corp")
  await reconcile()
  expect(await asked).toMatchObject({
    status: 200,
    body: { tenantId: id, databaseName: "products-Acme-Corp" },
  })
  expect(await readFile(path.join(folder, "some-file.yaml"), "utf8")).toBe(text.replace("Acme", "Acme-Corp"))
  expect(await send("DELETE", "/tenants/Acme-Corp?wait=0")).toMatchObject({
    status: 409,
    body: { type: "/problems/tenant-protected" },
  })
  expect(await files()).toEqual(["some-file.yaml"])
})

test("hosts that are asked for stand in the file, and are answered once they lead to the tenant", async () => {
  const hosts = ["Shop.Acme.example", "acme.example"]
  const asked = send("POST", "/tenants?wait=30", { name: "Acme", hosts })
  await expect.poll(files).toEqual(["acme.yaml"])
  expect((await declared())[0]!.hosts).toEqual(["shop.acme.example", "acme.example"])
  await reconcile()
  expect((await asked).status).toBe(201)
  expect((await send("GET", "/tenants/acme")).body.hosts).toEqual(["acme.example", "shop.acme.example"])
  await send("POST", "/tenants?wait=0", { name: "Plain", hosts: [] })
  expect((await declared())[1]).toEqual({ id: expect.any(String), name: "Plain" })
})

test("a change of hosts leaves the rest of the file, and what stays in the list, as they are", async () => {
  const id = newTenantId()
  const file = path.join(folder, "some-file.yaml")
  const texts = [
    `id: ${id} # for ever\nname: Acme\nhosts:\n  # ours\n  - Shop.Acme.example # the first\n  - old.example\nprotected: true # do not remove\n`,
    `id: ${id} # for ever\nname: Acme\nhosts:\n  # ours\n  - new.example\n  - Shop.Acme.example # the first\nprotected: true # do not remove\n`,
    `id: ${id} # for ever\nname: Acme-Corp\nprotected: true # do not remove\n`,
    `id: ${id} # for ever\nname: Acme-Corp\nprotected: true # do not remove\nhosts:\n  - acme.example\n`,
  ]
  await writeFile(file, texts[0]!)
  const changes = [
    { hosts: ["new.example", "SHOP.acme.example"] },
    { newName: "Acme-Corp", hosts: [] },
    { hosts: ["acme.example"] },
  ]
  for (const [index, body] of changes.entries()) {
    const asked = send("PATCH", `/tenants/${index < 2 ? "Acme" : "acme-corp"}?wait=30`, body)
    await expect.poll(() => readFile(file, "utf8")).toBe(texts[index + 1])
    await reconcile()
    expect(await asked).toMatchObject({
      status: 200,
      body: { tenantId: id, databaseName: `products-${index === 0 ? "Acme" : "Acme-Corp"}` },
    })
  }
  expect(await files()).toEqual(["some-file.yaml"])
})

test("what a file may not say of hosts, a request may not either, in the same words", async () => {
  await writeFile(path.join(folder, "acme.yaml"), `id: ${newTenantId()}\nname: Acme\n`)
  const before = await declared()
  for (const [hosts, message] of [
    [["*.acme.example"], 'hosts.0 "*.acme.example" must be one host: there are no wildcards'],
    [["a.example", "acme.localhost"], "hosts.1 must not be in localhost"],
    [["a.example", "A.example"], "hosts.1 a.example is there twice; keep one"],
    [null, "hosts must be a list of hosts' names"],
    ["a.example", "hosts must be a list of hosts' names"],
  ] as const)
    for (const [method, target, body] of [
      ["POST", "/tenants?wait=0", { name: "New", hosts }],
      ["PATCH", "/tenants/Acme?wait=0", { hosts }],
    ] as const) {
      const answer = await send(method, target, body)
      expect(answer.status).toBe(400)
      expect(answer.body.detail).toContain(message)
    }
  const nothing = await send("PATCH", "/tenants/Acme?wait=0", {})
  expect(nothing.body.detail).toContain("must name at least one of newName, hosts")
  expect(await declared()).toEqual(before)
})

test("where names lead to tenants, who is asked for is answered once the name does", async () => {
  let isListed = false
  const named = await world.serve({
    folder,
    listTenants: () => Promise.resolve(isListed ? listed : []),
    cache: { refused: { atMost: 0, recheck: 0 } },
    tenants: { sources: new Set(["path"]) },
  })
  const asked = send("POST", "/tenants?wait=30", { name: "Acme" }, named)
  await expect.poll(files).toEqual(["acme.yaml"])
  await reconcile()
  const seen = named.vaultReads()
  await expect.poll(named.vaultReads).toBeGreaterThan(seen + 2)
  isListed = true
  expect((await asked).status).toBe(201)
  await named.close()
})

test("a host that would never lead to the tenant is refused", async () => {
  const own = await world.serve({ folder, tenants: { hostSuffixes: ["shop.example"] } })
  for (const [method, target, body] of [
    ["POST", "/tenants?wait=0", { name: "Acme", hosts: ["acme.shop.example"] }],
    ["PATCH", "/tenants/Acme?wait=0", { hosts: ["shop.example"] }],
  ] as const) {
    expect(await send(method, target, body, own)).toMatchObject({
      status: 400,
      body: { errors: [{ in: "body", field: "hosts" }] },
    })
  }
  expect(await files()).toEqual([])
  await own.close()
})

test("an edit that somebody else makes meanwhile is not written over, and not removed", async () => {
  const file = path.join(folder, "acme.yaml")
  const before = `id: ${newTenantId()}\nname: Acme\n`
  const edited = `${before}protected: true\n`
  await writeFile(file, before)
  const [read] = await readTenantFiles(folder)
  await writeFile(file, edited)
  await expect(changeTenantFile(read!, { hosts: ["acme.example"] })).rejects.toThrow(TransientError)
  await expect(removeTenantFile(read!)).rejects.toThrow(TransientError)
  expect(await readFile(file, "utf8")).toBe(edited)
  await rm(file)
  await expect(changeTenantFile(read!, { name: "Back" })).rejects.toThrow(TransientError)
  expect(await files()).toEqual([])
})

test("a name is shown as the tenant's whose file has it, though the ledger knows it by another yet", async () => {
  await writeFile(path.join(folder, "acme.yaml"), `id: ${newTenantId()}\nname: Acme\n`)
  await reconcile()
  const [acme] = listed
  expect((await send("PATCH", "/tenants/Acme?wait=0", { newName: "Zenith" })).status).toBe(202)
  expect((await send("GET", "/tenants/Zenith")).body).toMatchObject({ id: acme!.id, state: "active" })
  // One who is retired keeps a name that another's file has taken since.
  listed = [{ ...acme!, name: "Nova", state: "retired" }]
  const { body } = await send("POST", "/tenants?wait=0", { name: "Nova" })
  expect((await send("GET", "/tenants/Nova")).body).toMatchObject({ id: body.tenantId, state: "declared" })
})

test("a seed that is not there is refused: its file would be faulty, and hold up every removal", async () => {
  expect(await send("POST", "/tenants?wait=0", { name: "New", seed: "nope" })).toMatchObject({
    status: 400,
    body: {
      type: "/problems/request-invalid",
      errors: [
        { in: "body", field: "seed", message: "there is no migrations/seeds/nope.sql; the seeds are: demo" },
      ],
    },
  })
  expect(await files()).toEqual([])
  const elsewhere = await world.serve({ folder, migrations: path.join(folder, "migrations") })
  expect(await send("POST", "/tenants?wait=0", { name: "New", seed: "nope" }, elsewhere)).toMatchObject({
    status: 202,
  })
  await elsewhere.close()
})

test("a host of another tenant is refused with that tenant's name, unless its file has given it up", async () => {
  await send("POST", "/tenants?wait=0", { name: "Acme", hosts: ["acme.example"] })
  await send("POST", "/tenants?wait=0", { name: "Globex" })
  await reconcile()
  const refused = { status: 409, body: { type: "/problems/tenant-host-taken" } }
  const asked = { hosts: ["globex.example", "ACME.example"] }
  for (const answer of [
    await send("POST", "/tenants?wait=0", { name: "New", ...asked }),
    await send("PATCH", "/tenants/globex?wait=0", asked),
  ]) {
    expect(answer).toMatchObject(refused)
    expect(answer.body.detail).toBe("acme.example is a host of the tenant Acme already")
  }
  expect(await files()).toEqual(["acme.yaml", "globex.yaml"])

  // The ledger still has what a file that is gone, or faulty, does not give up.
  await writeFile(path.join(folder, "acme.yaml"), "id: [")
  expect(await send("PATCH", "/tenants/globex?wait=0", asked)).toMatchObject(refused)
  await writeFile(path.join(folder, "acme.yaml"), `id: ${listed[0]!.id}\nname: Acme\n`)
  expect((await send("PATCH", "/tenants/globex?wait=0", asked)).status).toBe(202)
  await writeFile(path.join(folder, "acme.yaml"), "id: [")
  listed[0]!.state = "retired"
  expect((await send("PATCH", "/tenants/globex?wait=0", asked)).status).toBe(202)
})

test("files in folders of the folder are the fleet's too, as for the reconciler", async () => {
  await mkdir(path.join(folder, "eu"))
  const file = path.join(folder, "eu", "acme.YML")
  await writeFile(file, `id: ${newTenantId()}\nname: Acme\nhosts: [acme.example]\n`)
  expect(await send("POST", "/tenants?wait=0", { name: "ACME" })).toMatchObject({ status: 409 })
  expect(await send("POST", "/tenants?wait=0", { name: "New", hosts: ["acme.example"] })).toMatchObject({
    status: 409,
  })
  expect((await send("PATCH", "/tenants/acme?wait=0", { newName: "Acme-EU" })).status).toBe(202)
  expect(await readFile(file, "utf8")).toContain("name: Acme-EU\n")
  expect(await readdir(path.join(folder, "eu"))).toEqual(["acme.YML"])
  expect((await send("DELETE", "/tenants/acme-eu?wait=0")).status).toBe(202)
  expect(await readdir(path.join(folder, "eu"))).toEqual([])
  expect(await files()).toEqual(["eu"])
})

test("a tenant is changed by who has seen it as it is declared, and by nobody else", async () => {
  const made = await send("POST", "/tenants?wait=0", { name: "Acme", hosts: ["b.example", "A.example"] })
  const [file] = await files()
  const text = () => readFile(path.join(folder, file!), "utf8")
  const seen = (await send("GET", "/tenants/acme")).headers.get("etag")!
  expect(made.headers.get("etag")).toBe(seen)
  await reconcile()
  expect((await send("GET", "/tenants/acme")).headers.get("etag")).toBe(seen)

  const sendIf = (etag: string, method: string, target: string, body?: unknown) =>
    send(method, target, body, api, { "If-Match": etag })
  const change = { newName: "Acme-Corp", hosts: ["c.example"] }
  const first = await sendIf(`"other", ${seen}`, "PATCH", "/tenants/acme?wait=0", change)
  expect(first.status).toBe(202)
  const now = first.headers.get("etag")!
  const before = await text()
  for (const stale of [seen, `W/${now}`, '""']) {
    for (const [method, body] of [["PATCH", { hosts: [] }], ["DELETE"]] as const) {
      const late = await sendIf(stale, method, "/tenants/Acme-Corp?wait=0", body)
      expect(late).toMatchObject({ status: 412, body: { type: "/problems/changed-meanwhile" } })
      expect(late.headers.get("etag")).toBe(now)
    }
  }
  expect(await text()).toBe(before)
  await reconcile()
  expect((await send("GET", "/tenants/Acme-Corp")).headers.get("etag")).toBe(now)
  expect((await sendIf(now, "DELETE", "/tenants/Acme-Corp?wait=0")).status).toBe(202)
  expect(await files()).toEqual([])
})

test("who has a tenant's tag is told its state all the same", async () => {
  await send("POST", "/tenants?wait=0", { name: "Acme" })
  const { headers } = await send("GET", "/tenants/acme")
  // fetch would say Cache-Control: no-cache besides.
  const ask = async () => {
    const request = get(`${api.url}/tenants/acme`, { headers: { "If-None-Match": headers.get("etag")! } })
    const [response] = (await once(request, "response")) as [IncomingMessage]
    return { status: response.statusCode, body: await json(response) }
  }
  expect(await ask()).toMatchObject({ status: 200, body: { state: "declared" } })
  await reconcile()
  expect(await ask()).toMatchObject({ status: 200, body: { state: "active" } })
})

test("a removal removes the file, and is answered once the tenant is retired", async () => {
  await send("POST", "/tenants?wait=0", { name: "Acme" })
  await reconcile()
  const asked = send("DELETE", "/tenants/acme?wait=30")
  await expect.poll(files).toEqual([])
  world.vault.set(listed[0]!.id, { state: "retired" })
  expect(await asked).toMatchObject({ status: 200, body: { tenantId: listed[0]!.id } })
  expect((await send("DELETE", "/tenants/acme?wait=0")).status).toBe(404)
})

test("a name belongs to one tenant, however it is capitalised, also when many ask at once", async () => {
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, n) => send("POST", "/tenants?wait=0", { name: n % 2 ? "Acme" : "ACME" })),
  )
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
    202,
    ...Array.from({ length: 9 }, () => 409),
  ])
  await send("POST", "/tenants?wait=0", { name: "Other" })
  expect(await send("PATCH", "/tenants/other?wait=0", { newName: "acme" })).toMatchObject({
    status: 409,
    body: { type: "/problems/tenant-name-taken" },
  })
  expect(await files()).toEqual(["acme.yaml", "other.yaml"])
  expect((await send("PATCH", "/tenants/other?wait=0", { newName: "OTHER" })).status).toBe(202)
})

test("a file that has the name of another tenant is not written over", async () => {
  await writeFile(path.join(folder, "acme.yaml"), `id: ${newTenantId()}\nname: Renamed-Long-Ago\n`)
  expect((await send("POST", "/tenants?wait=0", { name: "Acme" })).status).toBe(202)
  expect((await declared()).map(({ name }) => name).sort()).toEqual(["Acme", "Renamed-Long-Ago"])
})

test.each(["\uFDFA".repeat(18), "\u2488\u2488", "null", "1e3", "true", "0x10"])(
  "the name %j is what its file says, however it looks to a file system or to YAML",
  async (name) => {
    expect(await send("POST", "/tenants?wait=0", { name })).toMatchObject({ status: 202 })
    expect(await declared()).toMatchObject([{ name }])
    expect(
      await send("PATCH", `/tenants/${encodeURIComponent(name)}?wait=0`, { newName: "no" }),
    ).toMatchObject({
      status: 202,
    })
    expect(await send("PATCH", "/tenants/no?wait=0", { newName: name })).toMatchObject({ status: 202 })
    expect(await declared()).toMatchObject([{ name }])
  },
)

test.each([
  "../../etc/cron.d/x",
  "..",
  ".hidden",
  "a/b",
  "a\u0000b",
  "a\nname: b",
  "",
  "x".repeat(55),
  "con fig",
  7,
  null,
])("the name %j makes no file", async (name) => {
  const before = await readdir(tmpdir())
  expect((await send("POST", "/tenants?wait=0", { name })).status).toBe(400)
  expect(await files()).toEqual([])
  expect((await readdir(tmpdir())).length - before.length).toBeLessThan(5)
})

test("names that only a path could mean lead to nobody", async () => {
  await writeFile(path.join(folder, "acme.yaml"), `id: ${newTenantId()}\nname: Acme\n`)
  for (const name of ["%2e%2e%2facme", "acme.yaml", "acme%00", "__proto__"]) {
    expect((await send("DELETE", `/tenants/${name}?wait=0`)).status, name).toBe(404)
    expect((await send("PATCH", `/tenants/${name}?wait=0`, { newName: "x" })).status, name).toBe(404)
  }
  expect(await files()).toEqual(["acme.yaml"])
})

test("where the folder is not written from here, the answer is to open a pull request", async () => {
  // Nobody, root included, makes a file in Linux's sysfs.
  for (const place of [undefined, "/sys/kernel"]) {
    const closed = await world.serve({
      ...(place ? { folder: place } : {}),
      listTenants: () => Promise.resolve([]),
    })
    const answer = await send("POST", "/tenants?wait=0", { name: "Acme" }, closed)
    expect(answer, place).toMatchObject({ status: 409, body: { type: "/problems/tenants-read-only" } })
    expect(answer.body.detail).toContain("pull request")
    await closed.close()
  }
})

test("tenants are listed in pages by name, those that are only declared too", async () => {
  for (const name of ["delta", "Alpha", "charlie", "Bravo"]) await send("POST", "/tenants?wait=0", { name })
  await reconcile()
  await send("POST", "/tenants?wait=0", { name: "echo" })
  const seen: string[] = []
  let after = ""
  for (;;) {
    const { body } = await send("GET", `/tenants?limit=2${after}`)
    seen.push(...body.items.map(({ name, state }: { name: string; state: string }) => `${name} ${state}`))
    if (body.next === null) break
    after = `&after=${body.next}`
  }
  expect(seen).toEqual(["Alpha active", "Bravo active", "charlie active", "delta active", "echo declared"])
  expect((await send("GET", "/tenants?after=nonsense")).status).toBe(400)

  // The page after one whose last tenant is gone, or has another name, begins where that tenant was.
  const { body: first } = await send("GET", "/tenants?limit=2")
  await rm(path.join(folder, "bravo.yaml"))
  await reconcile()
  const { body: second } = await send("GET", `/tenants?limit=2&after=${first.next}`)
  expect(second.items.map(({ name }: { name: string }) => name)).toEqual(["charlie", "delta"])
})

test("a hundred changes wait for their turn, and who comes then is told to come again", async () => {
  const list = Promise.withResolvers<NamedTenant[]>()
  const slow = await world.serve({ folder, listTenants: () => list.promise, directory: { patience: 60_000 } })
  const answers: Answer[] = []
  const post = async (body: object) => void answers.push(await send("POST", "/tenants?wait=0", body, slow))
  // Whoever asks for a host has the list looked at.
  const asked = [
    { name: "First", hosts: ["first.example"] },
    ...Array.from({ length: 120 }, (_, n) => ({ name: `Many-${n}` })),
  ].map(post)
  await expect.poll(() => answers.length, { timeout: 20_000 }).toBe(21)
  for (const answer of answers) {
    expect(answer).toMatchObject({ status: 503, body: { type: "/problems/tenants-busy" } })
    expect(answer.headers.get("retry-after")).toBe("1")
  }
  list.resolve([])
  await Promise.all(asked)
  expect(answers.slice(21).map(({ status }) => status)).toEqual(Array.from({ length: 100 }, () => 202))
  expect(await files()).toHaveLength(100)
  await slow.close()
})

test("who waits for the reconciler of a process that ends is told where to look", async () => {
  const asked = send("POST", "/tenants?wait=60", { name: "Acme" })
  await expect.poll(files).toEqual(["acme.yaml"])
  api.readiness.drain()
  expect((await asked).status).toBe(202)
})

test("only an administrator's token lets one in, and it opens no tenant's data", async () => {
  const issuer = await startIssuer()
  const shop = await world.addTenant("Guarded")
  const guarded = await world.serve({
    folder,
    listTenants: () => Promise.resolve(listed),
    authenticate: (log) => believeTokens(tokenSettings(issuer), log),
  })
  const ask = (token: string | undefined, target: string) =>
    guarded.send(target, {
      headers: {
        "X-TenantId": shop.id,
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      },
    })
  const user = issuer.mint({ sub: "ada", tenants: [shop.id], scope: "openid" })
  const lookalike = issuer.mint({ sub: "eve", scope: "tenants:admins xtenants:admin" })
  const administrator = issuer.mint({ sub: "root", scope: "openid tenants:admin" })
  expect((await ask(undefined, "/tenants")).status).toBe(401)
  for (const token of [user, lookalike])
    expect(await ask(token, "/tenants")).toMatchObject({
      status: 403,
      body: { type: "/problems/not-administrator" },
    })
  expect((await ask(administrator, "/tenants")).status).toBe(200)
  expect((await ask(administrator, "/products")).status).toBe(403)
  await Promise.all([guarded.close(), issuer.close()])
})
