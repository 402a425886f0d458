import { latest, properties, type Retention, type Secret, type Version } from "./secret.ts"

/** What an answer needs besides the secret: the vault's present origin and its retention. */
export type Frame = { origin: string; retention: Retention }

/** The answer about one version, without the value; ids are made from the present origin, for the port may change. */
export function bundle(frame: Frame, name: string, version: Version): Record<string, unknown> {
  return properties(`${frame.origin}/secrets/${name}/${version.id}`, version, frame.retention)
}

/** A row of the list of secrets: the newest version's properties under the id without a version. */
export function row(frame: Frame, secret: Secret): Record<string, unknown> {
  return properties(`${frame.origin}/secrets/${secret.name}`, latest(secret), frame.retention)
}

function deletion(frame: Frame, secret: Secret): Record<string, unknown> {
  return {
    recoveryId: `${frame.origin}/deletedsecrets/${secret.name}`,
    deletedDate: secret.deletion?.on,
    scheduledPurgeDate: secret.deletion?.purgeOn,
  }
}

/** The answer about a deleted secret: its newest version, and when it goes for good. */
export function deletedBundle(frame: Frame, secret: Secret): Record<string, unknown> {
  return { ...deletion(frame, secret), ...bundle(frame, secret.name, latest(secret)) }
}

/** A row of the list of deleted secrets. */
export function deletedRow(frame: Frame, secret: Secret): Record<string, unknown> {
  return { ...deletion(frame, secret), ...row(frame, secret) }
}
