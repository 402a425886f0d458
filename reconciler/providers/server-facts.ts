/** What a Postgres server says of itself and of who asks. */
import { connected } from "./postgres.ts"

export type ServerFacts = {
  /** Such as "18.1". */
  version: string
  /** Its clock; milliseconds since 1970. */
  now: number
  mayCreateDatabases: boolean
  mayCreateRoles: boolean
}

/** Asks the server at `uri`. Throws our errors. */
export const readServerFacts = (uri: string): Promise<ServerFacts> =>
  connected(uri, async (client) => {
    const { rows } = await client.query<{ version: string; now: string; databases: boolean; roles: boolean }>(
      `select current_setting('server_version') as version, extract(epoch from clock_timestamp()) * 1000 as now,
              rolcreatedb or rolsuper as databases, rolcreaterole or rolsuper as roles
         from pg_roles where rolname = current_user`,
    )
    const { version, now, databases, roles } = rows[0]!
    return { version, now: Number(now), mayCreateDatabases: databases, mayCreateRoles: roles }
  })
