/** An answer of the service that is not a success: `code` and `inner` are Key Vault's own error codes. */
export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly inner: string | undefined

  constructor(status: number, code: string, message: string, inner?: string) {
    super(message)
    this.name = "Problem"
    this.status = status
    this.code = code
    this.inner = inner
  }
}

/** The JSON body that the service sends with every error: `{error: {code, message, innererror: {code}}}`. */
export function problemBody(problem: Problem): { error: object } {
  return {
    error: {
      code: problem.code,
      message: problem.message,
      ...(problem.inner === undefined ? {} : { innererror: { code: problem.inner } }),
    },
  }
}

/** 400 BadParameter: the caller must change the request. */
export function badParameter(message: string): Problem {
  return new Problem(400, "BadParameter", message)
}

/** 404 SecretNotFound, for a name, or for a name and a version. */
export function secretNotFound(name: string, version?: string): Problem {
  const id = version === undefined ? name : `${name}/${version}`
  return new Problem(404, "SecretNotFound", `A secret with (name/id) ${id} was not found in this key vault.`)
}

/** 404 SecretNotFound for a name that is not, or not yet, among the deleted secrets. */
export function deletedSecretNotFound(name: string): Problem {
  return new Problem(404, "SecretNotFound", `Deleted Secret not found: ${name}`)
}
