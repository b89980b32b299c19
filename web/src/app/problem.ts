/** A refusal of the server (RFC 9457) or of the network, as one kind of error. */
export type Parameter = string | number | boolean | null
export type Parameters = Record<string, Parameter>

export class Problem extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
    readonly detail: string,
    readonly params: Parameters = {},
  ) {
    super(detail || code)
    this.name = 'Problem'
  }
}

/** Reads a problem document; anything else becomes `unexpected_answer` with the status. */
export function problemOf(body: unknown, status: number): Problem {
  if (typeof body === 'object' && body !== null && 'code' in body && typeof body.code === 'string') {
    const detail = 'detail' in body && typeof body.detail === 'string' ? body.detail : ''
    const params = 'params' in body && typeof body.params === 'object' && body.params ? body.params : {}
    return new Problem(body.code, status, detail, params as Parameters)
  }
  return new Problem('unexpected_answer', status, '', { status })
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  return new Problem('network', 0, error instanceof Error ? error.message : String(error))
}
