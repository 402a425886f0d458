/** JSON logs on standard error, and the one place that takes credentials out of text. */
import pino from "pino"

const known = new Set<string>()

/** From now on this exact text is cut out of every log line, error and status. */
export function keepSecret(secret: string): void {
  if (secret.length >= 8) known.add(secret)
}

/** The text without the credentials that are known or that look like one. */
export function redact(text: string): string {
  let clean = text
    .replaceAll(/(postgres(?:ql)?:\/\/[^:@/\s"]*:)[^@\s"]*@/gi, "$1***@")
    .replaceAll(/(bearer\s+)[\w.~+/-]{8,}=*/gi, "$1***")
    .replaceAll(/((?:password|secret|api[_-]?key|token)\\?["']?\s*[:=]\s*\\?["']?)[^\s"',\\}]{6,}/gi, "$1***")
  for (const secret of known) clean = clean.replaceAll(secret, "***")
  return clean
}

/** An unknown level is the configuration's to refuse; until then the usual one serves. */
const levelOf = (name = "info") => (name in pino.levels.values ? name : "info")

/** A logger whose lines are a constant message and fields. */
export const createLogger = (
  name: string,
  write: (line: string) => unknown = (line) => process.stderr.write(line),
): pino.Logger =>
  pino(
    {
      base: { name },
      level: levelOf(process.env["LOG_LEVEL"]),
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => write(redact(line)) },
  )

export type Logger = pino.Logger
