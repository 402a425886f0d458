/**
 * Connects and asks by hand, and keeps the session, in a process of its own as the API is one: each message is a connection
 * string, and the answer says how many milliseconds that took.
 */
import { Client } from "pg"

async function connectAndQuery(connectionString: string): Promise<number> {
  const begun = performance.now()
  const client = new Client({ connectionString })
  client.on("error", () => {}) // the server may be stopped first
  await client.connect()
  await client.query("select id, name, price, description from products order by id limit $1", [21])
  return performance.now() - begun
}

process.on("message", (uri: string) => void connectAndQuery(uri).then((ms) => process.send!(ms)))
process.on("disconnect", () => process.exit())
