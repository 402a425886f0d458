/** Every fault of the Key Vault stand-in at every kind of call that the reconciler makes of it. */
import type { Fault } from "../../local/vault/faults.ts"
import type { ChangeName } from "./changes.ts"
import type { Cell } from "./fault-cells.ts"
import type { FleetWorld } from "./world.ts"

type Route = NonNullable<NonNullable<Extract<Fault, { kind: "dropped" }>["match"]>["route"]>
type Call = { call: string; route: Route; change: ChangeName; byProcess?: boolean }

const CALLS: readonly Call[] = [
  { call: "secret list", route: "SecretList", change: "rename" },
  { call: "secret look", route: "SecretListVersions", change: "create" },
  { call: "secret set", route: "SecretSet", change: "rename" },
  { call: "secret update", route: "SecretUpdate", change: "suspend" },
  { call: "secret delete", route: "SecretDelete", change: "purge" },
  { call: "secret recover", route: "SecretRecover", change: "recreate" },
  { call: "secret get", route: "SecretGet", change: "recreate" },
  { call: "token", route: "IdentityToken", change: "rename", byProcess: true },
]

/** Where the refusal of a call holds the change up; the client takes a refused look for the end of a recovery. */
const REFUSING = CALLS.map(({ call }) => call).filter((call) => call !== "secret get" && call !== "token")

type Kind = {
  fault: string
  of: (route: Route) => Fault
  calls?: readonly string[]
  more?: Partial<Pick<Cell, "change" | "person" | "publishes" | "before" | "after">>
  isSlow?: boolean
}

/** A page holds 25 secrets: these come before the tenants', whose page is then the one that is cut off. */
const FILLERS = Array.from({ length: 25 }, (_, index) => `filler-${String(index).padStart(2, "0")}`)

async function fillPage({ secrets }: FleetWorld): Promise<void> {
  for (const name of FILLERS) await secrets.setSecret(name, "not ours")
}
async function emptyPage({ secrets }: FleetWorld): Promise<string[]> {
  for (const name of FILLERS) {
    await secrets.beginDeleteSecret(name)
    await secrets.purgeDeletedSecret(name)
  }
  return []
}

const clear = ({ vault }: FleetWorld) => vault.faults.clear()
const refused = { reason: /VaultForbidden: .*give this identity its role/, mend: clear }

const KINDS: readonly Kind[] = [
  { fault: "429", of: (route) => ({ kind: "throttled", match: { route } }) },
  {
    fault: "429 with Retry-After",
    of: (route) => ({ kind: "throttled", retryAfterSeconds: 1, match: { route } }),
  },
  { fault: "503", of: (route) => ({ kind: "unavailable", match: { route } }) },
  {
    fault: "503 with Retry-After",
    of: (route) => ({ kind: "unavailable", retryAfterSeconds: 1, match: { route } }),
  },
  { fault: "500", of: (route) => ({ kind: "server-error", match: { route } }) },
  { fault: "200 as HTML", of: (route) => ({ kind: "html", status: 200, match: { route } }) },
  { fault: "404 as HTML", of: (route) => ({ kind: "html", status: 404, match: { route } }) },
  { fault: "502 as HTML", of: (route) => ({ kind: "html", status: 502, match: { route } }) },
  { fault: "late answer", of: (route) => ({ kind: "delay", milliseconds: 300, match: { route } }) },
  {
    // The client gives up after 60 s.
    fault: "time-out",
    of: (route) => ({ kind: "delay", milliseconds: 63_000, match: { route } }),
    calls: ["secret set"],
    isSlow: true,
  },
  { fault: "cut before acting", of: (route) => ({ kind: "dropped", match: { route } }) },
  { fault: "cut after acting", of: (route) => ({ kind: "lost-response", match: { route } }) },
  { fault: "truncated JSON", of: (route) => ({ kind: "truncated-json", match: { route } }) },
  { fault: "403 for a moment", of: (route) => ({ kind: "forbidden", match: { route } }) },
  { fault: "401 for a moment", of: (route) => ({ kind: "revoked", times: 3, match: { route } }) },
  {
    fault: "role taken away",
    of: (route) => ({ kind: "forbidden", times: "always", match: { route } }),
    calls: REFUSING,
    more: { person: refused },
  },
  {
    fault: "token revoked",
    of: (route) => ({ kind: "revoked", times: "always", match: { route } }),
    calls: REFUSING,
    more: { person: refused },
  },
  {
    fault: "stale list",
    of: () => ({ kind: "stale-list", times: 4, match: { route: "SecretList" } }),
    calls: ["secret list"],
    more: { publishes: 1 },
  },
  {
    fault: "truncated list",
    of: () => ({ kind: "truncated-list", times: 4, match: { route: "SecretList" } }),
    calls: ["secret list"],
    more: { publishes: 1, before: fillPage, after: emptyPage },
  },
  {
    fault: "limits",
    of: () => ({ kind: "limits", sets: 1, windowMs: 8000 }),
    calls: ["secret set"],
    // It writes two versions, on a busy machine some seconds apart.
    more: { change: "create" },
    isSlow: true,
  },
  { fault: "empty page", of: () => ({ kind: "empty-page" }), calls: ["secret list"] },
  { fault: "short page", of: () => ({ kind: "short-page" }), calls: ["secret list"] },
  {
    fault: "no identity",
    of: () => ({ kind: "identity-down", times: "always" }),
    calls: ["token"],
    more: { person: { reason: /no token for Key Vault, .*check the identity/, mend: clear } },
    // The identity's client asks again and again by itself.
    isSlow: true,
  },
]

const cellOf = ({ fault, of, more }: Kind, call: Call): Omit<Cell, "quick"> => ({
  fault: `vault: ${fault}`,
  ...call,
  arm: ({ vault }) => void vault.faults.add(of(call.route)),
  ...more,
})

/** What differs little from another line. */
const RARE: ReadonlySet<string> = new Set([
  "429 with Retry-After",
  "503 with Retry-After",
  "500",
  "200 as HTML",
  "502 as HTML",
  "late answer",
  "401 for a moment",
  "short page",
])

/** Each fault at one call, another one for each in turn; a process takes its time, so one asks for a token. */
const isQuick = ({ fault, isSlow }: Kind, calls: readonly Call[], call: Call): boolean => {
  if (call.byProcess) return fault === "cut before acting"
  const turns = calls.filter(({ byProcess }) => !byProcess)
  const isItsTurn = turns[KINDS.findIndex((kind) => kind.fault === fault) % turns.length] === call
  return isItsTurn && !RARE.has(fault) && isSlow !== true
}

export const VAULT_CELLS: readonly Cell[] = KINDS.flatMap((kind) => {
  const calls = CALLS.filter(({ call }) => kind.calls?.includes(call) ?? true)
  return calls.map((call) => ({ ...cellOf(kind, call), quick: isQuick(kind, calls, call) }))
})
