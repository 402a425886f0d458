/** Continuous load on some tenants, each request of which is held against what it should have been answered. */
import { type Ask, keepAlive } from "../api/keep-alive.ts"

export type Load = ReturnType<typeof startLoad>

/** What the requests came to that ended in some time; waits are in milliseconds. */
export type Tally = { requests: number; failed: number; longest: number }

const MOST_SHOWN = 10

/** `sides` clients per tenant, half of them writing rows of which each is unlike every other, until stopped. */
export function startLoad(url: string, tenants: readonly string[], sides: number) {
  const written = new Map<string, string[]>(tenants.map((tenant) => [tenant, []]))
  const failures: string[] = []
  const underWay = new Set<Promise<unknown>>()
  let tally: Tally = { requests: 0, failed: 0, longest: 0 }
  const over = new AbortController()

  async function side(tenant: string, number: number): Promise<void> {
    const client = keepAlive(url)
    const isWriter = number % 2 === 0
    for (let n = 0; !over.signal.aborted; n++) {
      const name = `${tenant} row ${number}-${n}`
      const begun = performance.now()
      const asked = client.send(isWriter ? write(tenant, name) : read(tenant)).catch(String)
      underWay.add(asked)
      const reply = await asked
      underWay.delete(asked)
      tally.requests++
      tally.longest = Math.max(tally.longest, performance.now() - begun)
      if (isWriter) written.get(tenant)!.push(name)
      const isRight =
        typeof reply === "object" && reply.status === (isWriter ? 201 : 200) && isOwn(reply.text, tenant)
      if (isRight) continue
      tally.failed++
      if (failures.length < MOST_SHOWN) failures.push(`${name}: ${JSON.stringify(reply)}`)
    }
    client.close()
  }

  const running = Promise.all(
    tenants.flatMap((tenant) => Array.from({ length: sides }, (_, n) => side(tenant, n))),
  )
  return {
    failures,
    /** The names of the rows that were asked for, by the tenant's id. */
    written,
    answered: () => tally.requests,
    /** What ended since the last call, with all that are under way now. */
    async take(): Promise<Tally> {
      await Promise.all(underWay)
      const taken = tally
      tally = { requests: 0, failed: 0, longest: 0 }
      return taken
    },
    stop(): Promise<unknown> {
      over.abort()
      return running
    },
  }
}

/** Whether an answer shows rows of this tenant only. */
const isOwn = (text: string, tenant: string): boolean =>
  [...text.matchAll(/([0-9a-f-]{36}) row /g)].every(([, owner]) => owner === tenant)

const write = (tenant: string, name: string): Ask => ({
  method: "POST",
  target: "/products",
  headers: { "X-TenantId": tenant },
  body: { name, price: 1 },
})
const read = (tenant: string): Ask => ({
  method: "GET",
  target: "/products?limit=5&sort=-id",
  headers: { "X-TenantId": tenant },
})
