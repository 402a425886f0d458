/** Lines by which a program talks to GitHub's runner. */

const escapeData = (text: string): string =>
  text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A")

const escapeProperty = (text: string): string =>
  escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C")

/**
 * "::error file=tenants/acme.yaml,line=2::…" marks that line of a pull request. Whatever the message holds, it is no
 * second command. Source of the escapes: actions/toolkit, packages/core/src/command.ts.
 */
export function annotation(
  kind: "error" | "warning",
  { file, line }: { file: string; line: number },
  message: string,
): string {
  return `::${kind} file=${escapeProperty(file)},line=${line}::${escapeData(message)}`
}
