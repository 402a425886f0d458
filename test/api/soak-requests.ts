/** What the soak asks for: mixed requests of one tenant, whose rows all say whose they are. */
import { randomInt } from "node:crypto"
import type { Ask } from "./keep-alive.ts"

/** Zipf-like: the first are drawn often, the last ones seldom. */
export const draw = <T>(of: readonly T[]): T => of[Math.floor(of.length ** Math.random() - 1) % of.length]!

/** The name of each row of this tenant. */
const ownName = (tenant: string) => `of ${tenant}`

/** Whose rows a text shows. */
export const ownersIn = (text: string): Set<string> => new Set(text.match(/(?<=of )[0-9a-f-]{36}/g))

/** Ids up to `most`, the low ones as often as the high ones. */
const id = (most: number) => randomInt(1, most + 1)

/** Keys are few, and the same ones with every tenant: an answer that is kept for one must not come to another. */
const keyed = (tenant: string): Ask => {
  const number = id(500)
  return {
    method: "POST",
    target: "/products",
    headers: { "Idempotency-Key": `key-${number}` },
    body: { name: ownName(tenant), price: number },
  }
}

type Make = (tenant: string) => Ask
const KINDS: Make[] = [
  () => ({ method: "GET", target: `/products?limit=${id(30)}` }),
  () => ({ method: "GET", target: "/products?sort=-price&minPrice=3&limit=20" }),
  (tenant) => ({ method: "GET", target: `/products?q=${tenant}&limit=5` }),
  () => ({ method: "GET", target: `/products/${id(40)}` }),
  () => ({ method: "GET", target: `/products/${id(40)}` }),
  () => ({ method: "GET", target: "/users?limit=10" }),
  () => ({ method: "GET", target: `/users/${id(8)}` }),
  () => ({ method: "GET", target: `/carts/${id(10)}` }),
  () => ({ method: "GET", target: `/carts/${id(10)}` }),
  keyed,
  (tenant) => ({ method: "POST", target: "/products", body: { name: ownName(tenant), price: id(40) } }),
  (tenant) => ({
    method: "PUT",
    target: `/products/${id(40)}`,
    body: { name: ownName(tenant), price: id(40), description: ownName(tenant) },
  }),
  (tenant) => ({
    method: "PATCH",
    target: `/products/${id(40)}`,
    headers: { "If-Match": `"v${id(3)}"` },
    body: { description: ownName(tenant) },
  }),
  () => ({ method: "DELETE", target: `/products/${20 + id(1000)}` }),
  (tenant) => ({
    method: "POST",
    target: "/users",
    body: { name: ownName(tenant), email: `${id(2000)}@more.example` },
  }),
  () => ({ method: "POST", target: "/carts", body: { userId: id(5) } }),
  () => ({
    method: "POST",
    target: `/carts/${id(10)}/items`,
    body: { productId: id(40), quantity: 1 },
  }),
  () => ({ method: "DELETE", target: `/carts/${id(10)}/items/${id(40)}` }),
]

/** One of the kinds. */
export function compose(tenant: string): Ask {
  const ask = KINDS[randomInt(KINDS.length)]!(tenant)
  return { ...ask, headers: { "X-TenantId": tenant, ...ask.headers } }
}
