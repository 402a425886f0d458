import { setTimeout as sleep } from "node:timers/promises"
import { beforeEach, expect, test } from "vitest"
import { type CredentialCache, cacheCredentials } from "../../api/credentials.ts"
import { TerminalError, TransientError } from "../../reconciler/errors.ts"
import type { Credential } from "../../reconciler/providers/vault.ts"
import type { TenantId } from "../../reconciler/tenant.ts"
import { newTenantId } from "./world.ts"

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

let clock = 0
let reads: TenantId[] = []
/** What the vault says of every tenant. */
let said: Credential | undefined | Error | Promise<Credential>
let cache: CredentialCache

const active = (n: number): Credential => ({ state: "active", uri: `postgres://u:p${n}@h/d`, fleet: "f" })

const build = (capacity = 100, patience = 5000, recheck = 30 * SECOND, jitter = 0) =>
  cacheCredentials(
    async (id) => {
      reads.push(id)
      if (said instanceof Error) throw said
      return said
    },
    {
      now: () => clock,
      capacity,
      maxReads: 3,
      sliding: 30 * MINUTE,
      absolute: 8 * HOUR,
      jitter,
      refused: { atMost: 30 * SECOND, recheck },
      reserved: { atMost: SECOND, recheck: Math.min(SECOND, recheck / 5) },
      patience,
      stalePatience: 20,
      holdOff: 5 * SECOND,
    },
  )

const id = newTenantId()

beforeEach(() => {
  clock = 0
  reads = []
  said = active(1)
  cache = build()
})

test("a credential in use is kept for eight hours, and then read again", async () => {
  for (; clock < 8 * HOUR; clock += 29 * MINUTE) expect(await cache.read(id)).toEqual(active(1))
  expect(reads).toHaveLength(1)
  said = active(2)
  clock = 8 * HOUR
  expect(await cache.read(id)).toEqual(active(2))
  expect(reads).toHaveLength(2)
})

test("credentials that were read at one time are read again at many, and no later than after eight hours", async () => {
  cache = build(100, 5000, 30 * SECOND, 0.1)
  const ids = Array.from({ length: 100 }, newTenantId)
  const readNow = async () => {
    reads = []
    for (const one of ids) await cache.read(one)
    return reads.length
  }
  while (clock < 7.1 * HOUR) {
    await readNow()
    clock += 25 * MINUTE
  }
  const counts: number[] = []
  for (clock = 7.2 * HOUR; clock <= 8 * HOUR; clock += 6 * MINUTE) counts.push(await readNow())
  expect(counts[0]).toBe(0)
  expect(counts.reduce((sum, count) => sum + count)).toBe(100)
  expect(Math.max(...counts)).toBeLessThan(50)
})

test("a credential that nobody used for half an hour is read again", async () => {
  await cache.read(id)
  clock += 30 * MINUTE - 1
  await cache.read(id)
  expect(reads).toHaveLength(1)
  clock += 30 * MINUTE
  await cache.read(id)
  expect(reads).toHaveLength(2)
})

test("many who ask at once are one call", async () => {
  const answers = await Promise.all(Array.from({ length: 50 }, () => cache.read(id)))
  expect(answers).toEqual(answers.map(() => active(1)))
  expect(reads).toHaveLength(1)
})

test.each([undefined, { state: "suspended" }, { state: "retired" }] as const)(
  "%j is believed for 30 seconds",
  async (refusal) => {
    said = refusal
    expect(await cache.read(id)).toEqual(refusal)
    said = active(1)
    clock += 30 * SECOND - 1
    expect(await cache.read(id)).toEqual(refusal)
    clock += 1
    expect(await cache.read(id)).toEqual(active(1))
    expect(reads).toHaveLength(2)
  },
)

test("a tenant that is being made is looked up again after a second", async () => {
  said = { state: "reserved" }
  await cache.read(id)
  said = active(1)
  clock += SECOND
  expect(await cache.read(id)).toEqual(active(1))
})

test("among those that are being made, one is looked up again sooner than among those that are refused", async () => {
  cache = build(100, 5000, 250)
  const other = newTenantId()
  said = { state: "reserved" }
  await Promise.all([cache.read(id), cache.read(other)])
  for (; clock < 500; clock += 10) await Promise.all([cache.read(id), cache.read(other)])
  expect(reads.length - 2).toBe(9)
  said = { state: "suspended" }
  clock += SECOND
  await Promise.all([cache.read(id), cache.read(other)])
  reads = []
  for (; clock < 2 * SECOND; clock += 10) await Promise.all([cache.read(id), cache.read(other)])
  expect(reads).toHaveLength(1)
})

test("who is being made for long is looked up again less and less often", async () => {
  cache = build(100, 5000, 250)
  said = { state: "reserved" }
  for (; clock < 10 * SECOND; clock += 10) await cache.read(id)
  expect(reads.length).toBeLessThan(90)
  reads = []
  for (; clock < 60 * SECOND; clock += 10) await cache.read(id)
  expect(reads.length).toBeLessThan(60)
  said = active(1)
  clock += SECOND
  expect(await cache.read(id)).toEqual(active(1))
})

test("an answer older than asked for is read again, and replaces the one of before", async () => {
  await cache.read(id)
  said = { state: "retired" }
  clock += 501
  expect(await cache.read(id, 500)).toEqual({ state: "retired" })
  expect(await cache.read(id)).toEqual({ state: "retired" })
  expect(reads).toHaveLength(2)
})

test("while the vault is away the old credential is served, and the vault is asked again after a pause", async () => {
  await cache.read(id)
  clock += 9 * HOUR
  said = new TransientError("Throttled", "429")
  expect(await cache.read(id)).toEqual(active(1))
  expect(await cache.read(id)).toEqual(active(1))
  expect(reads).toHaveLength(2)
  said = active(2)
  clock += 5 * SECOND
  expect(await cache.read(id)).toEqual(active(2))
})

test("a vault that does not answer is as good as away", async () => {
  await cache.read(id)
  clock += 9 * HOUR
  const slow = Promise.withResolvers<Credential>()
  said = slow.promise
  // What is only out of date is served long before the vault is given up.
  expect(await Promise.race([cache.read(id), sleep(2000, "waits")])).toEqual(active(1))
  clock += 5 * SECOND
  // What leads nowhere is not: it is worth the wait.
  const anew = cache.read(id, 500)
  await sleep(100)
  slow.resolve(active(2))
  expect(await anew).toEqual(active(2))
})

test("who holds nothing waits for the vault for a while only", async () => {
  cache = build(100, 20)
  said = new Promise(() => {})
  await expect(cache.read(id)).rejects.toThrow(TransientError)
})

test("while the vault is away nobody is taken for absent, and nobody unknown is served", async () => {
  said = undefined
  expect(await cache.read(id)).toBeUndefined()
  clock += MINUTE
  said = new TransientError("Unreachable", "no answer")
  await expect(cache.read(id)).rejects.toThrow(TransientError)
  await expect(cache.read(newTenantId())).rejects.toThrow(TransientError)
})

test("a vault that refuses is not away: the old credential is not served", async () => {
  await cache.read(id)
  clock += 9 * HOUR
  said = new TerminalError("Forbidden", "no role")
  await expect(cache.read(id)).rejects.toThrow(TerminalError)
})

test("a failed read is not remembered", async () => {
  said = new TransientError("Unreachable", "no answer")
  await expect(cache.read(id)).rejects.toThrow(TransientError)
  said = active(1)
  expect(await cache.read(id)).toEqual(active(1))
})

test("what was not used for longest is forgotten first, and unknown ids evict no tenant", async () => {
  cache = build(2)
  const [a, b, c] = [newTenantId(), newTenantId(), newTenantId()]
  await cache.read(a)
  await cache.read(b)
  await cache.read(a)
  await cache.read(c)
  reads = []
  await cache.read(a)
  await cache.read(c)
  expect(reads).toEqual([])
  said = undefined
  for (let n = 0; n < 20; n++) await cache.read(newTenantId())
  expect(cache.size()).toBe(4)
  reads = []
  await cache.read(a)
  expect(reads).toEqual([])
  said = active(1)
  await cache.read(b)
  expect(reads).toEqual([b])
})

test("calls to the vault at one time are bounded: ten times as many wait, and more are refused", async () => {
  const slow = Promise.withResolvers<Credential>()
  said = slow.promise
  const waiting = Array.from({ length: 33 }, () => cache.read(newTenantId()))
  await expect(cache.read(newTenantId())).rejects.toThrow(TransientError)
  expect(reads).toHaveLength(3)
  slow.resolve(active(1))
  expect(await Promise.all(waiting)).toHaveLength(33)
  expect(reads).toHaveLength(33)
})

test("a tenant made a moment after it was asked for is served soon, at a bounded cost", async () => {
  cache = build(100, 5000, 250)
  said = undefined
  const others = Array.from({ length: 50 }, newTenantId)
  for (const other of [id, ...others]) expect(await cache.read(other)).toBeUndefined()
  reads = []
  for (; clock <= 10 * SECOND; clock += 10) {
    for (const other of others) await cache.read(other)
  }
  expect(reads.length).toBeLessThanOrEqual(40)
  said = active(1)
  clock += 250
  expect(await cache.read(id)).toEqual(active(1))
})
