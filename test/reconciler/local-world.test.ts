import { X509Certificate } from "node:crypto"
import { createServer } from "node:https"
import path from "node:path"
import { getCACertificates, setDefaultCACertificates } from "node:tls"
import { generate } from "selfsigned"
import { expect, onTestFinished, test } from "vitest"
import { useLocalWorld } from "../../reconciler/local-world.ts"
import { folderOf } from "./folder.ts"

const ENV = [
  "NEON_API_URL=http://127.0.0.1:4000/api/v2",
  "NEON_API_KEY=napi_local_0123456789",
  "KEY_VAULT_URL=https://localhost:4001",
  "STATUS_PORT=3100",
].join("\n")

/** One certificate may be listed twice, and written with other line ends. */
const fingerprints = (certificates: readonly string[]) =>
  new Set(certificates.map((pem) => new X509Certificate(pem).fingerprint256))

test("the command line finds the local world by the file that it leaves", async () => {
  const home = await folderOf({ env: ENV })
  const environment: NodeJS.ProcessEnv = { TENANTRY_HOME: home, PATH: "/bin" }
  useLocalWorld(environment)
  expect(environment).toEqual({
    TENANTRY_HOME: home,
    PATH: "/bin",
    NEON_API_URL: "http://127.0.0.1:4000/api/v2",
    NEON_API_KEY: "napi_local_0123456789",
    KEY_VAULT_URL: "https://localhost:4001",
    STATUS_PORT: "3100",
  })
})

test("its tenants folder is called as one sees it from here, and by its whole path from elsewhere", async () => {
  const found = async (folder: string) => {
    const environment: NodeJS.ProcessEnv = {
      TENANTRY_HOME: await folderOf({ env: `${ENV}\nTENANTS_DIR=${folder}\n` }),
    }
    useLocalWorld(environment)
    return environment["TENANTS_DIR"]
  }
  expect(await found(path.resolve("tenants"))).toBe("tenants")
  expect(await found("/srv/tenants")).toBe("/srv/tenants")
})

test("what is set already stays", async () => {
  const home = await folderOf({ env: ENV })
  const environment: NodeJS.ProcessEnv = { TENANTRY_HOME: home, STATUS_PORT: "9" }
  useLocalWorld(environment)
  expect(environment["STATUS_PORT"]).toBe("9")
})

test.for(["NEON_API_URL", "NEON_API_KEY", "NEON_PROJECT_ID", "NEON_BRANCH_ID", "KEY_VAULT_URL"])(
  "whoever sets %s has a world of their own, and gets nothing from the file",
  async (name) => {
    const environment: NodeJS.ProcessEnv = { TENANTRY_HOME: await folderOf({ env: ENV }), [name]: "mine" }
    const before = { ...environment }
    useLocalWorld(environment)
    expect(environment).toEqual(before)
  },
)

test("where no local world runs, nothing happens", async () => {
  const environment: NodeJS.ProcessEnv = { TENANTRY_HOME: await folderOf({}) }
  const before = { ...environment }
  useLocalWorld(environment)
  expect(environment).toEqual(before)
})

test("the local world's certificate is trusted from then on, and the usual ones still are", async () => {
  const usual = getCACertificates("default")
  onTestFinished(() => setDefaultCACertificates(usual))
  const extensions = [
    { name: "basicConstraints" as const, cA: true },
    { name: "subjectAltName" as const, altNames: [{ type: 2 as const, value: "localhost" }] },
  ]
  const { private: key, cert } = await generate([{ name: "commonName", value: "localhost" }], { extensions })
  const server = createServer({ key, cert }, (_, response) => response.end("hello"))
  await new Promise<void>((resolve) => {
    server.listen(0, "localhost", resolve)
  })
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const url = `https://localhost:${(server.address() as { port: number }).port}/`
  await expect(fetch(url)).rejects.toThrow()

  const home = await folderOf({ "ca.pem": cert })
  const environment: NodeJS.ProcessEnv = {
    TENANTRY_HOME: await folderOf({ env: `NODE_EXTRA_CA_CERTS=${path.join(home, "ca.pem")}` }),
  }
  useLocalWorld(environment)
  expect(await (await fetch(url)).text()).toBe("hello")
  expect(fingerprints(getCACertificates("default"))).toEqual(fingerprints([...usual, cert]))
})
