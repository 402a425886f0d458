import { randomBytes } from "node:crypto"
import { pack, unpack } from "./backup.ts"
import { bundle, deletedBundle, type Frame } from "./bundle.ts"
import { parseRestore, parseSet, parseUpdate } from "./input.ts"
import { listDeleted, listSecrets, listVersions, type ListCall } from "./lists.ts"
import { active, deleted, pick, refuseDisabled, refuseInMotion, refuseTaken } from "./lookup.ts"
import { Problem } from "./problem.ts"
import type { Operation } from "./routes.ts"
import { latest, stateOf, type Version } from "./secret.ts"
import type { Store } from "./store.ts"

/** A call that passed authentication, role and routing, with the secrets it works on; times in milliseconds. */
export type Call = {
  name: string
  version: string | undefined
  body: unknown
  now: number
  store: Store
  frame: Frame
  deletingMs: number
  recoveringMs: number
  list: ListCall
}

/** A successful answer. */
export type Answer = { status: number; body?: unknown }

function attributes(
  given: ReturnType<typeof parseUpdate>["attributes"],
  old: Pick<Version, "enabled" | "nbf" | "exp">,
) {
  return {
    enabled: given?.enabled ?? old.enabled,
    nbf: given?.nbf ?? old.nbf,
    exp: given?.exp ?? old.exp,
  }
}

function set({ name, body, now, store, frame }: Call): Answer {
  const given = parseSet(body)
  refuseTaken(store, name, now)
  const old = store.find(name)
  if (old !== undefined && stateOf(old, now) === "gone") store.commit({ kind: "purged", name })
  const seconds = Math.floor(now / 1000)
  const version: Version = {
    id: randomBytes(16).toString("hex"),
    value: given.value,
    contentType: given.contentType ?? undefined,
    tags: given.tags ?? undefined,
    ...attributes(given.attributes, { enabled: true }),
    created: seconds,
    updated: seconds,
  }
  store.commit({ kind: "version", name, version })
  return {
    status: 200,
    body: { value: given.value, ...bundle(frame, store.find(name)?.name ?? name, version) },
  }
}

function get({ name, version: id, now, store, frame }: Call): Answer {
  const secret = active(store, name, now)
  const version = pick(secret, id)
  refuseDisabled(version)
  return { status: 200, body: { value: version.value, ...bundle(frame, secret.name, version) } }
}

function update({ name, version: id, body, now, store, frame }: Call): Answer {
  const given = parseUpdate(body)
  refuseInMotion(store, name, now)
  const secret = active(store, name, now)
  const old = pick(secret, id)
  const version: Version = {
    ...old,
    ...attributes(given.attributes, old),
    contentType: given.contentType ?? old.contentType,
    tags: given.tags ?? old.tags,
    updated: Math.floor(now / 1000),
  }
  store.commit({ kind: "version", name: secret.name, version })
  return { status: 200, body: bundle(frame, secret.name, version) }
}

function remove({ name, now, store, frame, deletingMs }: Call): Answer {
  refuseInMotion(store, name, now)
  const secret = active(store, name, now)
  const on = Math.floor(now / 1000)
  const deletion = { on, purgeOn: on + frame.retention.days * 24 * 60 * 60, settledAt: now + deletingMs }
  store.commit({ kind: "deleted", name: secret.name, deletion })
  return { status: 200, body: deletedBundle(frame, { ...secret, deletion }) }
}

function getDeleted({ name, now, store, frame }: Call): Answer {
  const secret = deleted(store, name, now)
  refuseDisabled(latest(secret))
  return { status: 200, body: deletedBundle(frame, secret) }
}

function recover({ name, now, store, frame, recoveringMs }: Call): Answer {
  refuseInMotion(store, name, now)
  const secret = deleted(store, name, now)
  store.commit({ kind: "recovered", name: secret.name, recoveredAt: now + recoveringMs })
  return { status: 200, body: bundle(frame, secret.name, latest(secret)) }
}

function purge({ name, now, store, frame }: Call): Answer {
  if (frame.retention.purgeProtection) {
    const message = 'Operation "purge" is not allowed because purge protection is enabled for this vault.'
    throw new Problem(403, "Forbidden", message)
  }
  refuseInMotion(store, name, now)
  store.commit({ kind: "purged", name: deleted(store, name, now).name })
  return { status: 204 }
}

function backup({ name, now, store }: Call): Answer {
  return { status: 200, body: { value: pack(active(store, name, now)) } }
}

function restore({ body, now, store, frame }: Call): Answer {
  const secret = unpack(parseRestore(body).value)
  refuseTaken(store, secret.name, now)
  if (stateOf(store.find(secret.name), now) === "active") {
    throw new Problem(409, "Conflict", `A secret of the name ${secret.name} already exists in this vault.`)
  }
  store.commit({ kind: "secret", secret })
  return { status: 200, body: bundle(frame, secret.name, latest(secret)) }
}

/** What each operation does; each throws a Problem for what the service refuses. */
export const operations: Record<Operation, (call: Call) => Answer> = {
  SecretSet: set,
  SecretGet: get,
  SecretUpdate: update,
  SecretDelete: remove,
  SecretList: ({ list }) => ({ status: 200, body: listSecrets(list) }),
  SecretListVersions: ({ list, name }) => ({ status: 200, body: listVersions(list, name) }),
  SecretListDeleted: ({ list }) => ({ status: 200, body: listDeleted(list) }),
  SecretGetDeleted: getDeleted,
  SecretRecover: recover,
  SecretPurge: purge,
  SecretBackup: backup,
  SecretRestore: restore,
}
