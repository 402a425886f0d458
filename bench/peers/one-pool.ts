/** No tenancy: one pool on one database. */
import pg from "pg"
import { serveProducts } from "./products.ts"
import { readUris } from "./uris.ts"

const [uri] = readUris().values()
const pool = new pg.Pool({ connectionString: uri, max: 10 })
serveProducts(() => pool)
