/** The verdict on a whole world: all that differs from what should be there, in words; nothing, where all is well. */
import { OWN_DATABASES } from "./empty.ts"
import { type Findings, look } from "./findings.ts"
import { fingerprint, STRANGE_DATABASES, STRANGE_SECRETS } from "./strangers.ts"
import { databaseOf, type Expected, faultsOfTenant } from "./tenant-faults.ts"
import type { FleetWorld } from "./world.ts"

export type { Expected }

/** Compares the real world with `desired`: databases, rows, roles, rights, secrets, credentials, strangers, output. */
export async function faults(world: FleetWorld, desired: readonly Expected[]): Promise<string[]> {
  const findings = await look(world)
  const own = await Promise.all(desired.map((tenant) => faultsOfTenant(findings, tenant)))
  return [...own.flat(), ...leftovers(findings, desired), ...(await harm(world))]
}

/** Databases, roles and secrets that belong to nobody. */
function leftovers({ databases, roles, secrets }: Findings, desired: readonly Expected[]): string[] {
  const wanted = {
    databases: new Set([...OWN_DATABASES, ...STRANGE_DATABASES, ...desired.map(databaseOf)]),
    roles: new Set(
      desired.flatMap(({ id }) => [`tenant_${id}`, `tenant_${id}_a`, `tenant_${id}_b`]),
    ) as ReadonlySet<string>,
    secrets: new Set([...STRANGE_SECRETS, ...desired.map(({ id }) => `tenant-${id}`)]),
  }
  return [
    ...left("database", databases.keys(), wanted.databases),
    ...left("role", roles.keys(), wanted.roles),
    ...left("secret", secrets.keys(), wanted.secrets),
  ]
}

const left = (what: string, found: Iterable<string>, expected: ReadonlySet<string>) =>
  [...found].filter((name) => !expected.has(name)).map((name) => `${what} ${name} is left over`)

/** What must not have happened, whatever was wanted. */
async function harm(world: FleetWorld): Promise<string[]> {
  const passwords = world.published().map(({ uri }) => new URL(uri).password)
  const told = [...world.keys, ...passwords].filter((secret) => world.printed().includes(secret))
  const isTouched = (await fingerprint(world)) !== world.strangers
  return [
    ...(told.length > 0 ? [`the reconciler has printed ${told.length} credentials`] : []),
    ...(isTouched ? ["something that is not this fleet's was touched"] : []),
  ]
}
