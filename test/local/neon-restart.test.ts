import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { OperationStatus } from "@neondatabase/api-client"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { Fault } from "../../local/neon/faults.ts"
import { startNeon } from "../../local/neon.ts"
import type { Postgres } from "../../local/postgres.ts"
import { COMPILED } from "../compiled.ts"
import { startTestPostgres } from "../postgres.ts"
import { API_KEY, FAST, neonClient, quiet, sql, until, type NeonClient } from "./neon-world.ts"

const projectId = "tenantry-local"
const branchId = "br-tenantry-local"
const owner = "tenantry_owner"

let directory: string
let postgres: Postgres
let hosted: { process: ChildProcess; url: string; client: NeonClient } | undefined

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "neon-restart-"))
  postgres = await startTestPostgres({ directory, settings: FAST })
}, 120_000)
afterAll(async () => {
  await kill()
  await postgres.stop()
  await rm(directory, { recursive: true, force: true })
}, 30_000)

/** The stand-in in a process of its own, started unless it runs. */
async function host(): Promise<{ client: NeonClient; url: string }> {
  if (hosted !== undefined) return hosted
  const child = spawn(process.execPath, [fileURLToPath(new URL("neon-process.ts", import.meta.url))], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      NEON_POSTGRES_PORT: String(postgres.port),
      NEON_SUPERUSER_URI: postgres.superuserUri,
      NEON_API_KEY: API_KEY,
      NEON_OPERATION_MS: "20",
      ...COMPILED,
    },
  })
  const [url] = (await once(createInterface(child.stdout), "line")) as [string]
  hosted = { process: child, url, client: neonClient(url) }
  return hosted
}

async function kill(): Promise<void> {
  if (hosted === undefined) return
  const gone = once(hosted.process, "exit")
  hosted.process.kill("SIGKILL")
  await gone
  hosted = undefined
}

async function switchOn(url: string, fault: Fault): Promise<void> {
  const headers = { authorization: `Bearer ${API_KEY}` }
  await fetch(url.replace("/api/v2", "/_faults"), { method: "POST", headers, body: JSON.stringify(fault) })
}

const names = async (client: NeonClient) =>
  (await client.listProjectBranchDatabases(projectId, branchId)).data.databases.map(({ name }) => name)

const create = (client: NeonClient, name: string) =>
  client.createProjectBranchDatabase(projectId, branchId, { database: { name, owner_name: owner } })

async function connects(client: NeonClient, database: string, role = owner): Promise<boolean> {
  const { data } = await client.getConnectionUri({ projectId, database_name: database, role_name: role })
  return sql(data.uri, "select 1").then(
    () => true,
    () => false,
  )
}

type Change = {
  name: string
  before?: (client: NeonClient) => Promise<unknown>
  make: (client: NeonClient) => Promise<{ status: number }>
  /** What the world shows only once the change is over. */
  isOver: (client: NeonClient) => Promise<boolean>
  isInPostgres: () => Promise<boolean>
}

const inPostgres = async (text: string) => (await sql(postgres.superuserUri, text)).length === 1

const changes = (tag: string): Change[] => [
  {
    name: "creation",
    make: (client) => create(client, `made-${tag}`),
    isOver: (client) => connects(client, `made-${tag}`),
    isInPostgres: () => inPostgres(`select from pg_database where datname = 'made-${tag}'`),
  },
  {
    name: "rename",
    before: (client) => create(client, `old-${tag}`),
    make: (client) =>
      client.updateProjectBranchDatabase(projectId, branchId, `old-${tag}`, {
        database: { name: `new-${tag}` },
      }),
    isOver: async (client) => !(await names(client)).includes(`old-${tag}`) && connects(client, `new-${tag}`),
    isInPostgres: () => inPostgres(`select from pg_database where datname = 'new-${tag}'`),
  },
  {
    name: "deletion",
    before: (client) => create(client, `gone-${tag}`),
    make: (client) => client.deleteProjectBranchDatabase(projectId, branchId, `gone-${tag}`),
    isOver: async (client) => !(await names(client)).includes(`gone-${tag}`),
    isInPostgres: async () => !(await inPostgres(`select from pg_database where datname = 'gone-${tag}'`)),
  },
  {
    name: "creation of a role",
    make: (client) => client.createProjectBranchRole(projectId, branchId, { role: { name: `role-${tag}` } }),
    isOver: (client) => connects(client, "neondb", `role-${tag}`),
    isInPostgres: () => inPostgres(`select from pg_roles where rolname = 'role-${tag}'`),
  },
]

describe("kill -9 in the middle of a change", () => {
  for (const [index, moment] of ["scheduled", "running, not yet done", "done, not yet finished"].entries()) {
    for (const { name, before, make, isOver, isInPostgres } of changes(`at-${index}`)) {
      test(`a ${name} that was ${moment} is carried on by the next start`, async () => {
        const first = await host()
        await before?.(first.client)
        await quiet(first.client, projectId)
        const isDone = moment.startsWith("done")
        if (moment !== "scheduled") await switchOn(first.url, { kind: "operation-stuck", acted: isDone })
        expect((await make(first.client)).status).toBeLessThan(300)
        if (moment !== "scheduled") {
          await until("the operation runs", async () => {
            const { data } = await first.client.listProjectOperations({ projectId, limit: 2 })
            return data.operations.some(({ status }) => status === OperationStatus.Running)
          })
          if (isDone) await until("Postgres shows the change", isInPostgres)
          else expect(await isInPostgres()).toBe(false)
        }
        await kill()

        const { client } = await host()
        await quiet(client, projectId)
        expect(await isOver(client)).toBe(true)
        const { data } = await client.listProjectOperations({ projectId, limit: 2 })
        expect(data.operations.map(({ status }) => status)).toEqual(["skipped", "finished"])
      }, 60_000)
    }
  }

  test("whenever it strikes during a creation, the database is there and whole afterwards, or not at all", async () => {
    for (let round = 0; round < 8; round++) {
      const name = `round-${round}`
      const { client } = await host()
      await quiet(client, projectId)
      const answer = create(client, name).then(
        ({ status }) => status,
        () => 0,
      )
      await sleep(round * 12) // spreads the kills over the creation; whatever it meets must hold
      await kill()
      const status = await answer
      const second = await host()
      await quiet(second.client, projectId)
      const isListed = (await names(second.client)).includes(name)
      if (status === 201) expect(isListed).toBe(true)
      expect(await inPostgres(`select from pg_database where datname = '${name}' and datallowconn`)).toBe(
        isListed,
      )
      expect(await inPostgres(`select from pg_database where datname = '${name}'`)).toBe(isListed)
    }
  }, 120_000)
})

describe("an orderly restart", () => {
  beforeAll(() => kill())

  test("ids, operations, passwords and a replaced branch are the same afterwards", async () => {
    const options = { postgres, apiKey: API_KEY, operationMs: 0 }
    const first = await startNeon(options)
    const one = neonClient(first.url)
    await create(one, "remembered")
    await quiet(one, projectId)
    const look = async (client: NeonClient, branch: string) => ({
      project: (await client.getProject(projectId)).data,
      branches: (await client.listProjectBranches({ projectId })).data,
      databases: (await client.listProjectBranchDatabases(projectId, branch)).data,
      roles: (await client.listProjectBranchRoles(projectId, branch)).data,
      operations: (await client.listProjectOperations({ projectId })).data,
      password: (await client.getProjectBranchRolePassword(projectId, branch, owner)).data,
    })
    first.faults.add({ kind: "branch-replaced", branchId: "br-restored" })
    await one.getProject(projectId)
    const before = await look(one, "br-restored")
    await first.close()

    const second = await startNeon(options)
    try {
      const two = neonClient(second.url)
      expect(second.branchId).toBe("br-restored")
      expect(await look(two, "br-restored")).toEqual(before)
      second.faults.add({ kind: "branch-replaced", branchId })
      await two.getProject(projectId)
    } finally {
      await second.close()
    }
  })

  test("a first database that was deleted does not come back", async () => {
    const options = { postgres, apiKey: API_KEY, operationMs: 0 }
    const first = await startNeon(options)
    const one = neonClient(first.url)
    await one.deleteProjectBranchDatabase(projectId, branchId, "neondb")
    await quiet(one, projectId)
    await first.close()
    const second = await startNeon(options)
    expect(await names(neonClient(second.url))).not.toContain("neondb")
    await second.close()
  })

  test("an owner's password that is given replaces the one that was made", async () => {
    const ownerPassword = "chosen-by-the-operator-7"
    const neon = await startNeon({ postgres, apiKey: API_KEY, ownerPassword })
    try {
      expect(neon.ownerPassword).toBe(ownerPassword)
      const uri = `postgres://${owner}:${ownerPassword}@127.0.0.1:${postgres.port}/postgres`
      expect(await sql(uri, "select current_user as me")).toEqual([{ me: owner }])
    } finally {
      await neon.close()
    }
  })

  test("a second stand-in on the same Postgres, or one for another project, does not start", async () => {
    const options = { postgres, apiKey: API_KEY }
    const first = await startNeon(options)
    try {
      await expect(startNeon({ ...options, lockWaitMs: 300 })).rejects.toThrow(
        "another Neon stand-in already serves this Postgres",
      )
    } finally {
      await first.close()
    }
    await expect(startNeon({ ...options, projectId: "other" })).rejects.toThrow(
      'projectId is "tenantry-local"',
    )
  }, 30_000)
})
