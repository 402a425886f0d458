/** The promises of a tenant's life, each looked at in Neon, in the vault and in the database itself. */
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { Client } from "pg"
import type { Config } from "../../reconciler/config.ts"
import { openCredentialReader } from "../../reconciler/providers/vault.ts"
import { reconcile } from "../../reconciler/reconcile.ts"
import type { TenantId } from "../../reconciler/tenant.ts"
import { openWorld } from "../../reconciler/world.ts"

type Attempt = (what: string, run: () => Promise<void>) => Promise<void>

/** More passes than any change needs. */
const PASSES = 30

/**
 * Lets the first of two tenants, in a fleet of its own, be made, renamed, retired and restored. A pass that is under way
 * ends when `signal` aborts.
 */
export async function liveALife(
  config: Config,
  [first, second]: readonly [TenantId, TenantId],
  attempt: Attempt,
  signal: AbortSignal,
): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "tenantry-live-"))
  const sources = {
    tenantsDir: path.join(folder, "tenants"),
    fleetFile: path.join(folder, "fleet.yaml"),
    migrationsDir: path.resolve(import.meta.dirname, "../../migrations"),
  }
  const mark = randomBytes(4).toString("hex")
  const [name, renamed] = [`Live-${mark}`, `Live-renamed-${mark}`]
  const world = openWorld(config)
  const readCredential = openCredentialReader(config.vaultUrl)

  const declare = (id: string, as: string) =>
    writeFile(path.join(sources.tenantsDir, `${id}.yaml`), `id: ${id}\nname: ${as}\n`)
  const settle = async () => {
    const within = AbortSignal.any([signal, AbortSignal.timeout(900_000)])
    for (let pass = 0; pass < PASSES; pass++) {
      const { review, outcomes } = await reconcile(sources, world, {
        signal: within,
        planned: () => {},
        progress: () => {},
      })
      const failed = outcomes.find(({ error }) => error !== undefined)
      if (failed) throw failed.error!
      if (outcomes.length === 0) return review
    }
    throw new Error(`the fleet has not come to rest in ${PASSES} passes`)
  }
  const uriOf = async (id: TenantId) => {
    const credential = await readCredential(id)
    if (credential?.state === "active") return credential.uri
    throw new Error(`tenant ${id} is ${credential?.state ?? "absent"}`)
  }
  /** The first value that the tenant's own credential gets for a statement. */
  const ask = async (text: string): Promise<unknown> => {
    const client = new Client({ connectionString: await uriOf(first) })
    await client.connect()
    try {
      return Object.values((await client.query<Record<string, unknown>>(text)).rows[0] ?? {})[0]
    } finally {
      await client.end()
    }
  }

  try {
    await mkdir(sources.tenantsDir)
    await writeFile(
      sources.fleetFile,
      `fleet: live-${mark}\ndeletion: retire\ngracePeriodDays: 30\nmaxRemovals: 5\nmaxRemovalShare: 1\n`,
    )
    await attempt("a file becomes a database that its credential opens", async () => {
      await declare(first, name)
      await declare(second, `Live-other-${mark}`)
      await settle()
      assert.ok((await world.cells[0]!.list()).includes(`products-${name}`))
      assert.equal(await ask("INSERT INTO products (name, price) VALUES ('kept', 1) RETURNING name"), "kept")
    })
    await attempt("a pass in which nothing changed does nothing", async () => {
      assert.deepEqual((await settle()).plan.changes, [])
    })
    await attempt("a credential opens no other tenant's database", async () => {
      const uri = new URL(await uriOf(first))
      uri.pathname = `/products-Live-other-${mark}`
      const client = new Client({ connectionString: uri.href })
      await assert.rejects(client.connect())
    })
    await attempt("a credential cannot change the schema", async () => {
      await assert.rejects(ask("CREATE TABLE intruder (id int)"))
    })
    await attempt("a renamed tenant keeps its rows", async () => {
      await declare(first, renamed)
      await settle()
      assert.ok((await world.cells[0]!.list()).includes(`products-${renamed}`))
      assert.equal(await ask("SELECT count(*)::int FROM products WHERE name = 'kept'"), 1)
    })
    await attempt("a removed file closes the tenant, and keeps its database", async () => {
      await rm(path.join(sources.tenantsDir, `${first}.yaml`))
      await settle()
      assert.equal((await readCredential(first))?.state, "retired")
      assert.ok((await world.cells[0]!.list()).includes(`retired-${first}`))
    })
    await attempt("a file that is back brings the rows back", async () => {
      await declare(first, renamed)
      await settle()
      assert.equal(await ask("SELECT count(*)::int FROM products WHERE name = 'kept'"), 1)
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
