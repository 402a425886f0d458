import { Problem, deletedSecretNotFound, secretNotFound } from "./problem.ts"
import { latest, stateOf, versionOf, type Secret, type Version } from "./secret.ts"
import type { View } from "./store.ts"

/** The secret of that name; throws 404 unless it is active at `now` (milliseconds). */
export function active(view: View, name: string, now: number): Secret {
  const secret = view.find(name)
  if (secret === undefined || stateOf(secret, now) !== "active") throw secretNotFound(name)
  return secret
}

/** The deleted secret of that name; throws 404 while the deletion is still going on. */
export function deleted(view: View, name: string, now: number): Secret {
  const secret = view.find(name)
  if (secret === undefined || stateOf(secret, now) !== "deleted") throw deletedSecretNotFound(name)
  return secret
}

/** The version that was asked for, or the newest; throws 404 when there is none of that id. */
export function pick(secret: Secret, version: string | undefined): Version {
  if (version === undefined) return latest(secret)
  const found = versionOf(secret, version)
  if (found === undefined) throw secretNotFound(secret.name, version)
  return found
}

/** Throws 409 for a name whose deletion or recovery is still going on. */
export function refuseInMotion(view: View, name: string, now: number): void {
  const state = stateOf(view.find(name), now)
  if (state === "being deleted") {
    throw new Problem(409, "Conflict", "Secret is currently being deleted.", "ObjectIsBeingDeleted")
  }
  if (state === "being recovered") {
    throw new Problem(409, "Conflict", "Secret is currently being recovered.", "ObjectIsBeingRecovered")
  }
}

/** Throws 409 unless a value may be written under the name. */
export function refuseTaken(view: View, name: string, now: number): void {
  refuseInMotion(view, name, now)
  if (stateOf(view.find(name), now) !== "deleted") return
  throw new Problem(
    409,
    "Conflict",
    `Secret ${name} is deleted but recoverable, and its name cannot be reused: recover it, or purge it.`,
    "ObjectIsDeletedButRecoverable",
  )
}

/** Throws 403 SecretDisabled for a version that is switched off. */
export function refuseDisabled(version: Version): void {
  if (version.enabled) return
  throw new Problem(403, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled")
}
