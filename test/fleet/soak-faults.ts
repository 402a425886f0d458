/** Faults that pass by themselves, for a world that is never quite well. */
import type { Fault as NeonFault } from "../../local/neon/faults.ts"
import type { Fault as VaultFault } from "../../local/vault/faults.ts"
import type { Dice } from "./soak-dice.ts"
import type { FleetWorld } from "./world.ts"

const NEON: readonly NeonFault[] = [
  { kind: "locked" },
  { kind: "rate-limited", times: 2 },
  { kind: "unavailable" },
  { kind: "bad-gateway", route: "mutations", acted: true },
  { kind: "bad-gateway" },
  { kind: "gateway-timeout" },
  { kind: "delay", delayMs: 400, acted: true },
  { kind: "drop-before", times: 2 },
  { kind: "drop-before", route: "mutations" },
  { kind: "drop-after", route: "mutations" },
  { kind: "drop-after", times: 2 },
  { kind: "truncated-json", route: "mutations" },
  { kind: "truncated-json" },
  { kind: "not-found", route: "any" },
  { kind: "operation-failed" },
  { kind: "operation-failed", acted: true },
  { kind: "operation-stuck" },
  { kind: "operation-error" },
  { kind: "operation-cancelled" },
  { kind: "background-lock", lockMs: 200 },
  { kind: "stale-list", times: 2 },
  { kind: "truncated-list", times: 2 },
  { kind: "truncated-list", keep: 0 },
  { kind: "ids-replaced" },
  { kind: "key-revoked", times: 2 },
]

const VAULT: readonly Extract<VaultFault, { match?: unknown }>[] = [
  { kind: "throttled" },
  { kind: "unavailable" },
  { kind: "server-error", times: 2 },
  { kind: "html", status: 200 },
  { kind: "html", status: 502 },
  { kind: "delay", milliseconds: 300 },
  { kind: "dropped", times: 2 },
  { kind: "lost-response" },
  { kind: "lost-response", match: { route: "SecretSet" }, times: 2 },
  { kind: "lost-response", match: { method: "PATCH" } },
  { kind: "truncated-json" },
  { kind: "truncated-json", match: { route: "SecretSet" } },
  { kind: "forbidden", times: 2 },
  { kind: "revoked", times: 4 },
  { kind: "stale-list", times: 2 },
  { kind: "empty-page" },
  { kind: "short-page" },
]

/** Switches one on, some calls from now, and says which. */
export function disturb({ neon, vault }: FleetWorld, dice: Dice): string {
  const after = Math.floor(dice.next() * 6)
  if (dice.oneIn(2)) {
    const fault = dice.of(NEON)!
    neon.faults.add({ ...fault, after })
    return `neon ${fault.kind} after ${after}`
  }
  const fault = dice.of(VAULT)!
  const match = { ...fault.match, clientId: vault.identity.clients.reconciler }
  vault.faults.add({ ...fault, after, match })
  return `vault ${fault.kind} after ${after}`
}
