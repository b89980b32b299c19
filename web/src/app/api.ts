/**
 * The one way to the plant API: same origin, cookie session, CSRF header on every change, problems as `Problem`.
 *
 * Types come from `openapi.json` by path, never by schema name, so that a newly exported description only shows up
 * where a field the console reads has really changed.
 */
import createClient, { type Middleware } from 'openapi-fetch'

import type { paths } from './generated/api'
import { asProblem, problemOf } from './problem'

type Json<R> = R extends { content: { 'application/json': infer T } } ? T : never
type Good<O> = O extends { responses: infer R }
  ? Json<R extends { 200: infer A } ? A : R extends { 201: infer B } ? B : never>
  : never

/** What a path answers to a method when all is well. */
export type Answer<P extends keyof paths, M extends keyof paths[P]> = Good<paths[P][M]>
/** One element of a list path. */
export type Item<P extends keyof paths> = Answer<P, 'get' & keyof paths[P]> extends { items: (infer T)[] } ? T : never
/** What a path wants in the body of a POST. */
export type Body<P extends keyof paths> = paths[P] extends {
  post: { requestBody?: { content: { 'application/json': infer T } } }
}
  ? T
  : never

let csrfToken: string | undefined
let whenSignedOut: () => void = () => {}

export function setCsrfToken(token: string | undefined): void {
  csrfToken = token
}

export function onSignedOut(react: () => void): void {
  whenSignedOut = react
}

const guard: Middleware = {
  onRequest({ request }) {
    if (request.method !== 'GET' && csrfToken) request.headers.set('X-CSRF-Token', csrfToken)
    return request
  },
}

export const api = createClient<paths>({ baseUrl: window.location.origin, credentials: 'same-origin', cache: 'no-store' })
api.use(guard)

interface Outcome<T> {
  data?: T
  error?: unknown
  response: Response
}

/** Unwraps an answer or throws a `Problem`; a lost session is told to the shell. */
export async function ask<T>(pending: Promise<Outcome<T>>): Promise<T> {
  let outcome: Outcome<T>
  try {
    outcome = await pending
  } catch (error) {
    throw asProblem(error)
  }
  if (outcome.response.ok) return outcome.data as T
  const problem = problemOf(outcome.error, outcome.response.status)
  if (problem.code === 'not_signed_in') whenSignedOut()
  throw problem
}

/** An answer that comes bit by bit. Throws a `Problem` when it is refused or the network fails. */
export async function openStream(path: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const response = await fetch(path, { signal, credentials: 'same-origin', cache: 'no-store' })
  if (response.ok && response.body) return response.body
  const problem = problemOf(await response.json().catch(() => undefined), response.status)
  if (problem.code === 'not_signed_in') whenSignedOut()
  throw problem
}

/** The query of a list: 100 at a time, from a cursor. */
export const pageQuery = (cursor: string | undefined) => ({ limit: 100, ...(cursor ? { cursor } : {}) })
