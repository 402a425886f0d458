import { chmodSync, mkdirSync, rmSync } from "node:fs"
import { createServer as createHttpServer, type Server } from "node:http"
import { createServer as createHttpsServer } from "node:https"
import type { AddressInfo } from "node:net"
import { join, resolve as absolute } from "node:path"
import { makeFaults, type Faults } from "./vault/armed.ts"
import { recordCalls, type RecordedCall } from "./vault/calls.ts"
import { openCertificate } from "./vault/certificate.ts"
import { dataPlane } from "./vault/data-plane.ts"
import { identityEndpoint, identityPath } from "./vault/identity-endpoint.ts"
import { openDirectory } from "./vault/identity.ts"
import { replaceFile } from "./vault/journal.ts"
import { settings, type VaultOptions } from "./vault/options.ts"
import { listener } from "./vault/reply.ts"
import { refuseSecond } from "./vault/running.ts"
import { openStore } from "./vault/store.ts"

export type { VaultOptions }

/** A running vault and its managed identity endpoint. */
export type VaultServer = {
  /** `https://localhost:<port>` */
  url: string
  port: number
  /** The PEM file to trust: NODE_EXTRA_CA_CERTS, `tlsOptions.ca`, or curl's --cacert. */
  caFile: string
  identity: { endpoint: string; header: string; clients: { api: string; reconciler: string } }
  /** The environment with which a process reaches this vault as that client; it holds a credential. */
  environment: (client: "api" | "reconciler") => Record<string, string>
  faults: Faults
  /** The newest 10,000 calls, those to the identity endpoint included. */
  calls: () => readonly RecordedCall[]
  resetCalls: () => void
  /** Stops both servers, cutting open connections; resolves when all that was written is on the disk. */
  close: () => Promise<void>
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, "127.0.0.1", resolve)
  })
  server.keepAliveTimeout = 65_000
  return (server.address() as AddressInfo).port
}

async function stop(server: Server): Promise<void> {
  const stopped = new Promise((resolve) => server.close(resolve))
  server.closeAllConnections()
  await stopped
}

/**
 * Starts a stand-in for the secrets of an Azure Key Vault and for the managed identity endpoint, on 127.0.0.1. For
 * development and tests on one machine: values lie in plain text in files that only their owner reads. What it knows of
 * the service comes from Microsoft's REST reference (https://learn.microsoft.com/rest/api/keyvault/secrets) and from the
 * recordings in Azure/azure-sdk-for-js.
 */
export async function startVault(options: VaultOptions): Promise<VaultServer> {
  const { softDeleteDays, recoverableDelayMs, recoveringDelayMs, irregularPages, tokenSeconds } =
    settings(options)
  const { now = Date.now, purgeProtection = true } = options
  const folder = absolute(options.directory)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  chmodSync(folder, 0o700)
  const directory = openDirectory(
    join(folder, "identity.json"),
    new Map(Object.entries(options.clients ?? {})),
  )
  const running = join(folder, "running")
  await refuseSecond(running, directory)
  const certificate = await openCertificate(folder, now())
  const store = openStore(join(folder, "secrets.journal"))
  const faults = makeFaults(() => store.snapshot())
  const calls = recordCalls()
  const closing = new AbortController()
  let url = ""
  let endpoint = ""

  const vault = createHttpsServer(
    { cert: certificate.cert, key: certificate.key },
    listener(
      () => url,
      dataPlane({
        store,
        directory,
        faults,
        record: calls.record,
        frame: () => ({ origin: url, retention: { days: softDeleteDays, purgeProtection } }),
        now,
        deletingMs: recoverableDelayMs,
        recoveringMs: recoveringDelayMs,
        irregularPages,
        closing: closing.signal,
      }),
    ),
  )
  const identity = createHttpServer(
    listener(
      () => endpoint,
      identityEndpoint({
        directory,
        faults,
        record: calls.record,
        now,
        tokenSeconds,
        closing: closing.signal,
      }),
    ),
  )

  async function stopAll(): Promise<void> {
    closing.abort()
    await Promise.all([stop(vault), stop(identity)])
    await store.close()
    rmSync(running, { force: true })
  }
  let stopped: Promise<void> | undefined
  const close = () => (stopped ??= stopAll())

  let port: number
  try {
    port = await listen(vault, options.port ?? 0)
    url = `https://localhost:${port}`
    endpoint = `http://127.0.0.1:${await listen(identity, options.identityPort ?? 0)}${identityPath}`
    replaceFile(running, endpoint)
  } catch (error) {
    await close()
    throw error
  }

  const { header, clients } = directory
  return {
    url,
    port,
    caFile: certificate.caFile,
    identity: { endpoint, header, clients },
    environment: (client) => ({
      IDENTITY_ENDPOINT: endpoint,
      IDENTITY_HEADER: header,
      AZURE_CLIENT_ID: clients[client],
      NODE_EXTRA_CA_CERTS: certificate.caFile,
      KEY_VAULT_URL: url,
    }),
    faults: { add: faults.add, clear: faults.clear, list: faults.list },
    calls: calls.calls,
    resetCalls: calls.reset,
    close,
  }
}
