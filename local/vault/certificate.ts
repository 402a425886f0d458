import { X509Certificate, createPrivateKey } from "node:crypto"
import { chmodSync, existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { generate } from "selfsigned"
import { replaceFile } from "./journal.ts"

const day = 24 * 60 * 60 * 1000
const lifetimeDays = 365
const renewBeforeDays = 30

/** A certificate for localhost and 127.0.0.1, its key, and the file that clients are to trust. */
export type Certificate = { cert: string; key: string; caFile: string }

function load(caFile: string, keyFile: string, now: number): Certificate | undefined {
  if (!existsSync(caFile) || !existsSync(keyFile)) return undefined
  const [cert, key] = [readFileSync(caFile, "utf8"), readFileSync(keyFile, "utf8")]
  const read = new X509Certificate(cert)
  if (!read.checkPrivateKey(createPrivateKey(key))) return undefined
  if (Date.parse(read.validTo) - now < renewBeforeDays * day) return undefined
  return { cert, key, caFile }
}

/**
 * The certificate kept in `folder`, made when there is none and made anew within 30 days of its end (`now` in
 * milliseconds). It signs itself and can sign nothing else, so trusting it trusts this server only. The key has mode
 * 0600.
 */
export async function openCertificate(folder: string, now: number): Promise<Certificate> {
  const caFile = join(folder, "certificate.pem")
  const keyFile = join(folder, "certificate.key")
  const known = load(caFile, keyFile, now)
  if (known !== undefined) return known
  const made = await generate([{ name: "commonName", value: "localhost" }], {
    keyType: "ec",
    algorithm: "sha256",
    notBeforeDate: new Date(now - day),
    notAfterDate: new Date(now + lifetimeDays * day),
    extensions: [
      { name: "basicConstraints", cA: false, critical: true },
      { name: "keyUsage", digitalSignature: true, critical: true },
      { name: "extKeyUsage", serverAuth: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  })
  replaceFile(keyFile, made.private)
  replaceFile(caFile, made.cert)
  chmodSync(caFile, 0o644)
  return { cert: made.cert, key: made.private, caFile }
}
